"""The expressions of nf_tables that our rules are made of, each as an attribute of a rule. Pure.

Source: linux/netfilter/nf_tables.h. Registers are those of 4 bytes; a value longer than that goes on in the next ones.
"""

from __future__ import annotations

import struct
from typing import Final

from lbnodeagent.flows.nfnetlink import NESTED
from lbnodeagent.kernel.attributes import attribute

KEY: Final = 8
"""NFT_REG32_00."""
VERDICT: Final = 0
LINK, NETWORK, TRANSPORT = 0, 1, 2
META_PROTOCOL, META_MARK, META_IIF, META_NFPROTO, META_L4PROTO = 1, 3, 4, 15, 16
CT_DIRECTION, CT_MARK = 1, 3
ORIGINAL, REPLY = b"\0", b"\1"
"""Of a connection's packets: the way in which it began, and back."""
EQUAL, UNEQUAL = 0, 1
ADD, UPDATE, DELETE = 0, 1, 2
JUMP, RETURN, DROP, ACCEPT = -3, -5, 0, 1
COUNTER: Final = 1
"""NFT_OBJECT_COUNTER."""
TCP, SCTP = b"\6", b"\x84"
SYN, TCP_FLAGS = b"\x02", b"\x17"
"""SYN; FIN, SYN, RST and ACK."""
IS_NEW: Final = struct.pack("=I", 8)
"""NF_CT_STATE_BIT(IP_CT_NEW)."""
IS_UNKNOWN: Final = struct.pack("=I", 8 | 1)
"""That and NF_CT_STATE_INVALID_BIT."""
INIT: Final = b"\1"
"""The first chunk of an association of SCTP (RFC 9260 section 3.2)."""


def meta(key: int, register: int) -> bytes:
    """What is known of a packet beside its bytes."""
    return _expression("meta", number(1, register) + number(2, key))


def set_meta(key: int, register: int) -> bytes:
    """Change that, to what a register has."""
    return _expression("meta", number(2, key) + number(3, register))


def connection(key: int, register: int) -> bytes:
    """What conntrack knows of a packet's connection; nothing more is done where it has none."""
    return _expression("ct", number(1, register) + number(2, key))


def set_connection(key: int, register: int) -> bytes:
    """Change that, to what a register has."""
    return _expression("ct", number(2, key) + number(4, register))


def payload(base: int, offset: int, size: int, register: int) -> bytes:
    """Bytes of it."""
    return _expression("payload", number(1, register) + number(2, base) + number(3, offset) + number(4, size))


def compare(register: int, wanted: bytes, how: int = EQUAL) -> bytes:
    """Go on if that is so."""
    return _expression("cmp", number(1, register) + number(2, how) + value(3, wanted))


def masked(register: int, mask: bytes, turned: bytes = b"") -> bytes:
    """Of a register these bits alone; then those of ``turned`` are turned over."""
    size, others = number(3, len(mask)), value(5, turned or bytes(len(mask)))
    return _expression("bitwise", number(1, register) + number(2, register) + size + value(4, mask) + others)


def tcp_flags(register: int) -> bytes:
    """Those of TCP_FLAGS."""
    return payload(TRANSPORT, 13, 1, register) + masked(register, TCP_FLAGS)


def connection_state(register: int) -> bytes:
    """By conntrack, as a bit."""
    return _expression("ct", number(1, register) + number(2, 0))


def lookup(name: str, *, is_map: bool = False, is_in: bool = True) -> bytes:
    """Go on if what begins in KEY is in a set, or is not; of a map, with its verdict."""
    how = (number(3, VERDICT) if is_map else b"") + (b"" if is_in else number(5, 1))
    return _expression("lookup", text(1, name) + number(2, KEY) + how)


def dynset(name: str, how: int, timeout: int = 0) -> bytes:
    """Change a set by what begins in KEY; the timeout is in seconds."""
    lasts = attribute(6, struct.pack("!Q", timeout * 1000)) if timeout else b""
    return _expression("dynset", text(1, name) + number(3, how) + number(4, KEY) + lasts)


def load(register: int, data: bytes) -> bytes:
    """A constant."""
    return _expression("immediate", number(1, register) + value(2, data))


def verdict(code: int, chain: str = "") -> bytes:
    """The end of the packet's way, or where it goes on."""
    what = number(1, code) + (text(2, chain) if chain else b"")
    return _expression("immediate", number(1, VERDICT) + attribute(2 | NESTED, attribute(2 | NESTED, what)))


def counter(name: str) -> bytes:
    """Count packets and bytes in that object."""
    return _expression("objref", number(1, COUNTER) + text(2, name))


def forward(device: int, address: int, family: int) -> bytes:
    """Send it on, on layer 2, to the address and by the interface in these registers."""
    return _expression("fwd", number(1, device) + number(2, address) + number(3, family))


def _expression(name: str, data: bytes) -> bytes:
    return attribute(1 | NESTED, text(1, name) + attribute(2 | NESTED, data))


def text(kind: int, string: str) -> bytes:
    """An attribute with a string."""
    return attribute(kind, string.encode() + b"\0")


def number(kind: int, integer: int) -> bytes:
    """An attribute with a number of 4 bytes."""
    return attribute(kind, (integer & 0xFFFFFFFF).to_bytes(4, "big"))


def value(kind: int, data: bytes) -> bytes:
    """An attribute with what a register may have."""
    return attribute(kind | NESTED, attribute(1, data))


# --- of which several tables of ours make their rules -----------------------------------------------------------------


def frames_of(version: int) -> bytes:
    """meta protocol ip"""
    return meta(META_PROTOCOL, KEY) + compare(KEY, b"\x08\x00" if version == 4 else b"\x86\xdd")


def packets_of(version: int) -> bytes:
    """meta nfproto ipv4"""
    return meta(META_NFPROTO, KEY) + compare(KEY, b"\2" if version == 4 else b"\x0a")


def destination(version: int, register: int = KEY) -> bytes:
    """ip daddr"""
    return payload(NETWORK, *((16, 4) if version == 4 else (24, 16)), register)


def tcp() -> bytes:
    """meta l4proto tcp"""
    return meta(META_L4PROTO, KEY) + compare(KEY, TCP)


def begins(operator: int = EQUAL) -> bytes:
    """meta l4proto tcp; tcp flags & (fin|syn|rst|ack) == syn"""
    return tcp() + tcp_flags(KEY) + compare(KEY, SYN, operator)


def onward(to: bytes, index: int) -> bytes:
    """fwd ip to ADDRESS device NIC"""
    way = load(KEY, struct.pack("=I", index)) + load(KEY + 1, to)
    return way + forward(KEY, KEY + 1, 2 if len(to) == 4 else 10)
