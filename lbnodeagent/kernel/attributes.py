"""The form in which netlink has whatever is in a message: netlink(7). Pure."""

from __future__ import annotations

import struct


def attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded to 4 bytes."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)
