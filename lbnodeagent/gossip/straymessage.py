"""What nodes ask each other of connections that a router sends to another node than before, and the answer. Pure.

A question: magic, the sender's name behind its length, a number, the sender's address behind its IP version; then the
connections, as flows/tables.py has strays. An answer: the same head, then which of the question's its sender serves, by
their places in it. Bytes that can't be read raise MetaError.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from lbnodeagent.errors import MetaError
from purelb.addresses import IPAddress

STRAYS_MOST: Final = 5000
"""In one question: 60 kB, 180 kB over IPv6."""
_QUESTION, _ANSWER = b"PL\x01q", b"PL\x01r"
_NUMBER: Final = struct.Struct("!QB")
_FOUND: Final = struct.Struct("!HI")


@dataclass(frozen=True, slots=True)
class StrayQuestion:
    """ "Packets of these connections come to me, and I don't know them: whose are they?"."""

    sender: str
    """Kubernetes node name."""
    number: int
    asker: IPAddress
    """The sender's own address, where the answer's is to be reached."""
    strays: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StrayAnswer:
    """ "I serve these of them"."""

    sender: str
    number: int
    """The question's."""
    server: IPAddress
    """The sender's own address on the asker's subnet."""
    found: tuple[tuple[int, int], ...]
    """Places in the question, each with the seconds for which the kernel will remember that one without a packet."""


StrayMessage = StrayQuestion | StrayAnswer


def encode_strays(message: StrayMessage) -> bytes:
    """The one payload of it."""
    match message:
        case StrayQuestion():
            return _head(_QUESTION, message.sender, message.number, message.asker) + b"".join(message.strays)
        case StrayAnswer():
            found = b"".join(_FOUND.pack(place, left) for place, left in message.found)
            return _head(_ANSWER, message.sender, message.number, message.server) + found


def is_of_strays(payload: bytes) -> bool:
    """Whether that is such a message, readable or not."""
    return payload[: len(_QUESTION)] in (_QUESTION, _ANSWER)


def decode_strays(payload: bytes) -> StrayMessage | None:
    """None for a message of another kind. Raises MetaError."""
    if not is_of_strays(payload):
        return None
    is_question = payload.startswith(_QUESTION)
    at = len(_QUESTION)
    try:
        size = payload[at]
        sender = payload[at + 1 : at + 1 + size].decode()
        number, version = _NUMBER.unpack_from(payload, at + 1 + size)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise MetaError(f"a message of strays that can't be read: {error}") from error
    at += 1 + size + _NUMBER.size
    width = {4: 4, 6: 16}.get(version)
    if not size or width is None or len(payload) < at + width:
        raise MetaError("a message of strays without its sender or its address")
    packed, rest = payload[at : at + width], payload[at + width :]
    address = IPv4Address(packed) if width == 4 else IPv6Address(packed)
    one = 4 + 2 * width if is_question else _FOUND.size
    if len(rest) % one or len(rest) // one > STRAYS_MOST:
        raise MetaError("a message of strays that ends within one, or has too many")
    if is_question:
        return StrayQuestion(sender, number, address, tuple(rest[at : at + one] for at in range(0, len(rest), one)))
    return StrayAnswer(sender, number, address, tuple(_FOUND.iter_unpack(rest)))


def _head(magic: bytes, sender: str, number: int, address: IPAddress) -> bytes:
    name = sender.encode()
    return magic + bytes([len(name)]) + name + _NUMBER.pack(number, address.version) + address.packed
