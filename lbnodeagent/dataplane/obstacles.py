"""Why no node can have the VIPs of a subnet, node by node, in few words. Pure.

What it says has bounds: nodes with one reason are named together, the first few of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from lbnodeagent.gossip.meta import Meta
from purelb.addresses import IPNetwork, listed

_NODES: Final = 3
"""That are named for one reason."""
_REASONS: Final = 4
NOT_HEARD: Final = "its agent is not heard"


class Obstacles:
    """Of the moment at which these are the ``members``, and these were there before (``lost``), with what they said."""

    def __init__(self, members: Mapping[str, Meta | None], lost: Set[str]) -> None:
        self._members = members
        self._lost = lost
        self._known: dict[tuple[IPNetwork, frozenset[str] | None], str] = {}

    def on(self, subnet: IPNetwork, among: frozenset[str] | None = None) -> str:
        """``w11: no cable on 10.31.0.0/16; w12, w13: no interface on 10.31.0.0/16``.

        ``among``: the only nodes that may have it. Computed once for all VIPs of which that is so.
        """
        known = self._known.get((subnet, among))
        if known is None:
            known = self._known[subnet, among] = self._listed(subnet, among)
        return known

    def _listed(self, subnet: IPNetwork, among: frozenset[str] | None) -> str:
        nodes: dict[str, list[str]] = {}
        for node in sorted(self._members.keys() | self._lost if among is None else among):
            reason = obstacle(self._members[node], subnet) if node in self._members else NOT_HEARD
            if reason:
                nodes.setdefault(reason, []).append(node)
        groups = [f"{listed(names, _NODES)}: {reason}" for reason, names in nodes.items()]
        return "; ".join([*groups[:_REASONS], "and so on"] if len(groups) > _REASONS else groups)


def obstacle(meta: Meta | None, subnet: IPNetwork) -> str:
    """Why a node can't have a VIP of ``subnet``; empty: it could."""
    if meta is None:
        return ""
    if meta.is_leaving:
        return "its agent shuts down"
    if not meta.is_ready:
        return "its agent starts"
    if any(subnet.overlaps(there) for there in meta.reach if there.version == subnet.version):
        return ""
    if subnet in meta.idle:
        return f"no cable on {subnet}"
    return f"no interface on {subnet}" if meta.announces else "no LBNodeAgent with a local block is for it"
