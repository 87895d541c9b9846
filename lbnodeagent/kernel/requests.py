"""Requests that add, renew and remove addresses, as rtnetlink takes them, and the kernel's answers. Pure.

Written here because many go in one send: a library that builds and awaits each message takes a hundred times as long,
which is the difference between 0.05 s and 2 s for the thousand VIPs of a dead node. Source: netlink(7), rtnetlink(7),
linux/if_addr.h.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lbnodeagent.kernel.addressmessages import ADDRESS, CACHEINFO, DELADDR, FLAGS, LABEL, LOCAL, NEWADDR, PROTO
from lbnodeagent.kernel.attributes import attribute
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

_ERROR: Final = 2
_REQUEST: Final = 0x1
_ACK: Final = 0x4
_REPLACE: Final = 0x100
_EXCLUSIVE: Final = 0x200
_CREATE: Final = 0x400

_BROADCAST: Final = 4

_HEADER = struct.Struct("=IHHII")
_IFADDRMSG = struct.Struct("=BBBBI")


@dataclass(frozen=True, slots=True)
class NewAddress:
    """An address to be added, or with ``replaces`` to be given a new lifetime; lifetimes in seconds."""

    index: IfIndex
    address: IPAddress
    prefix_length: int
    flags: int
    valid: int
    preferred: int
    proto: int | None
    broadcast: IPAddress | None
    replaces: bool
    label: str | None = None
    """IPv4 alone has one; the interface's name where none is given."""


def encode_new(new: NewAddress, sequence: int) -> bytes:
    """RTM_NEWADDR. Not replacing, it fails with EEXIST if the address is there."""
    body = attribute(LOCAL, new.address.packed) + attribute(ADDRESS, new.address.packed)
    if new.broadcast is not None:
        body += attribute(_BROADCAST, new.broadcast.packed)
    if new.label is not None:
        body += attribute(LABEL, new.label.encode() + b"\0")
    body += attribute(CACHEINFO, struct.pack("=IIII", new.preferred, new.valid, 0, 0))
    body += attribute(FLAGS, struct.pack("=I", new.flags))
    if new.proto is not None:
        body += attribute(PROTO, struct.pack("=B", new.proto))
    how = _CREATE | (_REPLACE if new.replaces else _EXCLUSIVE)
    return _request(NEWADDR, how, new.index, new.address, new.prefix_length, body, sequence)


def encode_delete(index: IfIndex, address: IPAddress, prefix_length: int, sequence: int) -> bytes:
    """RTM_DELADDR."""
    body = attribute(LOCAL, address.packed) + attribute(ADDRESS, address.packed)
    return _request(DELADDR, 0, index, address, prefix_length, body, sequence)


def _request(
    kind: int, how: int, index: IfIndex, address: IPAddress, prefix_length: int, body: bytes, sequence: int
) -> bytes:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    message = _IFADDRMSG.pack(family, prefix_length, 0, 0, index) + body
    return _HEADER.pack(_HEADER.size + len(message), kind, _REQUEST | _ACK | how, sequence, 0) + message


def decode_answers(data: bytes) -> Iterator[tuple[int, int]]:
    """The sequence number and errno (0: done) of each answer."""
    while len(data) >= _HEADER.size + 4:
        length, kind, _, sequence, _ = _HEADER.unpack_from(data)
        if kind == _ERROR:
            yield sequence, -int(struct.unpack_from("=i", data, _HEADER.size)[0])
        data = data[(max(length, _HEADER.size) + 3) & ~3 :]
