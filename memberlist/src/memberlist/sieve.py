"""What the kernel may drop before it costs us anything: bytes that no member of any cluster sends.

Owns that rule, as a classic BPF program (linux/filter.h; kernel documentation, networking/filter).  It is coarse on
purpose: packets of another cluster or with another key pass, so that they are counted and their sources named.  Opens
no socket.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Collection, Mapping
from typing import NamedTuple

from memberlist.crypto import MIN_SIZE
from memberlist.messages import Address, MessageType

UDP_HEADER = 8
"""A filter on a UDP socket sees the packet from its UDP header on."""
NET_HEADER = 0xFFF0_0000
"""Offsets from here (SKF_NET_OFF) count from the IP header."""
IPV4_SOURCE, IPV6_SOURCE = 12, 8
"""Where the source address begins in an IP header."""

LOAD_BYTE, LOAD_HALF, LOAD_WORD, LOAD_SIZE, LOAD_MEMORY = 0x30, 0x28, 0x20, 0x80, 0x60
LOAD_BYTE_AT_X = 0x50
SET_X, COPY_TO_X, STORE = 0x01, 0x07, 0x02
ADD, SUBTRACT_X, SHIFT_LEFT, SHIFT_RIGHT, AND = 0x04, 0x1C, 0x64, 0x74, 0x54
JUMP, IF_EQUAL, IF_GREATER, IF_AT_LEAST, IF_AT_LEAST_X = 0x05, 0x15, 0x25, 0x35, 0x3D
RETURN = 0x06

DROP, KEEP = "drop", "keep"
NEXT = ""
EVERYTHING = 0xFFFF_FFFF


class Step(NamedTuple):
    """One instruction; jumps go to labels, NEXT is the instruction that follows."""

    code: int
    operand: int = 0
    then: str = NEXT
    otherwise: str = NEXT
    label: str = NEXT


def program(banned: Mapping[Address, Collection[int]] | None = None) -> bytes:
    """`struct sock_filter[]`: drops what can't be a packet of a member, and all from banned addresses but their spared
    source ports."""
    steps: list[Step] = []
    for number, (address, spared) in enumerate((banned or {}).items()):
        steps += _ban(address, spared, f"not {number}")
    return _assemble(steps + _SHAPE)


def _ban(address: Address, spared: Collection[int], otherwise: str) -> list[Step]:
    """Drop what comes from `address`, unless its source port is `spared`."""
    source = IPV4_SOURCE if address.version == 4 else IPV6_SOURCE
    steps = [
        Step(LOAD_BYTE, NET_HEADER),
        Step(SHIFT_RIGHT, 4),
        Step(IF_EQUAL, address.version, otherwise=otherwise),
    ]
    for at, word in enumerate(struct.unpack(f"!{len(address.packed) // 4}I", address.packed)):
        steps += [Step(LOAD_WORD, NET_HEADER + source + 4 * at), Step(IF_EQUAL, word, otherwise=otherwise)]
    steps.append(Step(LOAD_HALF, 0))
    steps += [Step(IF_EQUAL, port, then=otherwise) for port in spared]
    return [*steps, Step(RETURN, 0), Step(SET_X, 0, label=otherwise)]


# X is where the message begins in the payload.  A load beyond the end of the packet drops it.
_SHAPE = [
    Step(SET_X, 0),
    Step(LOAD_BYTE, UDP_HEADER),
    Step(IF_EQUAL, MessageType.LABEL, otherwise="type"),
    Step(LOAD_BYTE, UDP_HEADER + 1),
    Step(IF_EQUAL, 0, then=DROP),
    Step(ADD, 2),
    Step(COPY_TO_X),
    Step(LOAD_BYTE_AT_X, UDP_HEADER, label="type"),
    Step(IF_EQUAL, MessageType.USER, then=KEEP),
    Step(IF_EQUAL, MessageType.HAS_CRC, then="crc"),
    Step(IF_EQUAL, MessageType.COMPOUND, then="compound"),
    Step(IF_EQUAL, MessageType.PUSH_PULL, then=DROP),
    Step(IF_EQUAL, MessageType.ENCRYPT, then=DROP),
    Step(IF_GREATER, MessageType.NACK, then=DROP),
    Step(STORE, 0),
    Step(LOAD_BYTE_AT_X, UDP_HEADER + 1),  # a msgpack map: 8x, de or df
    Step(IF_EQUAL, 0xDE, then=KEEP),
    Step(IF_EQUAL, 0xDF, then=KEEP),
    Step(AND, 0xF0),
    Step(IF_EQUAL, 0x80, then=KEEP),
    Step(LOAD_MEMORY, 0),  # or a version of encryption, 0 or 1, and enough of it
    Step(IF_GREATER, max(MIN_SIZE), then=DROP),
    Step(LOAD_SIZE),
    Step(SUBTRACT_X),
    Step(IF_AT_LEAST, UDP_HEADER + min(MIN_SIZE.values()), then=KEEP, otherwise=DROP),
    Step(LOAD_BYTE_AT_X, UDP_HEADER + 5, label="crc"),  # the type of the message behind it
    Step(IF_GREATER, MessageType.NACK, then=DROP, otherwise=KEEP),
    Step(LOAD_SIZE, label="compound"),  # all lengths and at least one byte of a part
    Step(SUBTRACT_X),
    Step(STORE, 0),
    Step(LOAD_BYTE_AT_X, UDP_HEADER + 1),
    Step(IF_EQUAL, 0, then=DROP),
    Step(SHIFT_LEFT, 1),
    Step(ADD, UDP_HEADER + 3),
    Step(COPY_TO_X),
    Step(LOAD_MEMORY, 0),
    Step(IF_AT_LEAST_X, then=KEEP, otherwise=DROP),
    Step(RETURN, 0, label=DROP),
    Step(RETURN, EVERYTHING, label=KEEP),
]


def _assemble(steps: list[Step]) -> bytes:
    places = {step.label: place for place, step in enumerate(steps) if step.label}
    lines = []
    for place, step in enumerate(steps):
        then, otherwise = (places[label] - place - 1 if label else 0 for label in (step.then, step.otherwise))
        lines.append(struct.pack("=HBBI", step.code, then, otherwise, step.operand))
    return b"".join(lines)


INSTRUCTION_SIZE = struct.calcsize("=HBBI")


def is_bannable(address: Address) -> bool:
    """Whether the kernel can be told: it compares addresses as they are in the IP header, without a scope."""
    return isinstance(address, ipaddress.IPv4Address) or address.scope_id is None
