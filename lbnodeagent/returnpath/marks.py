"""The rules of nf_tables by which the kernel knows the answers of a VIP's connections, as it takes them. Pure.

Behind kube-proxy the VIP is only in a packet's own header until it is translated, and in that of the answer only after
the answer was routed: in between its source is a pod. So conntrack remembers: what comes in by a VIP's NIC for its
subnet has its connection marked, and each packet back takes that mark before it is routed, by which a rule of routing
knows it (routing.py). Both touch no bit of a mark but those of the LBNodeAgent's ``markBits``.

One table, ``inet purelb-returns``. The docstrings have its rules in nft's words.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from lbnodeagent.flows.expressions import (
    ACCEPT,
    CT_DIRECTION,
    CT_MARK,
    KEY,
    META_IIF,
    META_MARK,
    META_NFPROTO,
    NETWORK,
    ORIGINAL,
    REPLY,
    UNEQUAL,
    compare,
    connection,
    lookup,
    masked,
    meta,
    number,
    payload,
    set_connection,
    set_meta,
    text,
    value,
)
from lbnodeagent.flows.nfnetlink import NESTED, Message
from lbnodeagent.flows.objects import (
    APPEND,
    CREATE,
    DEL_TABLE,
    ELEMENTS_MOST,
    INET,
    NEW_CHAIN,
    NEW_ELEMENTS,
    NEW_RULE,
    NEW_SET,
    NEW_TABLE,
    address_size,
    address_type,
)
from lbnodeagent.kernel.attributes import attribute
from lbnodeagent.returnpath.ways import Way

TABLE: Final = "purelb-returns"
IN, OUT = "in", "out"
"""The chains: what comes in, and what this node itself says."""
_BEFORE_TRANSLATION, _AFTER_CONNTRACK = -110, -150
"""Priorities of the hooks: behind those that restore marks (mangle), before kube-proxy's translation (dstnat)."""
_PREROUTING, _OUTPUT = 0, 3
_GET_TABLE: Final = 10 << 8 | 1


def swept() -> list[Message]:
    """Have no table; it fails where there is none."""
    return [Message(DEL_TABLE, 0, INET, text(1, TABLE))]


def look() -> Message:
    """Whether there is one."""
    return Message(_GET_TABLE, 0, INET, text(1, TABLE))


def marking(ways: Sequence[Way]) -> list[Message]:
    """Have these rules and no others, in one step."""
    rules = [*_incoming(ways), *((OUT, _answer(way)) for way in ways)]
    table = Message(NEW_TABLE, CREATE, INET, text(1, TABLE))
    return [
        table,
        *swept(),  # of which there is one by then
        table,
        _base_chain(IN, _PREROUTING, _BEFORE_TRANSLATION, "filter"),
        _base_chain(OUT, _OUTPUT, _AFTER_CONNTRACK, "route"),
        *(message for way in ways for message in _set(_own(way), way)),
        *(_rule(chain, expressions) for chain, expressions in rules),
    ]


def _incoming(ways: Sequence[Way]) -> Iterator[tuple[str, bytes]]:
    yield from ((IN, _beginning(way)) for way in ways)
    if ways:
        yield IN, _not_yet(ways[0].mask)
    yield from ((IN, _answer(way)) for way in ways)


# --- rules -----------------------------------------------------------------------------------------------------------


def _beginning(way: Way) -> bytes:
    """iif NIC; ip daddr != @OWN; ip daddr SUBNET; ct direction original; ct mark & MASK != MARK; ct mark set MARK"""
    return (
        _family(way)
        + meta(META_IIF, KEY)
        + compare(KEY, struct.pack("=I", way.index))
        + _destination(way)
        + lookup(_own(way), is_in=False)
        + _destination(way)
        + masked(KEY, way.network.netmask.packed)
        + compare(KEY, way.network.network_address.packed)
        + _direction(ORIGINAL)
        + connection(CT_MARK, KEY)
        + masked(KEY, _bits(way.mask))
        + compare(KEY, _bits(way.mark), UNEQUAL)
        + connection(CT_MARK, KEY)
        + masked(KEY, _bits(~way.mask), _bits(way.mark))
        + set_connection(CT_MARK, KEY)
    )


def _not_yet(mask: int) -> bytes:
    """ct mark & MASK != 0; ct direction original; meta mark set meta mark & ~MASK

    Others copy all of a connection's mark to each of its packets (wg-quick); but what goes to the pod is no answer.
    """
    return (
        connection(CT_MARK, KEY)
        + masked(KEY, _bits(mask))
        + compare(KEY, _bits(0), UNEQUAL)
        + _direction(ORIGINAL)
        + meta(META_MARK, KEY)
        + masked(KEY, _bits(~mask))
        + set_meta(META_MARK, KEY)
    )


def _answer(way: Way) -> bytes:
    """meta nfproto; ct mark & MASK == MARK; ct direction reply; meta mark set meta mark & ~MASK | MARK"""
    return (
        _family(way)
        + connection(CT_MARK, KEY)
        + masked(KEY, _bits(way.mask))
        + compare(KEY, _bits(way.mark))
        + _direction(REPLY)
        + meta(META_MARK, KEY)
        + masked(KEY, _bits(~way.mask), _bits(way.mark))
        + set_meta(META_MARK, KEY)
    )


def _family(way: Way) -> bytes:
    return meta(META_NFPROTO, KEY) + compare(KEY, b"\2" if way.network.version == 4 else b"\x0a")


def _destination(way: Way) -> bytes:
    return payload(NETWORK, 16, 4, KEY) if way.network.version == 4 else payload(NETWORK, 24, 16, KEY)


def _direction(wanted: bytes) -> bytes:
    return connection(CT_DIRECTION, KEY) + compare(KEY, wanted)


def _bits(bits: int) -> bytes:
    return struct.pack("=I", bits & 0xFFFFFFFF)


# --- objects ---------------------------------------------------------------------------------------------------------


def _base_chain(name: str, hook: int, priority: int, kind: str) -> Message:
    where = attribute(4 | NESTED, number(1, hook) + number(2, priority))
    body = text(1, TABLE) + text(3, name) + where + number(5, ACCEPT) + text(7, kind)
    return Message(NEW_CHAIN, CREATE, INET, body)


def _own(way: Way) -> str:
    """The name of the set of a node's own addresses on a way's subnet."""
    return f"own{way.network.version}-{way.number}"


def _set(name: str, way: Way) -> Iterator[Message]:
    kind, its = address_type(way.network.version), text(1, TABLE) + text(2, name)
    shape = number(3, 0) + number(4, kind) + number(5, address_size(kind)) + number(10, 1)
    yield Message(NEW_SET, CREATE, INET, its + shape)
    elements = b"".join(attribute(1 | NESTED, value(1, address.packed)) for address in way.own[:ELEMENTS_MOST])
    if elements:
        yield Message(NEW_ELEMENTS, CREATE, INET, its + attribute(3 | NESTED, elements))


def _rule(chain: str, expressions: bytes) -> Message:
    body = text(1, TABLE) + text(2, chain) + attribute(4 | NESTED, expressions)
    return Message(NEW_RULE, CREATE | APPEND, INET, body)
