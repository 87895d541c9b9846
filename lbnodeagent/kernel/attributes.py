"""The form in which netlink has whatever is in a message: netlink(7). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_HEAD: Final = struct.Struct("=HH")
_KIND: Final = 0x3FFF
"""Without the flags for what is nested and in the network's byte order."""


def attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded to 4 bytes."""
    return _HEAD.pack(4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The payload of each attribute by its kind; what is cut off is left out."""
    return dict(_split(data))


def nested(data: bytes) -> list[bytes]:
    """The payloads of attributes of one kind, as lists have them; likewise."""
    return [payload for _, payload in _split(data)]


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while len(data) - at >= _HEAD.size:
        length, kind = _HEAD.unpack_from(data, at)
        if not _HEAD.size <= length <= len(data) - at:
            break
        yield kind & _KIND, data[at + _HEAD.size : at + length]
        at += (length + 3) & ~3
