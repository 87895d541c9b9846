"""Who takes part in the election, from what the gossip says of each node. Pure; ``now`` is monotonic seconds.

A member without our meta is one of PureLB's own agents: it always takes part, on every subnet that anybody is on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Final

from lbnodeagent.errors import MetaError
from lbnodeagent.gate.failures import Failure
from lbnodeagent.gossip.envelope import Life
from lbnodeagent.gossip.hosts import Hosts
from lbnodeagent.gossip.meta import Meta, decode_meta
from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress, IPNetwork

log = logging.getLogger(__name__)

REMEMBER: Final = 24 * 3600.0
"""Seconds for which it is remembered where a node was that failed: a rack may be away for a day, not for ever."""
LEAVING: Final = 15.0
"""Seconds after which a node that said so should have left: a message that came late, or was sent again, moves no VIPs
for longer than until the next sweep after that."""
_MACS_MOST: Final = 16
"""NICs that are remembered of a node, also those that it doesn't name any more: it tells of seven at a time."""
_DEAD_MOST: Final = 4096
"""Failed nodes that are remembered; then the first ones to fail are forgotten."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may own VIPs."""

    reach: frozenset[IPNetwork]
    """The subnets on which it can announce."""
    rank: int = 0
    """Lower ones come first, and the others count only where there are none: a VIP on a drained node is better than
    nowhere. 0: it serves; 1: it is excluded; 2: its data path doesn't work; 3: both. Beside an agent from before,
    which doesn't tell these three apart, 1 for each of them."""
    announces: bool = True
    """It is configured to announce, at least on its dummy interface: routed VIPs may be left to it."""
    speaks: bool = True
    """It is one of ours, which may report what concerns all alike."""
    reads_plans: bool = True
    """It goes by the placements that the allocator writes, as ours do since they tell their version."""


class Members:
    """The members as this node sees them, itself included."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.own = Meta()
        self.hosts = Hosts()
        self.expected: frozenset[str] | None = None
        """The nodes whose agents should be heard, by the API server; None: not known yet."""
        self._others: dict[str, Meta | None] = {}
        self._known: dict[str, Meta] = {}
        """What each node last said of where it is, also of those that are gone: a VIP there is no routed address, and a
        dead agent's kernel may still answer."""
        self._met: set[str] = set()
        """The nodes that ever said where they are, as long as an agent runs there, or is heard."""
        self._failed_at: dict[str, float] = {}
        self._away: dict[str, float] = {}
        """Whose agents said that they come back, and by when; until they do and serve."""
        self._said_leaving: dict[str, float] = {}
        """Who told us to be leaving, and when, and has said nothing else since."""
        self._networks: Counter[IPNetwork] = Counter()
        self._macs: dict[Mac, set[str]] = {}
        self._onlink: frozenset[IPNetwork] | None = None
        self._news: set[IPAddress] = set()
        """Addresses that became a node's, or ceased to be."""

    @property
    def others(self) -> Mapping[str, Meta | None]:
        """The other live members, with their meta."""
        return self._others

    @property
    def lost(self) -> Set[str]:
        """Members that failed, and may come back."""
        return self._failed_at.keys()

    @property
    def last_lost(self) -> str | None:
        """The last one of them to fail."""
        return next(reversed(self._failed_at), None)

    @property
    def unmet(self) -> str | None:
        """A node where an agent runs whose NICs this one was never told: an unknown MAC may be its."""
        return min((self.expected or frozenset()) - self._met - {self.node}, default=None)

    def set_own(self, meta: Meta) -> None:
        """What this node says of itself."""
        self.own = meta
        self._remember(self.node, meta)

    def away(self, now: float) -> dict[str, float]:
        """The nodes whose agents end and come back, and when they should be."""
        return {node: until for node, until in self._away.items() if until > now}

    @property
    def absent(self) -> Mapping[str, Meta]:
        """The nodes whose agents ended and come back, with what they said last."""
        return {node: self._known[node] for node in self._away if node in self._known and node not in self._others}

    @property
    def all_wait(self) -> bool:
        """Whether each other node leaves VIPs to one whose agent comes back."""
        return all(meta is not None and meta.waits for meta in self._others.values())

    def take_news(self) -> set[IPAddress]:
        """The addresses that became a node's or ceased to be since this was asked last."""
        news, self._news = self._news, set()
        return news

    def joined(self, node: str, data: bytes, address: IPAddress, now: float) -> bool:
        """A member is alive, with this meta. Whether the election may have another result for that."""
        if node == self.node:
            return False
        try:
            meta = decode_meta(data)
        except MetaError as error:
            log.warning("a member's meta can't be read", extra={"node": node, "error": str(error)})
            meta = Meta()
        is_known = node in self._others and _elective(self._others[node]) == _elective(meta)
        self._others[node] = meta
        self._said_leaving.pop(node, None)  # its own word
        self._failed_at.pop(node, None)
        self._note_absence(node, meta, now)
        if meta is not None:
            self._remember(node, meta)
        self._news |= self.hosts.here(node, {address} | (meta.addresses if meta is not None else frozenset()), now)
        return not is_known

    def gone(self, node: str, now: float, *, for_good: bool) -> None:
        """A member failed, or left (``for_good``)."""
        for_good = for_good and node not in self._away  # who says to come back leaves too
        self._news |= self.hosts.gone(node, now, for_good=for_good)
        self._others.pop(node, None)
        self._said_leaving.pop(node, None)
        if for_good:
            self._forget(node)
        elif node in self._known:
            self._failed_at[node] = now
            if len(self._failed_at) > _DEAD_MOST:
                self._forget(next(iter(self._failed_at)))

    def _note_absence(self, node: str, meta: Meta | None, now: float) -> None:
        if meta is not None and meta.returns_within:
            self._away.setdefault(node, now + meta.returns_within)
        elif meta is None or meta.is_leaving or (meta.is_ready and meta.failing is not Failure.UNSEEN):
            self._away.pop(node, None)

    def all_gone(self, now: float) -> None:
        """Nobody is heard any more."""
        for node in list(self._others):
            self.gone(node, now, for_good=False)

    def forget_old(self, now: float) -> None:
        """Forget where nodes were that failed long ago, and that one said to leave that is still there."""
        self._news |= self.hosts.forget_old(now)
        self._met &= self._known.keys() | (self.expected or frozenset())
        for node in [node for node, said_at in self._said_leaving.items() if now - said_at >= LEAVING]:
            del self._said_leaving[node]
            meta = self._others[node]
            assert meta is not None, "who has none says nothing"
            self._others[node] = replace(meta, is_leaving=False)
        self._away = self.away(now)
        for node in [node for node, failed_at in self._failed_at.items() if now - failed_at >= REMEMBER]:
            self._forget(node)

    def key_retired(self) -> None:
        """A key of the gossip is in use no more: nobody believes what those who are gone may have said by it."""
        self._news |= self.hosts.forget_gone()

    def is_leaving(self, node: str, now: float) -> None:
        """A member told us itself that it shuts down, before its meta did."""
        meta = self._others.get(node)
        if meta is not None and not meta.is_leaving:
            self._others[node] = replace(meta, is_leaving=True)
            self._away.pop(node, None)
            self._said_leaving[node] = now

    def _remember(self, node: str, meta: Meta) -> None:
        if meta.is_ready or meta.reach or meta.idle:  # else it has just started and doesn't know yet where it is
            self._count(node, -1)
            self._known[node] = replace(meta, macs=self._macs_of(node, meta))
            if self._known[node].macs:
                self._met.add(node)
            self._count(node, +1)

    def _macs_of(self, node: str, meta: Meta) -> frozenset[Mac]:
        """A NIC that loses its addresses, or its cable, is the node's all the same: who doesn't hear when it has them
        back knows it then. Of somebody who names ever more of them the last ones count.
        """
        before = self._known.get(node)
        macs = meta.macs if before is None else meta.macs | before.macs
        return macs if len(macs) <= _MACS_MOST else meta.macs

    def _forget(self, node: str) -> None:
        self._count(node, -1)
        self._known.pop(node, None)
        self._failed_at.pop(node, None)

    def _count(self, node: str, by: int) -> None:
        meta = self._known.get(node)
        if meta is None:
            return
        for network in meta.reach | meta.idle:
            self._networks[network] += by
            if not self._networks[network]:
                del self._networks[network]
        for mac in meta.macs:
            nodes = self._macs.setdefault(mac, set())
            (nodes.add if by > 0 else nodes.discard)(node)
            if not nodes:
                del self._macs[mac]
        self._onlink = None

    @property
    def are_others_proxied(self) -> bool:
        """Whether another node has a kube-proxy that works."""
        return any(meta is not None and meta.is_proxied for meta in self._others.values())

    @property
    def own_rank(self) -> int:
        """Of this node, whether it is a candidate or not."""
        return _candidate(self.own, self._worst_rank).rank

    @property
    def _worst_rank(self) -> int:
        """Agents from before know nodes that are excluded and others: beside one of them all go by that."""
        metas = self._others.values()
        return 1 if any(meta is not None and meta.version is None and _takes_part(meta) for meta in metas) else 3

    def understands(self, node: str) -> bool:
        """Whether a live member speaks the hand-over messages."""
        return self._others.get(node) is not None

    def keeps_flows(self, node: str) -> Life | None:
        """Which run of a live member passes on the flows that others go on serving; None: none does.

        Nor does one that doesn't know yet which VIPs are wanted: what it's told of others it doesn't believe.
        """
        meta = self._others.get(node)
        return meta.life if meta is not None and meta.keeps_flows and meta.is_ready else None

    def candidates(self) -> dict[str, Candidate]:
        """The nodes to elect from."""
        metas = {**self._others, self.node: self.own}
        everywhere = frozenset[IPNetwork]().union(*(meta.reach for meta in metas.values() if meta is not None))
        worst = self._worst_rank
        return {
            node: Candidate(everywhere, speaks=False, reads_plans=False) if meta is None else _candidate(meta, worst)
            for node, meta in metas.items()
            if meta is None or _takes_part(meta)
        }

    def onlink(self) -> frozenset[IPNetwork]:
        """The subnets that a node is on, or was when it was last heard of: what is there is no routed address."""
        if self._onlink is None:
            self._onlink = frozenset(self._networks)
        return self._onlink

    def node_with(self, mac: Mac) -> str | None:
        """Whose NIC it is, also that of an agent that failed: VIPs may be there for a while, beside their owner."""
        return min(self._macs.get(mac, ()), key=lambda node: (node not in self._others, node), default=None)

    def is_stranger(self, mac: Mac) -> bool:
        """Whether it is certainly no node of ours: the NICs of all agents are known, and it is none of them."""
        if mac in self._macs or self.expected is None:
            return False
        are_told = all(meta is not None and node in self._known for node, meta in self._others.items())
        return are_told and self.expected <= {self.node, *self._others}


def _elective(meta: Meta | None) -> Meta | None:
    """What the election goes by: when an API server goes, all agents are behind it, one after the other."""
    if meta is None:
        return None
    return replace(meta, is_behind=False, weight=1, found_wrong=frozenset(), keeps_flows=False, waits=False)


def _takes_part(meta: Meta) -> bool:
    return meta.is_ready and not meta.is_leaving


def _candidate(meta: Meta, worst: int) -> Candidate:
    rank = min(meta.is_excluded + 2 * (not meta.serves), worst)
    return Candidate(meta.reach, rank, meta.announces, reads_plans=meta.version is not None)
