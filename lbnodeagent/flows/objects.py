"""What our tables in nf_tables are made of: chains, rules, sets and maps, as messages to the kernel. Pure.

Source: linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from lbnodeagent.flows.expressions import number, text
from lbnodeagent.flows.nfnetlink import NESTED, Message
from lbnodeagent.kernel.attributes import attribute

TABLE: Final = "purelb-flows"
INET, NETDEV = 1, 5
"""The families; a table of our name is in each."""
NEW_TABLE, DEL_TABLE, NEW_CHAIN, DEL_CHAIN = (10 << 8 | kind for kind in (0, 2, 3, 5))
NEW_RULE, DEL_RULE = (10 << 8 | kind for kind in (6, 8))
NEW_SET, DEL_SET = (10 << 8 | kind for kind in (9, 11))
NEW_ELEMENTS, GET_ELEMENTS, DEL_ELEMENTS = (10 << 8 | kind for kind in (12, 13, 14))
NEW_OBJECT, GET_OBJECT, DEL_OBJECT = (10 << 8 | kind for kind in (18, 19, 20))
CREATE, APPEND = 0x400, 0x800
MAP, TIMEOUT, EVAL = 0x08, 0x10, 0x20
TO_VERDICT: Final = 0xFFFFFF00
IPV4, IPV6, ETHER, PROTO, SERVICE = 7, 8, 9, 12, 13
"""nft's own numbers of types, by which it shows elements."""
ELEMENTS_MOST: Final = 1500
"""In one message, whose attributes have at most 64 KiB."""


def base_chain(family: int, name: str, hook: int, priority: int, device: str = "") -> Message:
    """One that packets come to by themselves."""
    where = number(1, hook) + number(2, priority) + (text(3, device) if device else b"")
    body = text(1, TABLE) + text(3, name) + attribute(4 | NESTED, where) + number(5, 1) + text(7, "filter")
    return Message(NEW_CHAIN, CREATE, family, body)


def chain(family: int, name: str) -> Message:
    """One that rules lead to."""
    return Message(NEW_CHAIN, CREATE, family, text(1, TABLE) + text(3, name))


def no_chain(family: int, name: str) -> Message:
    """Drop one that is empty and that nothing leads to."""
    return Message(DEL_CHAIN, 0, family, text(1, TABLE) + text(3, name))


def rule(family: int, its_chain: str, expressions: bytes) -> Message:
    """Behind those that are there."""
    body = text(1, TABLE) + text(2, its_chain) + attribute(4 | NESTED, expressions)
    return Message(NEW_RULE, CREATE | APPEND, family, body)


def no_rules(family: int, its_chain: str) -> Message:
    """Empty a chain."""
    return Message(DEL_RULE, 0, family, text(1, TABLE) + text(2, its_chain))


def new_set(
    family: int, name: str, flags: int, types: Sequence[int], size: int, most: int, *, lasts: int = 0, to: int = 0
) -> Message:
    """One of ``most`` elements of ``size`` bytes, that last for so many seconds; a map ``to`` values of a type, by
    itself to verdicts.
    """
    kind = 0
    for one in types:
        kind = kind << 6 | one
    body = text(1, TABLE) + text(2, name) + number(3, flags) + number(4, kind) + number(5, size)
    if flags & MAP:
        body += number(6, to or TO_VERDICT) + number(7, address_size(to) if to else 0)
    if flags & TIMEOUT:
        body += attribute(11, struct.pack("!Q", lasts * 1000))
    body += attribute(9 | NESTED, number(1, most)) + number(10, 1)
    return Message(NEW_SET, CREATE, family, body)


def change_elements(kind: int, family: int, name: str, elements: bytes) -> Message:
    """Add them, or delete them."""
    body = text(1, TABLE) + text(2, name) + attribute(3 | NESTED, elements)
    return Message(kind, CREATE if kind == NEW_ELEMENTS else 0, family, body)


def no_elements(family: int, name: str) -> Message:
    """Empty a set."""
    return Message(DEL_ELEMENTS, 0, family, text(1, TABLE) + text(2, name))


def address_type(version: int) -> int:
    """Of an IP version."""
    return IPV4 if version == 4 else IPV6


def address_size(kind: int) -> int:
    """Of an address of that type, in bytes."""
    return 4 if kind == IPV4 else 16
