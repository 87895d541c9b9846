"""The rules that hold strays back until it is known whose they are, and pass them on, as nf_tables takes them. Pure.

In both tables of nftables.py, by the routed VIPs in a set. ``inet``: what comes in mid-flow and conntrack doesn't know
is dropped for a few seconds, per connection; the set of those is what this node asks for. ``netdev``: what is located
is in a set, from which the SYN of a new connection of the same client and port takes it out, and in a map to the chain
of the node that serves it, which sends packets there on layer 2; but never those that come from a node, so that nothing
goes round. (A map to addresses would do for both, but nft can't show it.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import islice
from typing import Final

from lbnodeagent.flows.expressions import JUMP, number, text, value
from lbnodeagent.flows.nfnetlink import DUMP, HEAD, NESTED, Message, messages_of
from lbnodeagent.flows.objects import (
    DEL_ELEMENTS,
    ELEMENTS_MOST,
    ETHER,
    EVAL,
    GET_ELEMENTS,
    INET,
    MAP,
    NETDEV,
    NEW_CHAIN,
    NEW_ELEMENTS,
    SERVICE,
    TABLE,
    TIMEOUT,
    address_type,
    chain,
    change_elements,
    new_set,
    no_chain,
    no_elements,
    no_rules,
    rule,
)
from lbnodeagent.flows.strays import BURST
from lbnodeagent.flows.straystatements import (
    IDLE,
    KNOWN,
    LOCATED,
    SERVER_PREFIX,
    active_set,
    begin_of,
    forward_to,
    held_set,
    hold_of,
    known_set,
    located_map,
    located_of,
    macs_set,
    once_of,
    pass_of,
    renewal_of,
    routed_set,
    server_chain,
    stray_of,
    strays_chain,
)
from lbnodeagent.flows.tables import FLOWS_MOST, STRAY, Fellows, Stray
from lbnodeagent.kernel.attributes import attribute, attributes, nested
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

VERSIONS: Final = (4, 6)
_NOBODY: Final = (IPv4Address("0.0.0.0"), IPv6Address("::"))
_ADDRESSES_MOST: Final = 1 << 16
_LOCATED_MOST: Final = 400
"""In one message, as the name of a chain is with each."""
_GET_CHAIN: Final = 10 << 8 | 4
_LIST: Final = struct.Struct("=HH")
_KEY_AT: Final = 12
"""Of an element: behind the heads of itself, of its key, and of that one's value."""


def tables() -> list[Message]:
    """Have the sets and chains, with nothing in them."""
    messages: list[Message] = []
    for version in VERSIONS:
        kind, size = address_type(version), _size(version)
        key, key_size = (SERVICE, kind, SERVICE, kind), 8 + 2 * size
        for family in (NETDEV, INET):
            messages.append(new_set(family, routed_set(version), 0, (kind,), size, _ADDRESSES_MOST))
            messages.append(chain(family, strays_chain(version)))
        flags = TIMEOUT | EVAL
        messages += (
            new_set(NETDEV, active_set(version), flags, key, key_size, FLOWS_MOST, lasts=IDLE),
            new_set(NETDEV, macs_set(version), 0, (ETHER,), 6, _ADDRESSES_MOST),
            new_set(NETDEV, located_map(version), MAP | TIMEOUT, key, key_size, FLOWS_MOST, lasts=LOCATED),
            new_set(INET, held_set(version), flags, key, key_size, BURST, lasts=KNOWN),
            new_set(INET, known_set(version), flags, key, key_size, BURST, lasts=KNOWN),
            rule(INET, "mid-flow", stray_of(version)),
        )
    return messages


def trial() -> list[Message]:
    """Have rules that no packet meets, with all that is needed."""
    return [message for nobody in _NOBODY for message in (*_rules(nobody.version), *_server(nobody, IfIndex(1)))]


def trial_over() -> list[Message]:
    """Have them no longer."""
    chains = [drop(NETDEV, server_chain(nobody)) for nobody in _NOBODY for drop in (no_rules, no_chain)]
    return [*chains, *(message for version in VERSIONS for message in _no_rules(version))]


def fellows(rule_: Fellows, before: Iterable[IPAddress] = ()) -> list[Message]:
    """Hold back and pass on, to these nodes; without any, neither. ``before``: to others no longer."""
    version = rule_.version
    messages = [no_elements(NETDEV, macs_set(version)), *_no_rules(version)]
    messages += (no_rules(NETDEV, server_chain(server)) for server in before if server not in rule_.servers)
    if rule_.servers and rule_.index is not None:
        messages += _added(NETDEV, macs_set(version), sorted(rule_.macs))
        for server in sorted(rule_.servers, key=int):
            messages += _server(server, rule_.index)
        messages += _rules(version)
    return messages


def routed(addresses: Sequence[IPAddress], *, are_routed: bool) -> list[Message]:
    """Look at what comes for these VIPs, of one IP version; or no longer."""
    kind, messages = NEW_ELEMENTS if are_routed else DEL_ELEMENTS, list[Message]()
    for at in range(0, len(addresses), ELEMENTS_MOST):
        part = addresses[at : at + ELEMENTS_MOST]
        its = b"".join(attribute(1 | NESTED, value(1, address.packed)) for address in part)
        messages += (change_elements(kind, family, routed_set(part[0].version), its) for family in (NETDEV, INET))
    return messages


def located(version: int, strays: Iterable[tuple[Stray, IPAddress]]) -> list[Message]:
    """Pass these on. One that was to be passed on to another node is an error (EEXIST)."""
    messages, left = [], iter(strays)
    while part := list(islice(left, _LOCATED_MOST)):
        active = b"".join(_element(stray) for stray, _ in part)
        its = b"".join(_element(stray, _jump(to)) for stray, to in part)
        messages.append(change_elements(NEW_ELEMENTS, NETDEV, active_set(version), active))
        messages.append(change_elements(NEW_ELEMENTS, NETDEV, located_map(version), its))
    return messages


def unlocated(version: int, strays: Iterable[Stray]) -> list[Message]:
    """Forget where these were to be passed on to. One of which that isn't known is an error (ENOENT)."""
    messages, left = [], iter(strays)
    while part := list(islice(left, _LOCATED_MOST)):
        its = b"".join(map(_element, part))
        messages.append(change_elements(DEL_ELEMENTS, NETDEV, located_map(version), its))
    return messages


def released(version: int, strays: Iterable[Stray]) -> list[Message]:
    """Hold these back no longer. First they are added: to remove one that went by itself would fail."""
    messages, left = list[Message](), iter(strays)
    while part := list(islice(left, ELEMENTS_MOST)):
        its = b"".join(map(_element, part))
        messages += (change_elements(kind, INET, held_set(version), its) for kind in (NEW_ELEMENTS, DEL_ELEMENTS))
    return messages


def version_of(stray: Stray) -> int:
    """Its IP version."""
    return 4 if len(stray) == STRAY.size + 8 else 6


def read_held(version: int) -> Message:
    """Which connections are held back."""
    return Message(GET_ELEMENTS, DUMP, INET, text(1, TABLE) + text(2, held_set(version)))


def read_located(version: int) -> Message:
    """Of which it is known where they are passed on to."""
    return Message(GET_ELEMENTS, DUMP, NETDEV, text(1, TABLE) + text(2, located_map(version)))


def read_chains() -> Message:
    """Which chains there are."""
    return Message(_GET_CHAIN, DUMP, NETDEV, text(1, TABLE))


def servers(data: bytes) -> Iterator[IPAddress]:
    """To which nodes a part of the answer has chains."""
    for kind, body in messages_of(data):
        name = attributes(body[4:]).get(3, b"") if kind == NEW_CHAIN else b""
        digits = name.rstrip(b"\0").decode(errors="replace").removeprefix(SERVER_PREFIX)
        if name.startswith(SERVER_PREFIX.encode()) and len(digits) in (8, 32):
            yield ip_address(bytes.fromhex(digits))


def forget_servers(gone: Iterable[IPAddress]) -> list[Message]:
    """Pass nothing on to these; their chains stay while something may lead there."""
    return [no_rules(NETDEV, server_chain(server)) for server in gone]


def read_routed(version: int) -> Message:
    """At which VIPs' packets the kernel looks."""
    return Message(GET_ELEMENTS, DUMP, NETDEV, text(1, TABLE) + text(2, routed_set(version)))


def addresses(data: bytes) -> Iterator[IPAddress]:
    """Those of a part of the answer."""
    for kind, body in messages_of(data):
        if kind == NEW_ELEMENTS:
            for element in nested(attributes(body[4:]).get(3, b"")):
                yield ip_address(attributes(attributes(element).get(1, b"")).get(1, b""))


def note_strays(data: bytes, version: int, found: set[Stray]) -> bool:
    """Note those of a part of the answer; whether there may be more."""
    size, at = _size(version), 0
    key_size = 8 + 2 * size
    while len(data) - at >= HEAD.size + 4:
        length, kind, *_ = HEAD.unpack_from(data, at)
        if kind != NEW_ELEMENTS:
            return False
        end = at + length
        its = at + HEAD.size + 4
        while end - its >= _LIST.size:
            size_, kind = _LIST.unpack_from(data, its)
            if kind & 0x3FFF == 3:
                _note(data, its + _LIST.size, its + size_, key_size, size, found)
            its += max((size_ + 3) & ~3, _LIST.size)
        at += max((length + 3) & ~3, HEAD.size)
    return True


def _note(data: bytes, at: int, end: int, key_size: int, size: int, found: set[Stray]) -> None:
    while end - at >= _KEY_AT + key_size:
        length, _ = _LIST.unpack_from(data, at)
        key = data[at + _KEY_AT : at + _KEY_AT + key_size]
        found.add(Stray(key[:2] + key[4 + size : 6 + size] + key[4 : 4 + size] + key[8 + size :]))
        at += max((length + 3) & ~3, _KEY_AT)


def _rules(version: int) -> list[Message]:
    its_chain = strays_chain(version)
    return [
        *(rule(NETDEV, its_chain, what) for what in (once_of(version), renewal_of(version), located_of(version))),
        *(rule(INET, its_chain, what) for what in (hold_of(version), pass_of(version), begin_of(version))),
    ]


def _server(server: IPAddress, index: IfIndex) -> list[Message]:
    its_chain = server_chain(server)
    forward = rule(NETDEV, its_chain, forward_to(server, index))
    return [chain(NETDEV, its_chain), no_rules(NETDEV, its_chain), forward]


def _jump(to: IPAddress) -> bytes:
    return attribute(2 | NESTED, attribute(2 | NESTED, number(1, JUMP) + text(2, server_chain(to))))


def _no_rules(version: int) -> list[Message]:
    return [no_rules(family, strays_chain(version)) for family in (NETDEV, INET)]


def _added(family: int, name: str, keys: Sequence[bytes]) -> list[Message]:
    parts = (keys[at : at + ELEMENTS_MOST] for at in range(0, len(keys), ELEMENTS_MOST))
    return [
        change_elements(NEW_ELEMENTS, family, name, b"".join(attribute(1 | NESTED, value(1, key)) for key in part))
        for part in parts
    ]


def _element(stray: Stray, data: bytes = b"") -> bytes:
    size = (len(stray) - 4) // 2
    key = stray[:2] + b"\0\0" + stray[4 : 4 + size] + stray[2:4] + b"\0\0" + stray[4 + size :]
    return attribute(1 | NESTED, value(1, key) + data)


def _size(version: int) -> int:
    return 4 if version == 4 else 16
