"""Which node has which address of its own: as each says, and where it gossips from. Pure; ``now`` is monotonic seconds.

It is remembered beyond a node's going: a machine that starts again must find its address free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from purelb.addresses import IPAddress

FAILED: Final = 24 * 3600.0
"""Seconds for which the addresses of a node that failed are remembered."""
LEFT: Final = 3600.0
"""Likewise of one whose agent left: most of those are upgraded, and come back."""
_GONE_MOST: Final = 4096
"""Nodes that are gone and remembered; then the first ones to go are forgotten."""


class Hosts:
    """Every change returns the addresses that it concerns."""

    def __init__(self) -> None:
        self._of: dict[str, frozenset[IPAddress]] = {}
        self._nodes: dict[IPAddress, dict[str, None]] = {}
        self._until: dict[str, float] = {}
        """Until when what is known of a node that is gone counts."""

    def node_with(self, address: IPAddress) -> str | None:
        """The node that has ``address``; of several, which would be a mistake of theirs, any."""
        return next(iter(self._nodes.get(address, ())), None)

    def here(self, node: str, addresses: Iterable[IPAddress]) -> frozenset[IPAddress]:
        """A node is there and has these."""
        self._until.pop(node, None)
        before, after = self._of.get(node, frozenset()), frozenset(addresses)
        for address in before - after:
            self._drop(address, node)
        for address in after - before:
            self._nodes.setdefault(address, {})[node] = None
        self._of[node] = after
        return before ^ after

    def gone(self, node: str, now: float, *, for_good: bool) -> frozenset[IPAddress]:
        """A node failed, or its agent left (``for_good``)."""
        if node not in self._of:
            return frozenset()
        self._until[node] = now + (LEFT if for_good else FAILED)
        return self._forget(next(iter(self._until))) if len(self._until) > _GONE_MOST else frozenset()

    def forget_old(self, now: float) -> frozenset[IPAddress]:
        """Forget those that are gone for long."""
        old = [node for node, until in self._until.items() if now >= until]
        return frozenset[IPAddress]().union(*(self._forget(node) for node in old))

    def _forget(self, node: str) -> frozenset[IPAddress]:
        del self._until[node]
        addresses = self._of.pop(node)
        for address in addresses:
            self._drop(address, node)
        return addresses

    def _drop(self, address: IPAddress, node: str) -> None:
        del self._nodes[address][node]
        if not self._nodes[address]:
            del self._nodes[address]
