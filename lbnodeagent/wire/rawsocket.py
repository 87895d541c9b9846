"""Ethernet frames out and in (AF_PACKET). Needs CAP_NET_RAW. It knows nothing of VIPs."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from typing import Final, Self

from lbnodeagent.tables import IfIndex
from lbnodeagent.wire.frames import ETHERTYPE_ARP, ETHERTYPE_IPV6

_SO_ATTACH_FILTER: Final = 26
_LONGEST: Final = 2048
_PER_WAKE: Final = 64

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

    async def frames(self) -> AsyncGenerator[tuple[IfIndex, bytes], None]:
        """Frames from outside as they come; those that this host sends itself are left out."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        for listening in self._sockets:
            loop.add_reader(listening.fileno(), readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                for listening in self._sockets:
                    for _ in range(_PER_WAKE):
                        try:
                            frame, (name, _protocol, kind, *_rest) = listening.recvfrom(_LONGEST)
                        except BlockingIOError:
                            break
                        except OSError:
                            break  # ENETDOWN: an interface went down; the socket goes on with the others
                        if kind != socket.PACKET_OUTGOING:
                            yield _index_of(name), frame
        finally:
            for listening in self._sockets:
                if listening.fileno() >= 0:
                    loop.remove_reader(listening.fileno())


def _index_of(name: str) -> IfIndex:
    try:
        return IfIndex(socket.if_nametoindex(name))
    except OSError:
        return IfIndex(0)  # gone since the frame came


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
