"""`python -m kubedouble`: an API server as a process. Only wires."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import signal
import socket
import sys
from pathlib import Path

from . import ApiServer, FileLogs, tls_in
from .lostconnections import ignore_double_resets


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not ADDRESS:PORT")
    return host.strip("[]"), int(port)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m kubedouble", description=__doc__)
    parser.add_argument(
        "--listen",
        action="append",
        type=_address,
        default=[],
        metavar="IP:PORT",
        help="an address to serve on; repeatable; the first one is in the kubeconfig",
    )
    parser.add_argument(
        "--listen-fd",
        action="append",
        type=int,
        default=[],
        metavar="N",
        help="an inherited listening socket to serve on; repeatable",
    )
    parser.add_argument("--admin", type=_address, metavar="IP:PORT", help="where faults are asked for, plain HTTP")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="where the administrator's kubeconfig goes")
    parser.add_argument("--server", default="", metavar="URL", help="the URL that the kubeconfig names")
    parser.add_argument("--tls-dir", type=Path, metavar="DIR", help="serve HTTPS; CA and keys are kept there")
    parser.add_argument("--san", action="append", default=[], metavar="NAME", help="one more name in the certificate")
    parser.add_argument(
        "--pod-logs",
        "--log-dir",
        type=Path,
        metavar="DIR",
        dest="pod_logs",
        help="DIR/<namespace>_<pod>_<uid>/<container>/<n>.log, for kubectl logs",
    )
    parser.add_argument(
        "--kubelet-tls",
        type=Path,
        metavar="DIR",
        help="for kubectl exec: DIR/ca.crt is the kubelets' CA, DIR/apiserver.crt and .key prove this server to them",
    )
    parser.add_argument("--journal", type=Path, metavar="FILE", help="keep all objects there over restarts")
    return parser.parse_args(argv)


async def _serve(options: argparse.Namespace) -> None:
    ignore_double_resets(asyncio.get_running_loop())
    sockets = [socket.socket(fileno=number) for number in options.listen_fd]
    listen = options.listen or ([] if sockets else [("127.0.0.1", 6443)])
    names = [host for host, _ in listen] + [str(one.getsockname()[0]) for one in sockets] + options.san
    names = [name for name in names if name not in ("0.0.0.0", "::")]
    tls = await asyncio.to_thread(tls_in, options.tls_dir, names) if options.tls_dir else None
    host, port = listen[0] if listen else ("127.0.0.1", 0)
    server = ApiServer(
        host=host,
        port=port,
        tls=tls,
        log_provider=FileLogs(options.pod_logs) if options.pod_logs else None,
        kubelet_tls=options.kubelet_tls,
        journal=options.journal,
        admin_token=os.environ.get("APISERVER_ADMIN_TOKEN"),
        token_key=await asyncio.to_thread(_token_key, options.journal) if options.journal else None,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    try:
        for host, port in listen[1:]:
            await server.listen(host, port)
        for inherited in sockets:
            inherited.setblocking(False)
            await server.listen_on(inherited)
        if options.admin:
            print("admin", await server.listen_admin(*options.admin), flush=True)
        url = options.server
        if not url and not options.listen and sockets:
            address = sockets[0].getsockname()
            shown = f"[{address[0]}]" if ":" in address[0] else address[0]
            url = f"{'https' if tls else 'http'}://{shown}:{address[1]}"
        if options.kubeconfig:
            text = json.dumps(server.kubeconfig(server=url), indent=2)
            await asyncio.to_thread(_write_private, options.kubeconfig, text)
        print("serving", url or server.url, flush=True)
        await stop.wait()
    finally:
        await server.stop()


def _token_key(journal: Path) -> bytes:
    """The key that signs ServiceAccount tokens, kept beside the journal: they must be good after a restart."""
    path = journal.with_name(journal.name + ".key")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def _write_private(path: Path, text: str) -> None:
    """In one step, so that nobody reads half of it."""
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)
    part.write_text(text)
    part.replace(path)


def main(argv: list[str] | None = None) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    asyncio.run(_serve(_arguments(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
