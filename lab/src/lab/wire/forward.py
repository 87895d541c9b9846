"""Carries TCP connections from listening sockets to one address, byte for byte, and fails at it on demand.

Owns nothing but the copying. It makes a server that can't be handed sockets reachable from the lab's wire. Its faults
are the way's, not the server's: who goes there by another way sees nothing of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from kubedouble.connections import abort, reset

_CHUNK = 64 * 1024  # bytes
DELAY: Final = 1.0
"""Seconds by which what a server sends is late where the way is slow."""
WAY_FAULTS: Final = ("slow", "half-open", "down", "reset")


@dataclass(eq=False, slots=True)
class _Connection:
    transport: asyncio.Transport
    """To the client."""
    is_dead: bool = False
    """Whether nothing comes by it ever again, its end included."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Forwarder:
    """`run` carries until cancelled."""

    def __init__(self, listening: Iterable[socket.socket], host: str, port: int) -> None:
        self._listening = tuple(listening)
        self._host, self._port = host, port
        self._port_instead: int | None = None
        self._fault = ""
        self._connections: set[_Connection] = set()

    async def run(self) -> None:
        """Accept on the sockets and connect each client to the address, for ever."""
        async with contextlib.AsyncExitStack() as stack:
            for one in self._listening:
                await stack.enter_async_context(await asyncio.start_server(self._carry, sock=one))
            await asyncio.Event().wait()

    def fail(self, kind: str) -> None:
        """Begin one of `WAY_FAULTS`; it takes the place of another."""
        assert kind in WAY_FAULTS, kind
        self._fault = kind
        for connection in self._connections:
            match kind:
                case "half-open":
                    connection.is_dead = True
                case "down":
                    abort(connection.transport)
                case "reset":
                    reset(connection.transport)

    def divert(self, port: int) -> None:
        """Carry to another port, whoever comes; those who are there have to come again."""
        self._port_instead = port
        self._cut()

    def heal(self) -> None:
        """Carry well again, and to the address; connections that are half open stay so."""
        self._fault = ""
        if self._port_instead is not None:
            self._port_instead = None
            self._cut()

    def _cut(self) -> None:
        for connection in self._connections:
            if not connection.is_dead:
                abort(connection.transport)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport), "a socket's goes both ways"
        match self._fault:
            case "down":
                abort(transport)
                return
            case "reset":
                with contextlib.suppress(OSError):  # a client may give up first
                    await reader.read(1)  # whoever asks for something meets it
                reset(transport)
                return
        connection = _Connection(transport, is_dead=self._fault == "half-open")
        self._connections.add(connection)
        try:
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection(self._host, self._port_instead or self._port)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._copy(reader, back, connection))
                        tasks.create_task(self._copy(there, writer, connection))
                finally:
                    back.close()
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, connection: _Connection) -> None:
        """Copy until the source ends or either side breaks, and pass the end on."""
        is_answer = target.transport is connection.transport
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if connection.is_dead:
                    continue
                if is_answer and self._fault == "slow":
                    await asyncio.sleep(DELAY)
                target.write(data)
                await target.drain()
        if connection.is_dead and is_answer:
            await connection.ended.wait()  # the client doesn't hear of it
        if not is_answer:
            connection.ended.set()
        with contextlib.suppress(OSError):
            if target.can_write_eof():
                target.write_eof()
            else:
                target.close()
