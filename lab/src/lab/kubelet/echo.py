"""An HTTP server that says on which node it runs, whom it saw asking, and which pod it is: for web servers in pods.

`echo.py NODE PORT ...`. Imports the standard library alone, and runs as a file, so that a pod serves at once.
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
    """One request, one line: `NODE CLIENT:PORT POD`."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await reader.readuntil(b"\r\n\r\n")
            peer = describe_peer(*writer.get_extra_info("peername")[:2])
            body = f"{node} {peer} {socket.gethostname()}\n".encode()
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


async def serve(node: str, ports: list[int]) -> None:
    """Answer on these ports of all addresses until cancelled."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(node, reader, writer)

    async with contextlib.AsyncExitStack() as stack:
        for port in ports:
            listening = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
            await stack.enter_async_context(await asyncio.start_server(respond, sock=listening, limit=_HEAD_LIMIT))
        log.info("echo on %s", ", ".join(map(str, ports)))
        await asyncio.Event().wait()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(serve(sys.argv[1], [int(port) for port in sys.argv[2:]]))


if __name__ == "__main__":
    main()
