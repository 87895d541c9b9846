"""What the data plane is seen by in the metrics: counts of what the core says, and how things are after each input."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, assert_never

from lbnodeagent.dataplane.core import Core
from lbnodeagent.dataplane.outputs import Counted
from lbnodeagent.gossip.keyrotation import fingerprint
from lbnodeagent.gossip.peers import Peers
from purelb.metrics import AgentMetrics

if TYPE_CHECKING:
    from lbnodeagent.flows.keeper import FlowKeeper

LOOK: Final = 10.0
"""Seconds between two looks at all members."""


class Gauges:
    """Of one node."""

    def __init__(self, core: Core, peers: Peers, metrics: AgentMetrics) -> None:
        self._core = core
        self._peers = peers
        self._metrics = metrics
        self._shown_ring: tuple[bytes, ...] = ()

    def show(self, keeper: FlowKeeper | None) -> None:
        """How things are now."""
        self._metrics.members.set(self._core.candidacy.member_count)
        self._metrics.nowhere.set(self._core.nowhere_count)
        if keeper is not None:
            keeper.metrics.show_flows(*self._core.flow_counts)
            keeper.metrics.show_strays(*self._core.stray_counts)
        self._metrics.cut_off.set(self._core.candidacy.is_unanswered)
        self._metrics.messages_refused.set(self._peers.refused)
        if self._peers.ring != self._shown_ring:
            self._show_ring(self._peers.ring)

    async def show_subnets(self) -> None:
        """On how many a member, and this node, can announce: a look at all members, now and then; without end."""
        while True:
            everywhere, here = self._core.candidacy.subnet_counts
            self._metrics.subnets.set(everywhere)
            self._metrics.local_subnets.set(here)
            await asyncio.sleep(LOOK)

    def count(self, counted: Counted) -> None:
        """Something happened so many times."""
        match counted.what:
            case "election_wins":
                counter = self._metrics.election_wins
            case "election_losses":
                counter = self._metrics.election_losses
            case "conflicts":
                counter = self._metrics.conflicts
            case "restored":
                counter = self._metrics.restored
            case "affinity_fallback":
                counter = self._metrics.affinity_fallback.labels(str(counted.vip))
            case _:
                assert_never(counted.what)
        counter.inc(counted.times)

    def _show_ring(self, ring: tuple[bytes, ...]) -> None:
        self._shown_ring = ring
        self._metrics.gossip_keys.clear()
        for number, key in enumerate(ring):
            self._metrics.gossip_keys.labels(fingerprint(key), "opens" if number else "seals").set(1)
