"""HTTP echo on port 80 of every node: says which node answered, and whom it saw asking.

Stands for kube-proxy and the pods behind a Service. Listens on all addresses of both families, so that it
answers on a VIP from the moment that the kernel has it. Owns no namespace: the supervisor opens the sockets
inside the nodes and hands them over. Arguments: `FD=NODE-NAME ...`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from ipaddress import IPv6Address, ip_address

log = logging.getLogger("lab.echo")

_HEAD_LIMIT = 16 * 1024  # bytes
_PATIENCE = 10.0  # seconds until a silent client is cut off


async def answer(node: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request, one line: `NODE CLIENT:PORT`."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await reader.readuntil(b"\r\n\r\n")
            body = f"{node} {describe_peer(*writer.get_extra_info('peername')[:2])}\n".encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
            writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError):
        pass  # a client that leaves early or speaks no HTTP gets nothing
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def describe_peer(address: str, port: int) -> str:
    """`10.31.100.2:40000`, `[fd00::2]:40000`; an IPv4 client of the dual-stack socket shows as IPv4."""
    peer = ip_address(address.partition("%")[0])
    if isinstance(peer, IPv6Address):
        if peer.ipv4_mapped is None:
            return f"[{peer}]:{port}"
        peer = peer.ipv4_mapped
    return f"{peer}:{port}"


async def serve(sockets: dict[str, socket.socket]) -> None:
    """Answer on these sockets, by node name, until cancelled."""
    async with contextlib.AsyncExitStack() as stack:
        for node, listening in sockets.items():

            async def respond(r: asyncio.StreamReader, w: asyncio.StreamWriter, node: str = node) -> None:
                await answer(node, r, w)

            await stack.enter_async_context(await asyncio.start_server(respond, sock=listening, limit=_HEAD_LIMIT))
        log.info("echo on %d nodes", len(sockets))
        await asyncio.Event().wait()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    pairs = (argument.split("=", 1) for argument in sys.argv[1:])
    asyncio.run(serve({node: socket.socket(fileno=int(fd)) for fd, node in pairs}))


if __name__ == "__main__":
    main()
