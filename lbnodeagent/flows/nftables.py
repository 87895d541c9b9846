"""The rules that forward kept flows, and those that drop what is awaited, as nf_tables takes them. Pure.

Two tables of one name. ``netdev``: by the VIP that a packet goes to, on the NICs' ingress and so before conntrack, into
a chain of that VIP. There, per node that goes on serving flows, a set of them; what is in it goes to that node on
layer 2. A packet keeps its flow in the set, and the SYN of a new connection of the same client and port takes it out.
``inet``: what comes in mid-flow for a VIP whose flows may still be told of, and that conntrack doesn't know, is dropped
and not reset; TCP sends it again. A SYN for such a VIP is noted: from that client's port nothing is passed on that
somebody tells of only then.

By hand: pyroute2 knows neither ``dynset`` nor an address for ``fwd``, and takes seconds for 100,000 elements; ``nft``
would be a program more in the image, and a process for each change. Source: linux/netfilter/nf_tables.h, and what ``nft
--debug=netlink`` says of the same rules.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from itertools import islice
from typing import Final

from lbnodeagent.flows import straystatements
from lbnodeagent.flows.expressions import COUNTER, JUMP, number, text, value
from lbnodeagent.flows.nfnetlink import DUMP, HEAD, NESTED, Message, messages_of
from lbnodeagent.flows.objects import (
    CREATE,
    DEL_ELEMENTS,
    DEL_OBJECT,
    DEL_SET,
    DEL_TABLE,
    ELEMENTS_MOST,
    EVAL,
    GET_ELEMENTS,
    GET_OBJECT,
    INET,
    MAP,
    NETDEV,
    NEW_ELEMENTS,
    NEW_OBJECT,
    NEW_TABLE,
    PROTO,
    SERVICE,
    TABLE,
    TIMEOUT,
    address_type,
    base_chain,
    chain,
    change_elements,
    new_set,
    no_chain,
    no_elements,
    no_rules,
    rule,
)
from lbnodeagent.flows.statements import (
    BEGUN,
    BEGUN_MOST,
    IDLE,
    PACKETS,
    awaited_of,
    awaited_set,
    begun_of,
    begun_set,
    drop_of,
    drop_sctp_of,
    flows_set,
    forward_of,
    renewal_of,
    vips_map,
    way_of,
)
from lbnodeagent.flows.tables import FLOWS_MOST, Flow, Server
from lbnodeagent.kernel.attributes import attribute, attributes, nested
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

_BEFORE_ALL, _AFTER_CONNTRACK = -500, -150
"""Priorities of the hooks."""
_VERSIONS: Final = (4, 6)
_NOBODY: Final = IPv4Address("0.0.0.0")
_NOWHERE: Final = Server("", IPv4Address("0.0.0.0"))


# --- what is asked for -----------------------------------------------------------------------------------------------


def sweep() -> list[list[Message]]:
    """Have neither table; each is a batch of its own, which may find none."""
    return [[Message(DEL_TABLE, 0, family, text(1, TABLE))] for family in (NETDEV, INET)]


def tables() -> list[Message]:
    """Have both, with nothing in their sets."""
    messages = [Message(NEW_TABLE, CREATE, family, text(1, TABLE)) for family in (NETDEV, INET)]
    messages += (_new_counter(family, PACKETS) for family in (NETDEV, INET))
    for version in _VERSIONS:
        messages.append(new_set(NETDEV, vips_map(version), MAP, (address_type(version),), _size(version), FLOWS_MOST))
        messages.append(new_set(INET, awaited_set(version), 0, (address_type(version),), _size(version), FLOWS_MOST))
        types, size = (*_flow_types(version), address_type(version)), 12 + 2 * _size(version)
        messages.append(new_set(INET, begun_set(version), TIMEOUT | EVAL, types, size, BEGUN_MOST, lasts=BEGUN))
        messages.append(chain(INET, awaited_set(version)))
        messages += (rule(INET, awaited_set(version), one) for one in (begun_of(version), drop_of(), drop_sctp_of()))
    messages.append(base_chain(INET, "mid-flow", 0, _AFTER_CONNTRACK))
    for version in _VERSIONS:
        messages.append(rule(INET, "mid-flow", awaited_of(version)))
    return messages


def trial() -> list[Message]:
    """Have a rule that no packet meets, with all that is needed."""
    return [
        chain(NETDEV, _chain(_NOBODY)),
        _new_counter(NETDEV, flows_set(_NOBODY, _NOWHERE)),
        new_set(NETDEV, flows_set(_NOBODY, _NOWHERE), TIMEOUT | EVAL, _flow_types(4), 16, FLOWS_MOST, lasts=IDLE),
        rule(NETDEV, _chain(_NOBODY), renewal_of(_NOBODY, _NOWHERE)),
        rule(NETDEV, _chain(_NOBODY), forward_of(_NOBODY, _NOWHERE, IfIndex(1))),
    ]


def trial_over() -> list[Message]:
    """Have it no longer."""
    return [
        no_rules(NETDEV, _chain(_NOBODY)),
        no_chain(NETDEV, _chain(_NOBODY)),
        *forget_set(_NOBODY, _NOWHERE),
    ]


def nic(index: IfIndex, name: str) -> list[Message]:
    """Look at what comes in there, and no rule of an earlier run besides."""
    its_chain = f"nic-{index}"
    return [
        base_chain(NETDEV, its_chain, 0, _BEFORE_ALL, device=name),
        no_rules(NETDEV, its_chain),
        *(rule(NETDEV, its_chain, way_of(version)) for version in _VERSIONS),
        *(rule(NETDEV, its_chain, straystatements.way_of(version)) for version in _VERSIONS),
    ]


def read_counter(*, is_passed_on: bool) -> Message:
    """How many packets were passed on, or dropped as their flows were awaited."""
    return Message(GET_OBJECT, 0, NETDEV if is_passed_on else INET, _counter(PACKETS))


def read_its_counter(address: IPAddress, server: Server) -> Message:
    """How many packets of a VIP were passed on to a node."""
    return Message(GET_OBJECT, 0, NETDEV, _counter(flows_set(address, server)))


def packets(data: bytes) -> int | None:
    """What the answer to one of these says; None: it isn't one."""
    at = HEAD.size + 4
    if len(data) < at or HEAD.unpack_from(data)[1] != NEW_OBJECT:
        return None
    its = attributes(data[at:]).get(4)
    count = attributes(its).get(2) if its is not None else None
    return int.from_bytes(count, "big") if count is not None else None


def vip(address: IPAddress, servers: Sequence[Server], index: IfIndex) -> list[Message]:
    """Forward what is in these nodes' sets, by that interface; their sets are there from then on."""
    its_chain = _chain(address)
    messages = [chain(NETDEV, its_chain)]
    for server in servers:
        types, size = _flow_types(address.version), 12 + _size(address.version)
        messages.append(_new_counter(NETDEV, flows_set(address, server)))
        messages.append(
            new_set(NETDEV, flows_set(address, server), TIMEOUT | EVAL, types, size, FLOWS_MOST, lasts=IDLE)
        )
    messages.append(no_rules(NETDEV, its_chain))
    for server in servers:
        messages.append(rule(NETDEV, its_chain, renewal_of(address, server)))
        messages.append(rule(NETDEV, its_chain, forward_of(address, server, index)))
    jump = attribute(2 | NESTED, attribute(2 | NESTED, number(1, JUMP) + text(2, its_chain)))
    element = attribute(1 | NESTED, value(1, address.packed) + jump)
    messages.append(change_elements(NEW_ELEMENTS, NETDEV, vips_map(address.version), element))
    return messages


def forget_set(address: IPAddress, server: Server) -> list[Message]:
    """Drop a node's set and its counter, which no rule uses any more."""
    name = flows_set(address, server)
    return [
        Message(DEL_SET, 0, NETDEV, text(1, TABLE) + text(2, name)),
        Message(DEL_OBJECT, 0, NETDEV, _counter(name)),
    ]


def forget_vip(address: IPAddress) -> list[Message]:
    """Forward nothing that goes to it; its nodes' sets may go then."""
    element = attribute(1 | NESTED, value(1, address.packed))
    return [
        change_elements(DEL_ELEMENTS, NETDEV, vips_map(address.version), element),
        no_rules(NETDEV, _chain(address)),
        no_chain(NETDEV, _chain(address)),
    ]


def add_flows(address: IPAddress, server: Server, flows: Iterable[Flow]) -> list[Message]:
    """Forward these; those that are there stay as they are."""
    return _flows(NEW_ELEMENTS, address, server, flows)


def renew_flows(address: IPAddress, server: Server, flows: Sequence[Flow]) -> list[Message]:
    """Forward these, each for as long as if a packet of it came now."""
    added = _flows(NEW_ELEMENTS, address, server, flows)
    return [*added, *_flows(DEL_ELEMENTS, address, server, flows), *added]


def remove_flows(address: IPAddress, server: Server, flows: Sequence[Flow]) -> list[Message]:
    """Forward these no longer. First they are added: to remove one that went by itself would fail."""
    return [*_flows(NEW_ELEMENTS, address, server, flows), *_flows(DEL_ELEMENTS, address, server, flows)]


def flush(address: IPAddress, server: Server) -> list[Message]:
    """Forward none of a node's flows, for now."""
    return [no_elements(NETDEV, flows_set(address, server))]


def await_flows(addresses: Iterable[IPAddress], *, is_awaited: bool) -> list[Message]:
    """Drop what comes in mid-flow to these VIPs, of one IP version, and isn't known; or no longer."""
    kind = NEW_ELEMENTS if is_awaited else DEL_ELEMENTS
    messages, left = [], iter(addresses)
    while part := list(islice(left, ELEMENTS_MOST)):
        elements = b"".join(attribute(1 | NESTED, value(1, address.packed)) for address in part)
        messages.append(change_elements(kind, INET, awaited_set(part[0].version), elements))
    return messages


# --- elements --------------------------------------------------------------------------------------------------------


def read_begun(version: int) -> Message:
    """Which connections to VIPs, whose flows are awaited, began here."""
    return Message(GET_ELEMENTS, DUMP, INET, text(1, TABLE) + text(2, begun_set(version)))


def begun_flows(data: bytes, address: IPAddress) -> Iterator[Flow]:
    """Those to a VIP, of a part of the answer to that."""
    for kind, body in messages_of(data):
        elements = attributes(body[4:]).get(3) if kind == NEW_ELEMENTS else None
        for element in nested(elements or b""):
            key = attributes(attributes(element).get(1, b"")).get(1, b"")
            if len(key) == 12 + 2 * len(address.packed) and key.endswith(address.packed):
                at = 8 + len(address.packed)
                yield Flow(key[:1] + key[4:6] + key[at : at + 2] + key[8:at])


def _flows(kind: int, address: IPAddress, server: Server, flows: Iterable[Flow]) -> list[Message]:
    size = 12 + len(address.packed)
    head = struct.pack("=HHHHHH", size + 12, 1 | NESTED, size + 8, 1 | NESTED, size + 4, 1)
    messages, left = [], iter(flows)
    while part := list(islice(left, ELEMENTS_MOST)):
        elements = b"".join(
            head + flow[:1] + b"\0\0\0" + flow[1:3] + b"\0\0" + flow[5:] + flow[3:5] + b"\0\0" for flow in part
        )
        messages.append(change_elements(kind, NETDEV, flows_set(address, server), elements))
    return messages


def _new_counter(family: int, name: str) -> Message:
    return Message(NEW_OBJECT, CREATE, family, _counter(name) + attribute(4, b""))


def _counter(name: str) -> bytes:
    return text(1, TABLE) + text(2, name) + number(3, COUNTER)


def _chain(address: IPAddress) -> str:
    return f"vip-{address.packed.hex()}"


def _flow_types(version: int) -> tuple[int, int, int, int]:
    return (PROTO, SERVICE, address_type(version), SERVICE)


def _size(version: int) -> int:
    return 4 if version == 4 else 16
