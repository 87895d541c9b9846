"""How many VIPs each node owns and stands in for, and the choice of whoever has the smallest share. Pure.

A node's share is its VIPs divided by its weight. Choices are made by heaps, each of one domain's nodes, that are put
right as they are read: to place all of 10,000 VIPs on 1,000 nodes mustn't cost a look at each pair.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from allocator.placement.values import Node
from purelb.addresses import IPAddress
from purelb.election import digest

Rank: TypeAlias = tuple[float, float, bytes]
"""Shares as an owner and as a stand-in, with one VIP more; then the hash of the name, so that no name is favoured."""


class Shares:
    """Who has which VIPs by the plan."""

    def __init__(self) -> None:
        self.owned: defaultdict[str, set[IPAddress]] = defaultdict(set)
        self.stood: defaultdict[str, set[IPAddress]] = defaultdict(set)
        self.heirs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """Of each owner: for how many of its VIPs each node stands in."""
        self.shrinks = 0
        """How often somebody has come to own fewer: heaps made before may have too high a rank for it."""
        self._weights: dict[str, int] = {}
        self._ties: dict[str, bytes] = {}

    def weigh(self, nodes: Mapping[str, Node]) -> None:
        """The nodes' weights, as they are now."""
        self._weights = {name: max(1, node.weight) for name, node in nodes.items()}
        self._ties = {name: self._ties.get(name) or digest(name, "") for name in nodes}
        for table in (self.owned, self.stood, self.heirs):
            for name in [name for name, entries in table.items() if not entries and name not in nodes]:
                del table[name]

    def own(self, address: IPAddress, owner: str) -> None:
        """A node owns one more."""
        self.owned[owner].add(address)

    def disown(self, address: IPAddress, owner: str) -> None:
        """And one fewer; whoever stood in is to be taken away first."""
        self.owned[owner].discard(address)
        self.shrinks += 1

    def stand_in(self, address: IPAddress, owner: str, heir: str) -> None:
        """A node stands in for an owner."""
        self.stood[heir].add(address)
        self.heirs[owner][heir] += 1

    def stand_down(self, address: IPAddress, owner: str, heir: str) -> None:
        """It does no more."""
        self.stood[heir].discard(address)
        self.heirs[owner][heir] -= 1
        if not self.heirs[owner][heir]:
            del self.heirs[owner][heir]

    def share(self, name: str, more: int = 0) -> float:
        """A node's share, with so many VIPs more; also of one that is gone."""
        return (len(self.owned.get(name, ())) + more) / self._weights.get(name, 1)

    def share_after(self, owner: str, name: str, more: int = 0) -> float:
        """A node's share after the death of ``owner``."""
        inherits = self.heirs[owner][name] if owner in self.heirs else 0
        return self.share(name, inherits + more)

    def rank_as_owner(self, name: str) -> Rank:
        """The lowest is to have the next VIP."""
        return self.share(name, 1), 0.0, self._ties[name]

    def rank_as_heir(self, name: str) -> Rank:
        """The lowest is to stand in for the next VIP, but for what it inherits from the same owner already."""
        stands = (len(self.stood.get(name, ())) + 1) / self._weights[name]
        return self.share(name, 1), stands, self._ties[name]


class Choice:
    """Whoever of some nodes has the lowest rank; ranks may rise between two picks."""

    def __init__(self, names: Iterable[str], rank: Callable[[str], Rank]) -> None:
        self._rank = rank
        self._heap = [(rank(name), name) for name in names]
        heapq.heapify(self._heap)

    def pick(self, banned: Collection[str] = (), share: Callable[[str], float] | None = None) -> str | None:
        """One that isn't banned, with the lowest rank; None: there is none.

        ``share`` counts instead of the first part of a rank, and isn't lower than that.
        """
        read: list[tuple[Rank, str]] = []
        best: tuple[Rank, str] | None = None
        while self._heap and (best is None or self._heap[0] < best):
            known, name = heapq.heappop(self._heap)
            rank = self._rank(name)
            if rank != known:
                heapq.heappush(self._heap, (rank, name))
                continue
            read.append((rank, name))
            if name in banned:
                continue
            cost: Rank = rank if share is None else (share(name), rank[1], rank[2])
            if best is None or (cost, name) < best:
                best = cost, name
        for entry in read:
            heapq.heappush(self._heap, entry)
        return None if best is None else best[1]
