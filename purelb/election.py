"""Who owns a VIP: the hash rule of PureLB v0.6 to v0.13, and a table that follows members and VIPs as they change.

Owner = first of the candidates by ``sha256(node + "#" + ip)``, ascending (rendezvous hashing: removing a node moves
only the VIPs that it owned). The key is the canonical text of the address (RFC 5952), without prefix length. All nodes,
also PureLB's own agents, must compute the same. No I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from purelb.addresses import IPAddress, IPNetwork


def digest(node: str, vip: IPAddress | str) -> bytes:
    """The rank of ``node`` for ``vip``: 32 bytes, compared as such; the lowest wins."""
    return hashlib.sha256(f"{node}#{vip}".encode()).digest()


def ranking(nodes: Iterable[str], vip: IPAddress | str) -> list[str]:
    """All nodes, the owner first."""
    return sorted(nodes, key=lambda node: digest(node, vip))


def owner(nodes: Iterable[str], vip: IPAddress | str) -> str | None:
    """The owner among ``nodes``; None without candidates."""
    return min(nodes, key=lambda node: digest(node, vip), default=None)


class Class(NamedTuple):
    """Whom a VIP goes to before anybody else, whatever plans and digests say; the lowest first."""

    rank: int
    """The node's: 0 for one that serves, more for a worse one."""
    is_not_preferred: bool


_Place: TypeAlias = tuple[Class, bytes]
"""The lowest wins."""


class _Rule(NamedTuple):
    only: frozenset[str] | None
    preferred: frozenset[str] | None


class Election:
    """The owners of all VIPs, kept as candidates and VIPs come and go.

    A change costs what it can alter: a node that goes, the VIPs it owned; a node that comes, one hash per VIP.
    Every mutator returns the VIPs whose owner, or its class, changed.
    """

    def __init__(self) -> None:
        self._reach: dict[str, frozenset[IPNetwork] | None] = {}
        self._ranks: dict[str, int] = {}
        self._rules: dict[IPAddress, _Rule] = {}
        self._owners: dict[IPAddress, tuple[_Place, str] | None] = {}
        self._owned: dict[str, set[IPAddress]] = {}

    @property
    def candidates(self) -> frozenset[str]:
        return frozenset(self._reach)

    def owners(self) -> Mapping[IPAddress, str | None]:
        """A copy: VIP to owner, None where no candidate reaches it."""
        return {vip: won[1] if won else None for vip, won in self._owners.items()}

    def owner(self, vip: IPAddress) -> str | None:
        """The owner; None for a VIP without candidates or one that isn't in the table."""
        won = self._owners.get(vip)
        return won[1] if won else None

    def prefers(self, node: str, vip: IPAddress) -> bool:
        """Whether ``vip`` has no preference, or ``node`` is among the preferred."""
        rule = self._rules.get(vip)
        return rule is None or rule.preferred is None or node in rule.preferred

    def successor(self, vip: IPAddress, without: str) -> str | None:
        """Who would own ``vip`` if the node ``without`` were no candidate."""
        others = (node for node in self._reach if node != without and self._eligible(node, vip))
        return min(others, key=lambda node: self._place(node, vip), default=None)

    def class_of(self, node: str, vip: IPAddress) -> Class | None:
        """How ``node`` stands for ``vip``; None: it can't have it."""
        if node not in self._reach or not self._eligible(node, vip):
            return None
        preferred = self._rules[vip].preferred
        return Class(self._ranks[node], preferred is not None and node not in preferred)

    def best_class(self, vip: IPAddress) -> Class | None:
        """How its owner stands, and so whoever could be its owner instead; None: nobody can have it."""
        won = self._owners.get(vip)
        return won[0][0] if won else None

    def set_candidate(self, node: str, reach: frozenset[IPNetwork] | None, rank: int = 0) -> set[IPAddress]:
        """Add a node or change what it reaches: the subnets it can announce on, None for any.

        It owns only what no candidate of a lower rank can.
        """
        before = self._ranks.get(node)
        self._ranks[node] = rank
        if node in self._reach:
            if self._reach[node] == reach and before == rank:
                return set()
            self._reach[node] = reach
            affected = {vip for vip in self._owners if vip in self._owned.get(node, ()) or self._eligible(node, vip)}
            return {vip for vip in affected if self._decide(vip)}
        self._reach[node] = reach
        changed = set()
        for vip, won in self._owners.items():
            if not self._eligible(node, vip):
                continue
            place = self._place(node, vip)
            if won is None or place < won[0]:
                self._assign(vip, (place, node))
                changed.add(vip)
        return changed

    def remove_candidate(self, node: str) -> set[IPAddress]:
        """Forget a node."""
        if node not in self._reach:
            return set()
        del self._reach[node]
        del self._ranks[node]
        return {vip for vip in self._owned.pop(node, set()) if self._decide(vip)}

    def set_vip(
        self, vip: IPAddress, only: frozenset[str] | None = None, preferred: frozenset[str] | None = None
    ) -> bool:
        """Add a VIP, or change its rule. True if its owner, or its class, changed.

        ``only``: the nodes to which it is confined; ``preferred``: those that come before all others, whatever their
        digest. None: any.
        """
        before, rule = self._rules.get(vip), _Rule(only, preferred)
        if before == rule:
            return False
        self._rules[vip] = rule
        won = self._owners.setdefault(vip, None)
        if won is None or before is None or before.preferred != preferred or before.only is None or only is None:
            return self._decide(vip)
        if won[1] not in only:
            return self._decide(vip)
        # A node more in a selector of many VIPs is no reason to rank all the others anew.
        more = (node for node in only - before.only if node in self._reach and self._eligible(node, vip))
        return self._assign(vip, min([won, *((self._place(node, vip), node) for node in more)]))

    def remove_vip(self, vip: IPAddress) -> None:
        """Forget a VIP."""
        won = self._owners.pop(vip, None)
        self._rules.pop(vip, None)
        if won:
            self._owned[won[1]].discard(vip)

    def _eligible(self, node: str, vip: IPAddress) -> bool:
        only = self._rules[vip].only
        if only is not None and node not in only:
            return False
        reach = self._reach[node]
        return reach is None or any(vip in network for network in reach)

    def _place(self, node: str, vip: IPAddress) -> _Place:
        preferred = self._rules[vip].preferred
        return Class(self._ranks[node], preferred is not None and node not in preferred), digest(node, vip)

    def _decide(self, vip: IPAddress) -> bool:
        ranked = ((self._place(node, vip), node) for node in self._reach if self._eligible(node, vip))
        return self._assign(vip, min(ranked, default=None))

    def _assign(self, vip: IPAddress, won: tuple[_Place, str] | None) -> bool:
        before = self._owners[vip]
        if before is not None:
            self._owned.get(before[1], set()).discard(vip)
        self._owners[vip] = won
        if won is not None:
            self._owned.setdefault(won[1], set()).add(vip)
        return before != won
