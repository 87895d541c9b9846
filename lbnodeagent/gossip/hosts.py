"""Which node has which address of its own: as each says, and where it gossips from. Pure; ``now`` is monotonic seconds.

What a node that stayed has said is remembered beyond its going: a machine that starts again must find its address free.
What it claimed goes at once with a member of a moment: whoever has the gossip's key, or sends an old packet again, can
make one, and would keep an address from all for a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from purelb.addresses import IPAddress

PROVEN: Final = 60.0
"""Seconds for which a node must have been there, so that it is remembered."""
FAILED: Final = 24 * 3600.0
"""Seconds for which the addresses of a node that failed are remembered."""
LEFT: Final = 3600.0
"""Likewise of one whose agent left: most of those are upgraded, and come back."""
_GONE_MOST: Final = 4096
"""Nodes that are gone and remembered; then the first ones to go are forgotten."""


@dataclass(frozen=True, slots=True)
class _Here:
    addresses: frozenset[IPAddress]
    since: float


@dataclass(frozen=True, slots=True)
class _Gone:
    addresses: frozenset[IPAddress]
    until: float


class Hosts:
    """Every change returns the addresses that it concerns."""

    def __init__(self) -> None:
        self._here: dict[str, _Here] = {}
        self._gone: dict[str, _Gone] = {}
        """Nodes that went, in that order; also those that are here again, until they have stayed."""
        self._nodes: dict[IPAddress, dict[str, None]] = {}

    def node_with(self, address: IPAddress) -> str | None:
        """The node that has ``address``; of several, which would be a mistake of theirs, any."""
        return next(iter(self._nodes.get(address, ())), None)

    def here(self, node: str, addresses: Iterable[IPAddress], now: float) -> frozenset[IPAddress]:
        """A node is there and has these."""
        before, known = self._of(node), self._here.get(node)
        self._here[node] = _Here(frozenset(addresses), known.since if known is not None else now)
        return self._index(node, before)

    def gone(self, node: str, now: float, *, for_good: bool) -> frozenset[IPAddress]:
        """A node failed, or its agent left (``for_good``)."""
        before, known = self._of(node), self._here.pop(node, None)
        if known is not None and now - known.since >= PROVEN:
            self._gone.pop(node, None)
            self._gone[node] = _Gone(known.addresses, now + (LEFT if for_good else FAILED))
        freed = self._index(node, before)
        return freed if len(self._gone) <= _GONE_MOST else freed | self._forget([next(iter(self._gone))])

    def forget_old(self, now: float) -> frozenset[IPAddress]:
        """Forget what is known of those that are gone for long, or are here again to stay."""
        return self._forget([node for node, gone in self._gone.items() if now >= gone.until or self._stays(node, now)])

    def forget_gone(self) -> frozenset[IPAddress]:
        """Forget what is known of all that are gone."""
        return self._forget(list(self._gone))

    def _stays(self, node: str, now: float) -> bool:
        here = self._here.get(node)
        return here is not None and now - here.since >= PROVEN

    def _forget(self, nodes: Iterable[str]) -> frozenset[IPAddress]:
        freed = frozenset[IPAddress]()
        for node in nodes:
            before = self._of(node)
            del self._gone[node]
            freed |= self._index(node, before)
        return freed

    def _of(self, node: str) -> frozenset[IPAddress]:
        here, gone = self._here.get(node), self._gone.get(node)
        return (here.addresses if here else frozenset()) | (gone.addresses if gone else frozenset())

    def _index(self, node: str, before: frozenset[IPAddress]) -> frozenset[IPAddress]:
        """Bring ``_nodes`` up to date for a node that had these before."""
        after = self._of(node)
        for address in before - after:
            del self._nodes[address][node]
            if not self._nodes[address]:
                del self._nodes[address]
        for address in after - before:
            self._nodes.setdefault(address, {})[node] = None
        return before ^ after
