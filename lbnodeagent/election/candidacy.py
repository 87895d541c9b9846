"""This node's part in the election: what it says of itself, and who owns what by all that is known. Pure.

Owns the election table and the decision whether this node may be a candidate. What it says is ``members.own``; ``now``
is monotonic seconds. Every change returns the VIPs whose owner changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from lbnodeagent.election.absences import Absences
from lbnodeagent.election.concessions import Concessions
from lbnodeagent.election.doubts import Doubts
from lbnodeagent.gate.failures import Failure
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta
from lbnodeagent.kernel.interfaces import NicSubnet, reach
from lbnodeagent.messages import BehindApi, FoundWrong
from lbnodeagent.tables import Mac, WantedVip
from purelb.addresses import IPAddress, IPNetwork
from purelb.checks import Check
from purelb.planned import PlannedElection
from purelb.version import Version

SETTLE: Final = 2.0
"""Seconds for which a node that starts or gets its cable back looks for its peers before it takes VIPs."""


UNHEARD: Final = "a node that isn't heard"
"""Who may have a VIP, where no node was heard since this agent started."""
DEAF: Final = 60.0
"""Seconds for which one that starts among agents with another key waits for them: by then they have the same, unless
somebody gave them different ones, and VIPs on two nodes are better than, after a death, on none."""


class Candidacy:
    """A node is a candidate when it knows what is wanted, can be heard, and doesn't go."""

    def __init__(self, node: str, members: Members, version: Version) -> None:
        """``version``: of this agent, for its peers to know."""
        self.is_synced = False
        """It knows which VIPs are wanted."""
        self.is_excluded = False
        self.failing: Failure | None = None
        """Why this node's data path doesn't work."""
        self.is_proxied = False
        """It has a kube-proxy that works."""
        self.is_behind = False
        """It doesn't hear what becomes of Services."""
        self.found_wrong: frozenset[Check] = frozenset()
        """Checks that find something wrong around this node, for people to know."""
        self.weight = 1
        """For the allocator to know."""
        self.keeps_flows = False
        """It passes on the flows of its VIPs that others serve."""
        self.is_leaving = False
        self.returns_within = 0
        """Seconds within which the agent is back that ends now; 0: it doesn't end, or doesn't come back."""
        self.hears_peers = False
        """The gossip runs: before that, the silence of peers means nothing."""
        self.is_alone: bool | None = None
        """Whether there are no other agents; None: it was not told yet."""
        self.is_deaf = False
        """There are agents whose gossip no key of ours opens."""
        self.able = frozenset[str]()
        """The candidates that are configured to announce, this node too if it is one: who can route a VIP."""
        self.best = frozenset[str]()
        """Those of them that serve, or of all the worse ones the best: who announces routed VIPs."""
        self.better = frozenset[str]()
        """Those of them that serve better than this node: to whom it leaves routed VIPs."""
        self._node = node
        self._members = members
        self._version = version
        self._election = PlannedElection()
        self.concessions = Concessions()
        self.doubts = Doubts()
        self.absences = Absences()
        self.is_unanswered = False
        """Nobody answers this node any more."""
        self._was_doubtful = False
        self._subnets: tuple[NicSubnet, ...] = ()
        self._macs: frozenset[Mac] = frozenset()
        self._addresses: frozenset[IPAddress] = frozenset()
        self._announces = True
        self._settle_until = 0.0
        self._first: str | None = None
        self._second: str | None = None
        self._deaf_until = 0.0
        self._has_news_to_hear = False

    @property
    def member_count(self) -> int:
        """The nodes that take part in the gossip, this one included."""
        return len(self._members.others) + 1

    @property
    def subnet_counts(self) -> tuple[int, int]:
        """The subnets on which a member can announce, and those on which this node can."""
        metas = (*self._members.others.values(), self._members.own)
        everywhere = frozenset[IPNetwork]().union(*(meta.reach for meta in metas if meta is not None))
        return len(everywhere), len(self._members.own.reach)

    @property
    def is_candidate(self) -> bool:
        """Whether this node says so to its peers."""
        return self._members.own.is_ready

    @property
    def ends(self) -> bool:
        """Whether this agent ends, to come back or not."""
        return self.is_leaving or bool(self.returns_within)

    @property
    def is_spokesman(self) -> bool:
        """Whether this node is the one that reports what concerns all alike."""
        return self._node == self._first

    @property
    def is_standin(self) -> bool:
        """Whether it is the next in line."""
        return self._node == self._second

    @property
    def deadline(self) -> float | None:
        """When this node may become a candidate just by waiting."""
        if not self.is_synced or not self.hears_peers or self.is_candidate or self.is_leaving:
            return None
        return max(self._settle_until, self._deaf_until) if self.is_deaf else self._settle_until

    def owner(self, vip: IPAddress) -> str | None:
        """The owner by what is known; None where nobody is on its subnet."""
        owner = self._election.owner(vip)
        other = self.concessions.to(vip)
        if other is None and owner == self._node:
            other = self.left_to(vip)
        return other or owner

    def left_to(self, vip: IPAddress) -> str | None:
        """Who has ``vip``, which is this node's by what it hears, as the wire says, or is being asked; None: nobody."""
        return self.doubts.to(vip) or self.absences.to(vip)

    def is_asked_for(self, vip: IPAddress) -> bool:
        """Whether the wire is being asked, and nobody has answered yet."""
        return self.doubts.is_open(vip) or self.absences.is_open(vip)

    def is_owner(self, vip: IPAddress) -> bool:
        """Whether that is this node."""
        return self.owner(vip) == self._node

    def concede(self, vip: IPAddress, to: str, now: float) -> None:
        """Leave ``vip``, which is ours by what we know, to a candidate that knows something else and has it."""
        candidate = self._members.candidates().get(to)
        if candidate is not None:
            self.concessions.add(vip, to, candidate, now)

    @property
    def may_be_cut_off(self) -> bool:
        """Whether it may be this node that is away, and not its peers: none of them answers or is left, or it was."""
        return self._is_away or self.doubts.is_catching_up

    @property
    def _is_away(self) -> bool:
        """Whether it may be this node now."""
        is_lone = not self._members.others and (self.is_alone is False or bool(self._members.lost))
        return self.is_unanswered or is_lone

    def answered(self, now: float, *, is_answered: bool) -> set[IPAddress]:
        """Whether anybody answers this node."""
        self.is_unanswered = not is_answered
        return self._reconsider(now)

    def stood_still(self, now: float) -> set[IPAddress]:
        """This agent did: the wire is asked for each VIP of its own. These are to be looked at."""
        if not self.is_candidate or not (self._members.others or self._members.lost):
            return set()  # nobody took anything
        own = {vip for vip, owner in self._election.owners().items() if owner == self._node}
        self.doubts.catch_up(own, self._members.last_lost or UNHEARD, now)
        self._was_doubtful = True
        return own

    def catch_up(self, now: float) -> set[IPAddress]:
        """What peers say counts again, a while after it stood still. The VIPs that were in doubt."""
        return self._reconsider(now) if self.doubts.has_caught_up(now) else set()

    def doubt(self, vips: Iterable[IPAddress], now: float, *, are_new: bool = False) -> None:
        """Of these VIPs, which ``are_new`` or changed their owner, ask the wire for those that came to this node."""
        other = self._members.last_lost or UNHEARD
        # What nobody had can't have been left or taken while this node wasn't there.
        may_be_cut_off = self._is_away if are_new else self.may_be_cut_off
        for vip in vips:
            if self._election.owner(vip) != self._node:
                self.doubts.end(vip)
            elif may_be_cut_off and self.absences.to(vip) is None:
                self.doubts.doubt((vip,), other, now, are_new=are_new)

    def leave_to_absent(self, vips: Iterable[IPAddress], now: float) -> None:
        """Of these VIPs, which changed, leave those where they are that a node has whose agent comes back."""
        for vip in vips:
            if self._election.owner(vip) == self._node:
                self.absences.won(vip, now)
            else:
                self.absences.lost(vip)

    def is_preferred(self, vip: IPAddress) -> bool:
        """Whether this node is one of those that are to have it rather than others."""
        return self._election.prefers(self._node, vip)

    def owned(self) -> Mapping[str, int]:
        """How many VIPs each node owns that owns any."""
        owners = self._election.owners().items()
        return Counter(self.absences.keeper(vip) or owner for vip, owner in owners if owner is not None)

    def unowned(self) -> list[IPAddress]:
        """The VIPs that nobody owns."""
        return [vip for vip, owner in self._election.owners().items() if owner is None]

    def want(self, vip: IPAddress, wanted: WantedVip | None) -> None:
        """A VIP is wanted so, or no longer."""
        self.concessions.end(vip)
        if wanted is None:
            self.doubts.end(vip)
            self.absences.end(vip)
            self._election.remove_vip(vip)
        else:
            self._election.set_vip(vip, wanted.electorate, wanted.preferred, wanted.plan)

    def gossip_started(self, now: float) -> set[IPAddress]:
        """Peers can be heard from now on; those that were heard before may be gone."""
        self._members.all_gone(now)
        self.hears_peers = True
        self._settle_until = now + SETTLE
        self._deaf_until = now + DEAF
        if self.is_alone is not True:
            # Agents that ended together with the one before this may have left VIPs to those who come.
            self.doubts.catch_up((), self._members.last_lost or UNHEARD, now)
            self._was_doubtful = True
        return self.update(now)

    def set_place(
        self,
        subnets: Iterable[NicSubnet],
        macs: Iterable[Mac],
        addresses: frozenset[IPAddress],
        now: float,
        *,
        announces: bool = True,
    ) -> set[IPAddress]:
        """Where this node is: on these subnets, with these NICs, by these addresses of its own.

        ``announces``: whether it is configured to.
        """
        self._subnets, self._macs, self._addresses = tuple(subnets), frozenset(macs), addresses
        self._announces = announces
        return self.update(now)

    def update(self, now: float) -> set[IPAddress]:
        """Bring what this node says of itself up to date, and elect again."""
        reachable = reach(self._subnets)
        if reachable - self._members.own.reach and not self._members.others:
            # Started, or got a cable back: peers may own what looks abandoned from here.
            self._settle_until = max(self._settle_until, now + SETTLE)
            self._has_news_to_hear = True
        meta = Meta(
            is_ready=self.is_synced and self.hears_peers and self._is_settled(now),
            is_leaving=self.is_leaving,
            is_excluded=self.is_excluded,
            reach=reachable,
            idle=frozenset(subnet.network for subnet in self._subnets) - reachable,
            macs=self._macs,
            addresses=self._addresses,
            announces=self._announces,
            failing=self.failing,
            is_proxied=self.is_proxied,
            is_behind=self.is_behind,
            weight=self.weight,
            found_wrong=self.found_wrong,
            keeps_flows=self.keeps_flows,
            waits=True,
            returns_within=self.returns_within,
            version=self._version,
        )
        if meta != self._members.own:
            self._members.set_own(meta)
        return self.elect(now) | self._reconsider(now)

    def is_told(self, told: BehindApi | FoundWrong) -> None:
        """What the others are to know, and no election goes by."""
        match told:
            case BehindApi(is_behind):
                self.is_behind = is_behind
            case FoundWrong(checks):
                self.found_wrong = checks

    def take_haste(self) -> bool:
        """Whether peers should be joined at once, since this was asked last."""
        haste, self._has_news_to_hear = self._has_news_to_hear, False
        return haste

    def elect(self, now: float) -> set[IPAddress]:
        """Bring the election up to date with the members."""
        candidates = self._members.candidates()
        self.able = frozenset(node for node, one in candidates.items() if one.announces)
        ranks = {node: candidates[node].rank for node in self.able}
        best, own = min(ranks.values(), default=0), self._members.own_rank
        self.best = frozenset(node for node, rank in ranks.items() if rank == best)
        self.better = frozenset(node for node, rank in ranks.items() if rank < own)
        speakers = {node for node, one in candidates.items() if one.speaks}
        speakers = speakers & self.able or speakers
        self._first = min(speakers, default=None)
        self._second = min(speakers - {self._first}, default=None)
        changed = self.absences.away(self._members.away(now))
        for node in self._election.candidates - candidates.keys():
            moved = self._election.remove_candidate(node)
            self.absences.left(node, moved)
            changed |= moved
        for node, candidate in candidates.items():
            changed |= self._election.set_candidate(
                node, candidate.reach, candidate.rank, reads_plans=candidate.reads_plans
            )
        self.leave_to_absent(changed, now)
        self.doubt(changed, now)
        return changed | self.concessions.elected(changed, candidates)

    def _reconsider(self, now: float) -> set[IPAddress]:
        """Peers came or went, or answer or don't: whether the wire has to be asked for this node's own VIPs."""
        was, self._was_doubtful = self._was_doubtful, self.may_be_cut_off
        if not self._was_doubtful:
            return self.doubts.over(now) if was or len(self.doubts) else set()
        if not was:
            self.doubts.begin(now)
        return set()

    def _is_settled(self, now: float) -> bool:
        """Whether what this node sees of its peers can be believed: it hears one, there are none, or it waited."""
        if self._members.others or self.is_alone is True:
            return True
        return now >= self._settle_until and not (self.is_deaf and now < self._deaf_until)
