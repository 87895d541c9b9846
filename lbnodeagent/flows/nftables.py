"""The rules that forward kept flows, and those that drop what is awaited, as nf_tables takes them. Pure.

Two tables of one name. ``netdev``: by the VIP that a packet goes to, on the NICs' ingress and so before conntrack, into
a chain of that VIP. There, per node that goes on serving flows, a set of them; what is in it goes to that node on
layer 2. A packet keeps its flow in the set, and the SYN of a new connection of the same client and port takes it out.
``inet``: what comes in mid-flow for a VIP whose flows may still be told of, and that conntrack doesn't know, is dropped
and not reset; TCP sends it again.

By hand: pyroute2 knows neither ``dynset`` nor an address for ``fwd``, and takes seconds for 100,000 elements; ``nft``
would be a program more in the image, and a process for each change. Source: linux/netfilter/nf_tables.h, and what ``nft
--debug=netlink`` says of the same rules.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from itertools import islice
from typing import Final

from lbnodeagent.flows.expressions import COUNTER, JUMP, number, text, value
from lbnodeagent.flows.nfnetlink import HEAD, NESTED, Message
from lbnodeagent.flows.statements import (
    IDLE,
    PACKETS,
    awaited_set,
    drop_of,
    flows_set,
    forward_of,
    renewal_of,
    vips_map,
    way_of,
)
from lbnodeagent.flows.tables import FLOWS_MOST, Flow, Server
from lbnodeagent.kernel.attributes import attribute, attributes
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

TABLE: Final = "purelb-flows"
ELEMENTS_MOST: Final = 1500
"""In one message, whose attributes have at most 64 KiB."""
_BEFORE_ALL, _AFTER_CONNTRACK = -500, -150
"""Priorities of the hooks."""

_INET, _NETDEV = 1, 5
_NEW_TABLE, _DEL_TABLE, _NEW_CHAIN, _DEL_CHAIN = (10 << 8 | number for number in (0, 2, 3, 5))
_NEW_RULE, _DEL_RULE = (10 << 8 | number for number in (6, 8))
_NEW_SET, _DEL_SET, _NEW_ELEMENTS, _DEL_ELEMENTS = (10 << 8 | number for number in (9, 11, 12, 14))
_NEW_OBJECT, _GET_OBJECT = 10 << 8 | 18, 10 << 8 | 19
_CREATE, _APPEND = 0x400, 0x800
_MAP, _TIMEOUT, _EVAL = 0x08, 0x10, 0x20
_TO_VERDICT: Final = 0xFFFFFF00
_IPV4, _IPV6, _PROTO, _SERVICE = 7, 8, 12, 13
"""nft's own numbers of types, by which it shows elements."""
_VERSIONS: Final = (4, 6)
_NOBODY: Final = IPv4Address("0.0.0.0")
_NOWHERE: Final = Server("", IPv4Address("0.0.0.0"))


# --- what is asked for -----------------------------------------------------------------------------------------------


def sweep() -> list[list[Message]]:
    """Have neither table; each is a batch of its own, which may find none."""
    return [[Message(_DEL_TABLE, 0, family, text(1, TABLE))] for family in (_NETDEV, _INET)]


def tables() -> list[Message]:
    """Have both, with nothing in their sets."""
    messages = [Message(_NEW_TABLE, _CREATE, family, text(1, TABLE)) for family in (_NETDEV, _INET)]
    messages += (Message(_NEW_OBJECT, _CREATE, family, _counter() + attribute(4, b"")) for family in (_NETDEV, _INET))
    for version in _VERSIONS:
        messages.append(_new_set(_NETDEV, vips_map(version), _MAP, _address_types(version), _size(version)))
        messages.append(_new_set(_INET, awaited_set(version), 0, _address_types(version), _size(version)))
    messages.append(_base_chain(_INET, "mid-flow", 0, _AFTER_CONNTRACK))
    messages += (_rule(_INET, "mid-flow", drop_of(version)) for version in _VERSIONS)
    return messages


def trial() -> list[Message]:
    """Have a rule that no packet meets, with all that is needed."""
    chain = text(1, TABLE) + text(3, _chain(_NOBODY))
    types = (_PROTO, _SERVICE, _IPV4, _SERVICE)
    return [
        Message(_NEW_CHAIN, _CREATE, _NETDEV, chain),
        _new_set(_NETDEV, flows_set(_NOBODY, _NOWHERE), _TIMEOUT | _EVAL, types, 16),
        _rule(_NETDEV, _chain(_NOBODY), renewal_of(_NOBODY, _NOWHERE)),
        _rule(_NETDEV, _chain(_NOBODY), forward_of(_NOBODY, _NOWHERE, IfIndex(1))),
    ]


def trial_over() -> list[Message]:
    """Have it no longer."""
    return [
        Message(_DEL_RULE, 0, _NETDEV, text(1, TABLE) + text(2, _chain(_NOBODY))),
        Message(_DEL_CHAIN, 0, _NETDEV, text(1, TABLE) + text(3, _chain(_NOBODY))),
        *forget_set(_NOBODY, _NOWHERE),
    ]


def nic(index: IfIndex, name: str) -> list[Message]:
    """Look at what comes in there. Once per interface: rules are appended."""
    chain = f"nic-{index}"
    return [
        _base_chain(_NETDEV, chain, 0, _BEFORE_ALL, device=name),
        *(_rule(_NETDEV, chain, way_of(version)) for version in _VERSIONS),
    ]


def read_counter(*, is_passed_on: bool) -> Message:
    """How many packets were passed on, or dropped as their flows were awaited."""
    return Message(_GET_OBJECT, 0, _NETDEV if is_passed_on else _INET, _counter())


def packets(data: bytes) -> int | None:
    """What the answer to that says; None: it isn't one."""
    at = HEAD.size + 4
    if len(data) < at or HEAD.unpack_from(data)[1] != _NEW_OBJECT:
        return None
    its = attributes(data[at:]).get(4)
    count = attributes(its).get(2) if its is not None else None
    return int.from_bytes(count, "big") if count is not None else None


def vip(address: IPAddress, servers: Sequence[Server], index: IfIndex) -> list[Message]:
    """Forward what is in these nodes' sets, by that interface; their sets are there from then on."""
    chain = _chain(address)
    messages = [Message(_NEW_CHAIN, _CREATE, _NETDEV, text(1, TABLE) + text(3, chain))]
    for server in servers:
        types = (_PROTO, _SERVICE, _IPV4 if address.version == 4 else _IPV6, _SERVICE)
        size = 12 + _size(address.version)
        messages.append(_new_set(_NETDEV, flows_set(address, server), _TIMEOUT | _EVAL, types, size))
    messages.append(Message(_DEL_RULE, 0, _NETDEV, text(1, TABLE) + text(2, chain)))
    for server in servers:
        messages.append(_rule(_NETDEV, chain, renewal_of(address, server)))
        messages.append(_rule(_NETDEV, chain, forward_of(address, server, index)))
    jump = attribute(2 | NESTED, attribute(2 | NESTED, number(1, JUMP) + text(2, chain)))
    element = attribute(1 | NESTED, value(1, address.packed) + jump)
    messages.append(_elements(_NEW_ELEMENTS, _NETDEV, vips_map(address.version), element))
    return messages


def forget_set(address: IPAddress, server: Server) -> list[Message]:
    """Drop a node's set, which no rule uses any more."""
    return [Message(_DEL_SET, 0, _NETDEV, text(1, TABLE) + text(2, flows_set(address, server)))]


def forget_vip(address: IPAddress) -> list[Message]:
    """Forward nothing that goes to it; its nodes' sets may go then."""
    chain = text(1, TABLE)
    element = attribute(1 | NESTED, value(1, address.packed))
    return [
        _elements(_DEL_ELEMENTS, _NETDEV, vips_map(address.version), element),
        Message(_DEL_RULE, 0, _NETDEV, chain + text(2, _chain(address))),
        Message(_DEL_CHAIN, 0, _NETDEV, chain + text(3, _chain(address))),
    ]


def add_flows(address: IPAddress, server: Server, flows: Iterable[Flow]) -> list[Message]:
    """Forward these; those that are there stay as they are."""
    return _flows(_NEW_ELEMENTS, address, server, flows)


def remove_flows(address: IPAddress, server: Server, flows: Sequence[Flow]) -> list[Message]:
    """Forward these no longer. First they are added: to remove one that went by itself would fail."""
    return [*_flows(_NEW_ELEMENTS, address, server, flows), *_flows(_DEL_ELEMENTS, address, server, flows)]


def flush(address: IPAddress, server: Server) -> list[Message]:
    """Forward none of a node's flows, for now."""
    return [Message(_DEL_ELEMENTS, 0, _NETDEV, text(1, TABLE) + text(2, flows_set(address, server)))]


def await_flows(addresses: Iterable[IPAddress], *, is_awaited: bool) -> list[Message]:
    """Drop what comes in mid-flow to these VIPs, of one IP version, and isn't known; or no longer."""
    kind = _NEW_ELEMENTS if is_awaited else _DEL_ELEMENTS
    messages, left = [], iter(addresses)
    while part := list(islice(left, ELEMENTS_MOST)):
        elements = b"".join(attribute(1 | NESTED, value(1, address.packed)) for address in part)
        messages.append(_elements(kind, _INET, awaited_set(part[0].version), elements))
    return messages


# --- objects ---------------------------------------------------------------------------------------------------------


def _base_chain(family: int, name: str, hook: int, priority: int, device: str = "") -> Message:
    where = number(1, hook) + number(2, priority) + (text(3, device) if device else b"")
    body = text(1, TABLE) + text(3, name) + attribute(4 | NESTED, where) + number(5, 1) + text(7, "filter")
    return Message(_NEW_CHAIN, _CREATE, family, body)


def _rule(family: int, chain: str, expressions: bytes) -> Message:
    body = text(1, TABLE) + text(2, chain) + attribute(4 | NESTED, expressions)
    return Message(_NEW_RULE, _CREATE | _APPEND, family, body)


def _new_set(family: int, name: str, flags: int, types: Sequence[int], size: int) -> Message:
    kind = 0
    for one in types:
        kind = kind << 6 | one
    body = text(1, TABLE) + text(2, name) + number(3, flags) + number(4, kind) + number(5, size)
    if flags & _MAP:
        body += number(6, _TO_VERDICT) + number(7, 0)
    if flags & _TIMEOUT:
        body += attribute(11, struct.pack("!Q", IDLE * 1000))
    body += attribute(9 | NESTED, number(1, FLOWS_MOST)) + number(10, 1)
    return Message(_NEW_SET, _CREATE, family, body)


def _elements(kind: int, family: int, name: str, elements: bytes) -> Message:
    body = text(1, TABLE) + text(2, name) + attribute(3 | NESTED, elements)
    return Message(kind, _CREATE if kind == _NEW_ELEMENTS else 0, family, body)


def _flows(kind: int, address: IPAddress, server: Server, flows: Iterable[Flow]) -> list[Message]:
    size = 12 + len(address.packed)
    head = struct.pack("=HHHHHH", size + 12, 1 | NESTED, size + 8, 1 | NESTED, size + 4, 1)
    messages, left = [], iter(flows)
    while part := list(islice(left, ELEMENTS_MOST)):
        elements = b"".join(
            head + flow[:1] + b"\0\0\0" + flow[1:3] + b"\0\0" + flow[5:] + flow[3:5] + b"\0\0" for flow in part
        )
        messages.append(_elements(kind, _NETDEV, flows_set(address, server), elements))
    return messages


def _counter() -> bytes:
    return text(1, TABLE) + text(2, PACKETS) + number(3, COUNTER)


def _chain(address: IPAddress) -> str:
    return f"vip-{address.packed.hex()}"


def _size(version: int) -> int:
    return 4 if version == 4 else 16


def _address_types(version: int) -> tuple[int]:
    return (_IPV4 if version == 4 else _IPV6,)
