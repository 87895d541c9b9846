"""VIPs that are wanted and that no node has: why, and since when. Pure; ``now`` is monotonic seconds.

What an agent can know of others is what the gossip says, so all know the same, and one of them, the spokesman, tells
it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from lbnodeagent.dataplane.obstacles import Obstacles
from lbnodeagent.tables import UNCONFIGURED, WantedVip
from purelb.addresses import IPAddress, IPNetwork, listed

PATIENCE: Final = 5.0
"""Seconds for which nobody has a VIP before it is told: pods that are replaced and nodes that start take less."""
_NODES: Final = 3
"""That are named."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is known of the nodes."""

    able: Collection[str]
    """Those with an agent that is configured to announce."""
    onlink: Collection[IPNetwork]
    """The subnets that a node is on, or was when it was last heard of."""
    obstacles: Obstacles
    """What keeps each from having a VIP."""


def why_nowhere(wanted: WantedVip, owner: str | None, cluster: Cluster) -> str | None:
    """Why no node has a VIP, as a clause; None: one has, or should, or nobody can tell."""
    if owner is not None:
        return None
    if not cluster.able:
        return UNCONFIGURED
    subnet = next((subnet for subnet in cluster.onlink if wanted.address in subnet), None)
    if subnet is not None and wanted.announcers is not None and not wanted.announcers & frozenset(cluster.able):
        return "no node that the nodeSelector of its ServiceGroup chooses has an agent that can announce"
    chosen = wanted.electorate if subnet is not None else wanted.endpoints
    if subnet is not None and wanted.endpoints and chosen is not None and not chosen:
        return "its traffic policy is Local, and the nodeSelector of its ServiceGroup chooses no node with an endpoint"
    if chosen is not None and not chosen:
        return "its traffic policy is Local, and no endpoint of it is ready"
    if subnet is not None:
        among = "no live node"
        if chosen and wanted.allow_local and wanted.endpoints is not None:
            among = "no node with a ready endpoint, as its traffic policy Local needs it,"
        elif chosen:
            among = "no node that the nodeSelector of its ServiceGroup chooses"
        each = cluster.obstacles.on(subnet, chosen or None)
        return f"{among} has a NIC with a cable on {subnet}, where it belongs" + (f" ({each})" if each else "")
    if chosen is not None and not chosen & frozenset(cluster.able):
        nodes = listed(sorted(chosen), _NODES)
        return f"its traffic policy is Local, and no node with a ready endpoint has an agent that can announce: {nodes}"
    return None


class Nowhere:
    """``look`` at each VIP of a pass, then ask ``has_lasted``."""

    def __init__(self) -> None:
        self._waiting: dict[IPAddress, float] = {}
        """Since when each is nowhere that isn't to be told yet, in that order."""
        self._lasted: set[IPAddress] = set()

    @property
    def count(self) -> int:
        """How many are to be told."""
        return len(self._lasted)

    @property
    def deadline(self) -> float | None:
        """When the next one has lasted long enough."""
        return next((since + PATIENCE for since in self._waiting.values()), None)

    def look(self, vip: IPAddress, now: float, *, is_nowhere: bool) -> None:
        """Whether no node has ``vip``."""
        if not is_nowhere:
            self._waiting.pop(vip, None)
            self._lasted.discard(vip)
        elif vip not in self._lasted:
            self._waiting.setdefault(vip, now)

    def has_lasted(self, vip: IPAddress) -> bool:
        """Whether it is to be told."""
        return vip in self._lasted

    def due(self, now: float) -> set[IPAddress]:
        """Those that have lasted long enough now, each once."""
        due = {vip for vip, since in self._waiting.items() if since + PATIENCE <= now}
        for vip in due:
            del self._waiting[vip]
        self._lasted |= due
        return due
