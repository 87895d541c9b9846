"""Who takes part in the election, from what the gossip says of each node. Pure.

A member without our meta is one of PureLB's own agents: it always takes part, on every subnet that anybody is on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from lbnodeagent.errors import MetaError
from lbnodeagent.gossip.meta import Meta, decode_meta
from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress, IPNetwork

log = logging.getLogger(__name__)


class Members:
    """The members as this node sees them, itself included."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.own = Meta()
        self._others: dict[str, Meta | None] = {}
        self._known: dict[str, Meta] = {}
        """What each node last said of where it is, also of those that are gone: a VIP there is no routed address, and a
        dead agent's kernel may still answer."""

    @property
    def others(self) -> Mapping[str, Meta | None]:
        """The other live members, with their meta."""
        return self._others

    def set_own(self, meta: Meta) -> None:
        """What this node says of itself."""
        self.own = meta
        self._remember(self.node, meta)

    def joined(self, node: str, data: bytes) -> None:
        """A member is alive, with this meta."""
        if node == self.node:
            return
        try:
            meta = decode_meta(data)
        except MetaError as error:
            log.warning("a member's meta can't be read", extra={"node": node, "error": str(error)})
            meta = Meta()
        self._others[node] = meta
        if meta is not None:
            self._remember(node, meta)

    def gone(self, node: str, *, for_good: bool) -> None:
        """A member failed, or left (``for_good``)."""
        self._others.pop(node, None)
        if for_good:
            self._known.pop(node, None)

    def is_leaving(self, node: str) -> None:
        """A member told us itself that it shuts down, before its meta did."""
        meta = self._others.get(node)
        if meta is not None:
            self._others[node] = replace(meta, is_leaving=True)

    def _remember(self, node: str, meta: Meta) -> None:
        if meta.is_ready or meta.reach or meta.idle:  # else it has just started and doesn't know yet where it is
            self._known[node] = meta

    def understands(self, node: str) -> bool:
        """Whether a live member speaks the hand-over messages."""
        return self._others.get(node) is not None

    def candidates(self) -> dict[str, frozenset[IPNetwork]]:
        """The nodes to elect from, with the subnets on which each can announce.

        Excluded ones count only where there are no others: a VIP on a drained node is better than none.
        """
        metas = {**self._others, self.node: self.own}
        everywhere = frozenset[IPNetwork]().union(*(meta.reach for meta in metas.values() if meta is not None))
        active = {
            node: (everywhere if meta is None else meta.reach, meta is not None and meta.is_excluded)
            for node, meta in metas.items()
            if meta is None or (meta.is_ready and not meta.is_leaving)
        }
        wanted = {node: reach for node, (reach, is_excluded) in active.items() if not is_excluded}
        return wanted or {node: reach for node, (reach, _) in active.items()}

    def is_onlink(self, vip: IPAddress) -> bool:
        """Whether a node is, or was when it was last heard of, on the subnet of ``vip``."""
        return any(vip in network for meta in self._known.values() for network in meta.reach | meta.idle)

    def macs(self) -> frozenset[Mac]:
        """The NICs of all agents, also of those that failed: where VIPs may be for a while, beside their owner."""
        return frozenset[Mac]().union(*(meta.macs for meta in self._known.values()))
