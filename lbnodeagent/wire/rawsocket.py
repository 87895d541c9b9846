"""Ethernet frames out and in (AF_PACKET). Needs CAP_NET_RAW. It knows nothing of VIPs."""

from __future__ import annotations

import asyncio
import ctypes
import select
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Self

from lbnodeagent.tables import IfIndex
from lbnodeagent.wire.frames import ETHERTYPE_ARP, ETHERTYPE_IPV6

_SO_ATTACH_FILTER: Final = 26
_LONGEST: Final = 2048
_PER_WAKE: Final = 64
_BELIEVED: Final = 1.0
"""Seconds."""

# Classic BPF: IPv6, next header ICMPv6 (offset 20), type neighbour advertisement (offset 54).
_ADVERTISEMENTS: Final = (
    (0x28, 0, 0, 12),
    (0x15, 0, 5, ETHERTYPE_IPV6),
    (0x30, 0, 0, 20),
    (0x15, 0, 3, 58),
    (0x30, 0, 0, 54),
    (0x15, 0, 1, 136),
    (0x06, 0, 0, 0x40000),
    (0x06, 0, 0, 0),
)


class FrameSender:
    """Sends whole Ethernet frames on any interface; never blocks."""

    def __init__(self) -> None:
        # Protocol 0: this socket receives nothing.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, interface: str, frame: bytes) -> None:
        """Raises OSError, also when the interface's queue is full."""
        self._socket.sendto(frame, (interface, 0))


class FrameListener:
    """Receives ARP frames and neighbour advertisements from every interface, with the interface's index."""

    def __init__(self) -> None:
        self._sockets = [
            _packet_socket(ETHERTYPE_ARP, ()),
            _packet_socket(ETHERTYPE_IPV6, _ADVERTISEMENTS),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for listening in self._sockets:
            listening.close()

    async def hear(self, heard: Callable[[IfIndex, bytes], None]) -> None:
        """Tell of each frame from outside as it comes, until cancelled; what ``heard`` raises ends it.

        Those that this host sends itself are left out. The loop calls back and wakes no task, nor is it told by an
        exception that there is no more: each takes longer than all else that is done for a frame, and wires have many.
        """
        loop = asyncio.get_running_loop()
        failure: asyncio.Future[None] = loop.create_future()
        indexes = _Indexes(loop.time)

        def read(listening: socket.socket, waiting: select.poll) -> None:
            try:
                for index, frame in _frames(listening, waiting, indexes):
                    heard(index, frame)
            except Exception as error:
                if not failure.done():
                    failure.set_exception(error)

        for listening in self._sockets:
            waiting = select.poll()
            waiting.register(listening, select.POLLIN)
            loop.add_reader(listening.fileno(), read, listening, waiting)
        try:
            await failure
        finally:
            for listening in self._sockets:
                if listening.fileno() >= 0:
                    loop.remove_reader(listening.fileno())


def _frames(listening: socket.socket, waiting: select.poll, indexes: _Indexes) -> Iterator[tuple[IfIndex, bytes]]:
    """What waits in a socket, but others get their turn too."""
    for _ in range(_PER_WAKE):
        if not waiting.poll(0):
            return
        try:
            frame, (name, _protocol, kind, *_rest) = listening.recvfrom(_LONGEST)
        except OSError:
            return  # ENETDOWN: an interface went down; the socket goes on with the others
        if kind != socket.PACKET_OUTGOING:
            yield indexes.of(name), frame


class _Indexes:
    """Of interfaces by their names, each believed for a moment: to look one up takes a socket."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, IfIndex] = {}
        self._until = 0.0

    def of(self, name: str) -> IfIndex:
        """0: it's gone since the frame came."""
        now = self._clock()
        if now >= self._until:
            self._known.clear()
            self._until = now + _BELIEVED
        if name not in self._known:
            try:
                self._known[name] = IfIndex(socket.if_nametoindex(name))
            except OSError:
                return IfIndex(0)
        return self._known[name]


def _packet_socket(ethertype: int, program: Sequence[tuple[int, int, int, int]]) -> socket.socket:
    """A socket for one protocol on every interface; frames from before the filter was there can still be in it."""
    listening = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(ethertype))
    listening.setblocking(False)
    if program:
        code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
        buffer = ctypes.create_string_buffer(code, len(code))
        fprog = struct.pack("@HP", len(program), ctypes.addressof(buffer))
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
    return listening
