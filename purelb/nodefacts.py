"""What a node's agent says of its node in an annotation of its Lease, for comparison with the other nodes. Pure.

Nothing of it is secret: of the gossip's keys it has the fingerprints that are metrics too.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from purelb.addresses import IPAddress, IPNetwork, parse_address, parse_network
from purelb.errors import AddressError

MOST: Final = 64
"""Entries of a kind that are told and read."""
_MAC: Final = re.compile("(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
LONGEST_TOLD: Final = 16 * 1024
"""Characters of an annotation that are read."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Of one node."""

    mtus: Mapping[IPNetwork, int] = field(default_factory=dict)
    """Of its NIC on each subnet where it announces."""
    gateways: frozenset[IPAddress] = frozenset()
    """Its default routes'."""
    keys: tuple[str, ...] = ()
    """Fingerprints of the gossip's keys: the one that seals first, and those that only open."""
    macs: Mapping[IPNetwork, str] = field(default_factory=dict)
    """Of its NIC on each subnet where it announces, as ``ip`` writes them."""

    def mac_for(self, address: IPAddress) -> str:
        """With which MAC it answers for an address that it announces; empty: that isn't known."""
        return next((mac for subnet, mac in self.macs.items() if address in subnet), "")


def told(facts: NodeFacts) -> str:
    """As the annotation has them."""
    entries = {
        "mtus": {str(subnet): mtu for subnet, mtu in list(facts.mtus.items())[:MOST]},
        "gateways": sorted(map(str, facts.gateways))[:MOST],
        "keys": list(facts.keys[:MOST]),
        "macs": {str(subnet): mac for subnet, mac in list(facts.macs.items())[:MOST]},
    }
    return json.dumps(entries, separators=(",", ":"))


def read_facts(text: str) -> NodeFacts:
    """Lenient: what can't be read is left out."""
    try:
        said = json.loads(text) if len(text) <= LONGEST_TOLD else {}
    except (ValueError, RecursionError):
        said = {}
    if not isinstance(said, dict):
        said = {}
    return NodeFacts(
        mtus={subnet: mtu for subnet, mtu in _by_subnet(said.get("mtus")) if isinstance(mtu, int)},
        gateways=frozenset(_addresses(_listed(said.get("gateways")))),
        keys=tuple(key[:MOST] for key in _listed(said.get("keys")) if isinstance(key, str)),
        macs={
            subnet: mac for subnet, mac in _by_subnet(said.get("macs")) if isinstance(mac, str) and _MAC.fullmatch(mac)
        },
    )


def _listed(said: Any) -> list[Any]:
    return said[:MOST] if isinstance(said, list) else []


def _by_subnet(said: Any) -> Iterator[tuple[IPNetwork, Any]]:
    for text, value in list(said.items())[:MOST] if isinstance(said, dict) else ():
        with contextlib.suppress(AddressError):
            yield parse_network(text), value


def _addresses(texts: Iterable[Any]) -> Iterator[IPAddress]:
    for text in texts:
        with contextlib.suppress(AddressError):
            yield parse_address(str(text))
