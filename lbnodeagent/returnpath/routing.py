"""The rules and routes of routing that answers leave by: which there are to be, and their messages to the kernel. Pure.

A table per way (``ip route show table 79341``) with the subnet and a default route by its router, and a rule that leads
what is marked into it (``ip rule``). Ours are those with PROTOCOL in one of our tables; no other is touched.
Source: rtnetlink(7), linux/fib_rules.h. By hand, as the data plane's loop isn't to wait for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, TypeAlias

from lbnodeagent.kernel.attributes import attribute, attributes
from lbnodeagent.returnpath.ways import TABLES, TABLES_MOST, Way
from lbnodeagent.tables import IfIndex, network_of
from purelb.addresses import IPAddress, IPNetwork

PRIORITY: Final = 7934
"""Of our rules: behind that for local addresses (0; with Cilium 100), before that for the main table (32766)."""
PROTOCOL: Final = 80
"""By which rules and routes are known as ours, as addresses are (MARK in kernel/messages.py)."""
VERSIONS: Final = (4, 6)
EVERYWHERE: Final[dict[int, IPNetwork]] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}

_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWRULE, _DELRULE, _GETRULE = 32, 33, 34
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _REPLACE, _EXCLUSIVE, _CREATE, _DUMP = 0x1, 0x4, 0x100, 0x200, 0x400, 0x300
_INET, _INET6 = 2, 10
_HEADER = struct.Struct("=IHHII")
_RTMSG = struct.Struct("=BBBBBBBBI")
"""Of a rule the same, with the action in the place of a route's kind."""
_TO_TABLE: Final = 1
_UNICAST: Final = 1
_LINK_SCOPE: Final = 253
_ONLINK: Final = 4
_RULE_PRIORITY, _RULE_MARK, _RULE_TABLE, _RULE_MASK, _RULE_PROTOCOL = 6, 10, 15, 16, 21
_DST, _OIF, _GATEWAY, _TABLE = 1, 4, 5, 15


@dataclass(frozen=True, slots=True)
class Rule:
    """What carries a mark is routed by a table."""

    version: int
    table: int
    mark: int
    mask: int
    priority: int = PRIORITY


@dataclass(frozen=True, slots=True)
class Route:
    """To a network by an interface, and by a router where it isn't on the link."""

    table: int
    network: IPNetwork
    index: IfIndex
    gateway: IPAddress | None = None
    is_onlink: bool = False
    """The router is reached there whatever the subnet is."""


Entry: TypeAlias = Rule | Route


def entries_of(ways: Iterable[Way]) -> list[Entry]:
    """What there is to be: routes before the rule that leads to them, the subnet's before the one by its router."""
    entries: list[Entry] = []
    for way in ways:
        version = way.network.version
        entries.append(Route(way.table, way.network, way.index))
        is_onlink = way.gateway not in way.network
        entries.append(Route(way.table, EVERYWHERE[version], way.index, way.gateway, is_onlink))
        entries.append(Rule(version, way.table, way.mark, way.mask))
    return entries


def plan(wanted: Iterable[Entry], present: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """What of ours is to go, rules first, and what is to come; neither once it is done."""
    wanted, present = list(wanted), list(present)
    going = sorted((entry for entry in present if entry not in wanted), key=lambda entry: isinstance(entry, Route))
    return going, [entry for entry in wanted if entry not in present]


# --- messages --------------------------------------------------------------------------------------------------------


def encode_have(entry: Entry, sequence: int) -> bytes:
    """That it be there."""
    if isinstance(entry, Rule):
        return _message(_NEWRULE, _ACK | _CREATE | _EXCLUSIVE, _rule(entry), sequence)
    return _message(_NEWROUTE, _ACK | _CREATE | _REPLACE, _route(entry), sequence)


def encode_drop(entry: Entry, sequence: int) -> bytes:
    """That it be gone."""
    if isinstance(entry, Rule):
        return _message(_DELRULE, _ACK, _rule(entry), sequence)
    return _message(_DELROUTE, _ACK, _route(entry), sequence)


def encode_rules_dump(version: int, sequence: int) -> bytes:
    """All rules of a family."""
    return _message(_GETRULE, _DUMP, _RTMSG.pack(_family(version), 0, 0, 0, 0, 0, 0, 0, 0), sequence)


def encode_routes_dump(version: int, table: int, sequence: int) -> bytes:
    """Our routes of a table; where the kernel doesn't check what is asked (before 4.20), all of a family."""
    body = _RTMSG.pack(_family(version), 0, 0, 0, 0, PROTOCOL, 0, 0, 0) + attribute(_TABLE, struct.pack("=I", table))
    return _message(_GETROUTE, _DUMP, body, sequence)


def decode(data: bytes, sequence: int) -> Iterator[Entry | int]:
    """What is ours in an answer, and the errno (0: none) with which it ends."""
    while len(data) >= _HEADER.size:
        length, kind, _, number, _ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            return
        body = data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]
        if number != sequence:
            continue
        if kind in (_ERROR, _DONE):
            yield -int(struct.unpack_from("=i", body)[0]) if len(body) >= 4 else 0
        elif kind in (_NEWRULE, _NEWROUTE) and len(body) >= _RTMSG.size:
            entry = _decode_rule(body) if kind == _NEWRULE else _decode_route(body)
            if entry is not None and TABLES < entry.table <= TABLES + TABLES_MOST:
                yield entry


def _decode_rule(body: bytes) -> Rule | None:
    head = _RTMSG.unpack_from(body)
    its = attributes(body[_RTMSG.size :])
    numbers = {kind: _number(its.get(kind)) for kind in (_RULE_PRIORITY, _RULE_TABLE, _RULE_MARK, _RULE_MASK)}
    if its.get(_RULE_PROTOCOL) != bytes([PROTOCOL]) or head[7] != _TO_TABLE or None in numbers.values():
        return None
    return Rule(
        4 if head[0] == _INET else 6,
        numbers[_RULE_TABLE] or 0,
        numbers[_RULE_MARK] or 0,
        numbers[_RULE_MASK] or 0,
        numbers[_RULE_PRIORITY] or 0,
    )


def _decode_route(body: bytes) -> Route | None:
    family, length, _, _, _, protocol, _, _, flags = _RTMSG.unpack_from(body)
    its = attributes(body[_RTMSG.size :])
    table, index, gateway = _number(its.get(_TABLE)), _number(its.get(_OIF)), its.get(_GATEWAY)
    if protocol != PROTOCOL or table is None or index is None:
        return None
    to = ip_address(its.get(_DST, bytes(4 if family == _INET else 16)))
    by = ip_address(gateway) if gateway is not None else None
    return Route(table, network_of(to, length), IfIndex(index), by, bool(flags & _ONLINK))


def _number(payload: bytes | None) -> int | None:
    return int(struct.unpack("=I", payload)[0]) if payload is not None and len(payload) == 4 else None


def _rule(rule: Rule) -> bytes:
    numbers = (
        (_RULE_PRIORITY, rule.priority),
        (_RULE_MARK, rule.mark),
        (_RULE_MASK, rule.mask),
        (_RULE_TABLE, rule.table),
    )
    body = b"".join(attribute(kind, struct.pack("=I", value)) for kind, value in numbers)
    head = _RTMSG.pack(_family(rule.version), 0, 0, 0, 0, 0, 0, _TO_TABLE, 0)
    return head + body + attribute(_RULE_PROTOCOL, bytes([PROTOCOL]))


def _route(route: Route) -> bytes:
    network = route.network
    scope = _LINK_SCOPE if network.version == 4 and route.gateway is None else 0
    flags = _ONLINK if route.is_onlink else 0
    body = _RTMSG.pack(_family(network.version), network.prefixlen, 0, 0, 0, PROTOCOL, scope, _UNICAST, flags)
    body += attribute(_TABLE, struct.pack("=I", route.table)) + attribute(_OIF, struct.pack("=I", route.index))
    if network.prefixlen:
        body += attribute(_DST, network.network_address.packed)
    return body + (attribute(_GATEWAY, route.gateway.packed) if route.gateway is not None else b"")


def _message(kind: int, flags: int, body: bytes, sequence: int) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, sequence, 0) + body


def _family(version: int) -> int:
    return _INET if version == 4 else _INET6
