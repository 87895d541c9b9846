"""The form in which netlink has whatever is in a message: netlink(7). Pure."""

from __future__ import annotations

import struct
from typing import Final

_HEAD: Final = struct.Struct("=HH")
_KIND: Final = 0x3FFF
"""Without the flags for what is nested and in the network's byte order."""


def attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded to 4 bytes."""
    return _HEAD.pack(4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """The payload of each attribute by its kind; what is cut off is left out."""
    found: dict[int, bytes] = {}
    while len(data) >= _HEAD.size:
        length, kind = _HEAD.unpack_from(data)
        if not _HEAD.size <= length <= len(data):
            break
        found[kind & _KIND] = data[_HEAD.size : length]
        data = data[(length + 3) & ~3 :]
    return found
