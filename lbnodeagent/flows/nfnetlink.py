"""Messages to the kernel's netfilter subsystems, and their answers. Pure. Source: linux/netfilter/nfnetlink.h."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

REQUEST, ACK, DUMP = 0x001, 0x004, 0x300
NESTED: Final = 0x8000
ERROR: Final = 2
DONE: Final = 3
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NFTABLES: Final = 10
HEAD: Final = struct.Struct("=IHHII")


class Message(NamedTuple):
    """What is asked of a subsystem."""

    kind: int
    flags: int
    family: int
    body: bytes = b""


def encode(message: Message, sequence: int, *, resource: int = 0) -> bytes:
    """As it is sent."""
    body = struct.pack("!BBH", message.family, 0, resource) + message.body
    return HEAD.pack(HEAD.size + len(body), message.kind, REQUEST | message.flags, sequence, 0) + body


def batch(messages: Sequence[Message], sequence: int) -> bytes:
    """All of these or nothing. The end of it is answered, and each message that fails."""
    begin = encode(Message(_BATCH_BEGIN, 0, 0), sequence, resource=_NFTABLES)
    end = encode(Message(_BATCH_END, ACK, 0), sequence, resource=_NFTABLES)
    return b"".join((begin, *(encode(message, sequence) for message in messages), end))


def messages_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind and what is behind the head of each message; what is cut off is left out."""
    at = 0
    while len(data) - at >= HEAD.size:
        length, kind, *_ = HEAD.unpack_from(data, at)
        if not HEAD.size <= length <= len(data) - at:
            break
        yield kind, data[at + HEAD.size : at + length]
        at += (length + 3) & ~3


def answers(data: bytes, sequence: int) -> Iterator[int]:
    """The errno, 0 for done, of each answer to the request of that number."""
    while len(data) >= HEAD.size + 4:
        length, kind, _, number, _ = HEAD.unpack_from(data)
        if number == sequence and kind == ERROR:
            yield -int(struct.unpack_from("=i", data, HEAD.size)[0])
        data = data[(max(length, HEAD.size) + 3) & ~3 :]
