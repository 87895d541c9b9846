"""This node's part in the election: what it says of itself, and who owns what by all that is known.

Owns the election table and the decision whether this node may be a candidate. No I/O but ``peers.set_meta``; ``now`` is
monotonic seconds. Every change returns the VIPs whose owner changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lbnodeagent.gossip.meta import Meta
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.kernel.interfaces import NicSubnet, reach
from lbnodeagent.tables import Mac, WantedVip
from purelb.addresses import IPAddress
from purelb.election import Election

SETTLE: Final = 2.0
"""Seconds for which a node that starts or gets its cable back looks for its peers before it takes VIPs."""


class Candidacy:
    """A node is a candidate when it knows what is wanted, can be heard, and doesn't go."""

    def __init__(self, node: str, peers: Peers) -> None:
        self.is_synced = False
        """It knows which VIPs are wanted."""
        self.is_excluded = False
        self.is_leaving = False
        self.peers_known = False
        """It was told where its peers are."""
        self._node = node
        self._peers = peers
        self._roster = peers.roster
        self._election = Election()
        self._subnets: tuple[NicSubnet, ...] = ()
        self._macs: frozenset[Mac] = frozenset()
        self._settle_until = 0.0
        self._was_running = False

    @property
    def is_candidate(self) -> bool:
        """Whether this node says so to its peers."""
        return self._roster.own.is_ready

    @property
    def is_spokesman(self) -> bool:
        """Whether this node is the one that reports what concerns all alike."""
        return self._node == min(self._election.candidates, default=None)

    def owner(self, vip: IPAddress) -> str | None:
        """The owner by what is known; None where nobody is on its subnet."""
        return self._election.owner(vip)

    def deadline(self, now: float) -> float | None:
        """When this node may become a candidate just by waiting."""
        if not self.is_synced or not self._peers.is_running or self.is_candidate:
            return None
        return max(self._settle_until, now + 0.01)

    def want(self, vip: IPAddress, wanted: WantedVip | None) -> None:
        """A VIP is wanted so, or no longer."""
        if wanted is None:
            self._election.remove_vip(vip)
        else:
            self._election.set_vip(vip, wanted.electorate, wanted.preferred)

    def set_subnets(self, subnets: Iterable[NicSubnet], macs: Iterable[Mac], now: float) -> set[IPAddress]:
        """Where this node is."""
        self._subnets, self._macs = tuple(subnets), frozenset(macs)
        return self.update(now)

    def update(self, now: float) -> set[IPAddress]:
        """Say what changed of this node, and elect again."""
        reachable = reach(self._subnets)
        if self._peers.is_running and not self._was_running:
            self._settle_until = now + SETTLE
        self._was_running = self._peers.is_running
        if reachable - self._roster.own.reach and not self._roster.others:
            # Started, or got a cable back: peers may own what looks abandoned from here.
            self._settle_until = max(self._settle_until, now + SETTLE)
            self._peers.hurry()
        meta = Meta(
            is_ready=self.is_synced and self._peers.is_running and self._is_settled(now),
            is_leaving=self.is_leaving,
            is_excluded=self.is_excluded,
            reach=reachable,
            idle=frozenset(subnet.network for subnet in self._subnets) - reachable,
            macs=self._macs,
        )
        if meta != self._roster.own:
            self._roster.set_own(meta)
            self._peers.set_meta(meta)
        return self.elect()

    def elect(self) -> set[IPAddress]:
        """Bring the election up to date with the roster."""
        candidates = self._roster.candidates()
        changed: set[IPAddress] = set()
        for node in self._election.candidates - candidates.keys():
            changed |= self._election.remove_candidate(node)
        for node, reachable in candidates.items():
            changed |= self._election.set_candidate(node, reachable)
        return changed

    def _is_settled(self, now: float) -> bool:
        """Whether what this node sees of its peers can be believed: it hears one, there are none, or it waited."""
        if self._roster.others or now >= self._settle_until:
            return True
        return self.peers_known and not self._peers.addresses
