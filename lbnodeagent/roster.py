"""Who takes part in the election, from what the gossip says of each node. Pure.

A member without our meta is one of PureLB's own agents: it always takes part, on every subnet that anybody is on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from lbnodeagent.errors import MetaError
from lbnodeagent.meta import Meta, decode_meta
from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress, IPNetwork

log = logging.getLogger(__name__)


class Roster:
    """The members as this node sees them, itself included."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.own = Meta()
        self._others: dict[str, Meta | None] = {}
        self._known: dict[str, frozenset[IPNetwork]] = {}
        """What each node was last on, also of those that are gone: a VIP there is no routed address."""

    @property
    def others(self) -> Mapping[str, Meta | None]:
        """The other live members, with their meta."""
        return self._others

    def set_own(self, meta: Meta) -> None:
        """What this node says of itself."""
        self.own = meta
        if meta.reach:
            self._known[self.node] = meta.reach

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
        if meta is not None and meta.reach:
            self._known[node] = meta.reach

    def gone(self, node: str, *, for_good: bool) -> None:
        """A member failed, or left (``for_good``)."""
        self._others.pop(node, None)
        if for_good:
            self._known.pop(node, None)

    def is_leaving(self, node: str) -> None:
        """A member told us itself that it shuts down, before its meta did."""
        meta = self._others.get(node)
        if meta is not None:
            self._others[node] = Meta(meta.is_ready, True, meta.is_excluded, meta.reach, meta.macs)

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
        return any(vip in network for reach in self._known.values() for network in reach)

    def macs(self) -> frozenset[Mac]:
        """Where VIPs may rightly be: the NICs of all live members."""
        return self.own.macs.union(*(meta.macs for meta in self._others.values() if meta is not None))
