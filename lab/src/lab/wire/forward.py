"""Carries TCP connections from listening sockets to one address, byte for byte.

Owns nothing but the copying. It makes a server that can't be handed sockets reachable from the lab's wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable

_CHUNK = 64 * 1024  # bytes


async def forward(listening: Iterable[socket.socket], host: str, port: int) -> None:
    """Accept on these sockets and connect each client to `host:port`, until cancelled."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(host, port)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, back))
                tasks.create_task(_copy(there, writer))
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        for one in listening:
            await stack.enter_async_context(await asyncio.start_server(carry, sock=one))
        await asyncio.Event().wait()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the source ends or either side breaks, and pass the end on."""
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
    with contextlib.suppress(OSError):
        if target.can_write_eof():
            target.write_eof()
        else:
            target.close()
