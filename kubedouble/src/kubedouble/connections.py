"""The clients' connections: who spoke last on each, and what befalls them from outside of a request.

Owns cutting, resetting and freezing. Must not touch: requests' meaning, listening.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from aiohttp import web

from .fault import Fault, Meeting


@dataclass(slots=True)
class _Connection:
    last: Meeting
    """Its newest request."""
    answering: asyncio.Task[Any] | None = None
    is_frozen: bool = False


class Connections:
    """All that are open, also those that wait for their next request."""

    def __init__(self) -> None:
        self._open: WeakKeyDictionary[asyncio.BaseTransport, _Connection] = WeakKeyDictionary()

    async def serve(
        self, request: web.BaseRequest, meeting: Meeting, answer: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """The answer, unless its connection is frozen before it is given: then nothing, for ever."""
        transport = request.transport
        if transport is None:
            return await answer()
        connection = self._open.setdefault(transport, _Connection(meeting))
        connection.last, connection.answering = meeting, asyncio.current_task()
        try:
            if not connection.is_frozen:
                return await answer()
        except asyncio.CancelledError:
            if not connection.is_frozen or transport.is_closing():
                raise
        finally:
            connection.answering = None
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    def freeze(self, request: web.BaseRequest) -> None:
        """Nothing more is sent on this request's connection, and it isn't closed."""
        if request.transport is not None:
            self._open[request.transport].is_frozen = True

    def freeze_all(self, fault: Fault) -> None:
        """Likewise those of all whom a fault meets, in the middle of an answer too."""
        for connection in list(self._open.values()):
            if fault.meets(connection.last) and not connection.is_frozen:
                connection.is_frozen = True
                if connection.answering is not None:
                    connection.answering.cancel()

    def cut_all(self, fault: Fault | None = None, *, by_reset: bool = False) -> None:
        """Close the connections of all whom a fault meets, or all."""
        for transport, connection in list(self._open.items()):
            if isinstance(transport, asyncio.Transport) and (fault is None or fault.meets(connection.last)):
                if by_reset:
                    reset(transport)
                else:
                    abort(transport)


def abort(transport: asyncio.Transport) -> None:
    """End a connection at once."""
    # Of a TLS transport that was closed twice, CPython 3.11 keeps no protocol that could be told: it has ended.
    with contextlib.suppress(AttributeError):
        transport.abort()


def reset(transport: asyncio.Transport) -> None:
    """End a connection by RST: what was sent and not read yet is lost too (SO_LINGER 0)."""
    raw = None if transport.is_closing() else transport.get_extra_info("socket")  # as abort: it may have no protocol
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    abort(transport)
