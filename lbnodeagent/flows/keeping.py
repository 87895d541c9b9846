"""Whose flows this node passes on, and for which VIPs it waits to be told of some. Pure.

Believed is who the gossip knows, of VIPs that are wanted, with an address of its own on their subnet. What is passed on
ends when the VIP is another's, or nobody's, when the node that serves it fails, or some time after it left (its kernel
goes on); a single flow when that node says so, or when no packet of it came for long, which the kernel sees to.
``now`` is monotonic seconds.

What comes in mid-flow for a VIP that isn't here yet is dropped beforehand, so that a takeover waits for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lbnodeagent.flows.accounts import Accounts
from lbnodeagent.flows.tables import (
    FLOWS_MOST,
    Adopted,
    Await,
    Change,
    Disown,
    Flow,
    Keep,
    Routed,
    Rule,
    Server,
    Stand,
)
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from lbnodeagent.gossip.members import Members
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress

log = logging.getLogger(__name__)

SERVERS_MOST: Final = 16
"""Nodes that serve flows of one VIP: it can't move by plan much more often than flows live."""
AWAITED: Final = 2.0
"""Seconds for which an address that came here waits to be told of flows, when nobody lives who'd tell; and that a word
of some prolongs it."""
AWAITED_MOST: Final = 5.0
"""Likewise when the node that had it lives and keeps flows: a busy one needs seconds, a hundred thousand take one to be
read. And for which a word prolongs it at most."""
EARLY: Final = 10.0
"""Seconds for which a node believes one that takes it for a VIP's owner, before it knows it to be."""
CLAIM: Final = 60.0
"""Seconds for which what an earlier run passed on goes on without a word of those who serve it: they speak when they
hear this run."""
LEFT: Final = 120.0
"""Seconds for which a node whose agent left is believed to serve on: most of those are upgraded."""


@dataclass(slots=True)
class _Kept:
    server: Server
    count: int = 0
    told: int = 0
    """All since it told everything: so many at most the kernel has. What is said to have ended may never have been."""
    until: float | None = None
    """Its agent left."""
    is_renewing: bool = False
    """It tells all again, and hasn't ended."""


class Keeping:
    """Of the node ``members.node``. Each change returns what is to be done about the rules."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._stands: dict[IPAddress, Stand] = {}
        self._kept: dict[IPAddress, dict[str, _Kept]] = {}
        self._index: dict[IPAddress, IfIndex] = {}
        self._early: dict[IPAddress, float] = {}
        self._awaited: set[IPAddress] = set()
        self._placed_at: dict[IPAddress, float] = {}
        self._last_owner: dict[IPAddress, str] = {}
        self._told_at: dict[IPAddress, float] = {}
        self._accounts = Accounts()
        self._adopted: frozenset[Adopted] = frozenset()
        self._adopted_at = 0.0
        self.refused = 0
        """Flows that weren't believed, or were too many."""

    @property
    def count(self) -> int:
        """The flows that are passed on, as far as those who serve them have said."""
        return sum(kept.count for its in self._kept.values() for kept in its.values())

    @property
    def totals(self) -> tuple[int, int]:
        """The flows that were passed on since the start, and those of them that were lost."""
        return self._accounts.kept, self._accounts.lost

    @property
    def _told(self) -> int:
        return sum(kept.told for its in self._kept.values() for kept in its.values())

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something."""
        lefts = (kept.until for its in self._kept.values() for kept in its.values() if kept.until is not None)
        placed = (self._waits_until(vip) for vip in self._placed_at)
        accounts = () if self._accounts.deadline is None else (self._accounts.deadline,)
        if self._adopted:
            accounts = (*accounts, self._adopted_at + CLAIM)
        return min((*lefts, *placed, *self._early.values(), *accounts), default=None)

    def adopt(self, adopted: frozenset[Adopted], now: float) -> None:
        """The kernel goes on passing on what an earlier run was told of."""
        self._adopted, self._adopted_at = adopted, now

    def look(self, stand: Stand, now: float) -> list[Rule]:
        """How a VIP stands now."""
        vip, rules = stand.vip, list[Rule]()
        before = self._stands.get(vip)
        if before is not None and before.owner is not None and before.owner != stand.owner:
            self._last_owner[vip] = before.owner
        is_wanted = stand.owner is not None and stand.index is not None
        if is_wanted:
            self._stands[vip] = stand
        else:
            self._stands.pop(vip, None)
            self._last_owner.pop(vip, None)
        if is_wanted and not stand.is_here:
            self._placed_at.pop(vip, None)
            is_first_placed_here = stand.is_new and stand.owner == self._members.node
            if vip not in self._awaited and not is_first_placed_here:
                self._awaited.add(vip)
                rules.append(Await((vip,), True))
        elif not is_wanted:
            rules += self._end_waiting(vip)
        elif vip in self._awaited:
            self._placed_at.setdefault(vip, now)
        if stand.is_here or stand.owner == self._members.node:
            self._early.pop(vip, None)
        if not is_wanted or (vip in self._kept and not self._may_keep(vip)):
            rules += self._forget_vip(vip)
        elif vip in self._kept and stand.index is not None and stand.index != self._index[vip]:
            rules.append(self._keep(vip, stand.index))
        return rules

    def _may_keep(self, vip: IPAddress) -> bool:
        stand = self._stands[vip]
        return stand.is_here or stand.owner == self._members.node or vip in self._early

    def received(self, message: FlowsMessage, now: float) -> list[Rule]:
        """Another node serves these flows."""
        vip, sender = message.vip, message.sender
        stand, server = self._stands.get(vip), self._server(message)
        kept = self._kept.get(vip, {}).get(sender)
        count, told = (0, 0) if kept is None or message.is_first else (kept.count, kept.told)
        count, told = count + len(message.begun), told + len(message.begun)
        room = FLOWS_MOST - self._told + (kept.told if kept is not None else 0)
        if stand is None or stand.index is None or server is None or told > room or sender == self._members.node:
            self.refused += len(message.begun)
            return []
        if kept is None and not message.begun:
            return []
        if kept is None and len(self._kept.get(vip, {})) >= SERVERS_MOST:
            self.refused += len(message.begun)
            return []
        if not stand.is_here and stand.owner != self._members.node:
            self._early[vip] = now + EARLY
        rules: list[Rule] = []
        if kept is None or kept.server != server:
            if kept is not None:
                rules += self._forget(vip, sender)
            self._kept.setdefault(vip, {})[sender] = _Kept(server)
            rules.append(self._keep(vip, stand.index))
        now_kept = self._kept[vip][sender]
        now_kept.count, now_kept.told = max(count - len(message.ended), 0), told
        if message.is_last:
            self._accounts.counts(vip, server, now_kept.count, now)
        self._told_at[vip] = now
        begun, ended = tuple(map(Flow, message.begun)), tuple(map(Flow, message.ended))
        is_there = kept is not None or Adopted(vip, message.server) in self._adopted
        is_renewal = now_kept.is_renewing or (message.is_first and is_there)
        now_kept.is_renewing = is_renewal and not message.is_last
        return [*rules, Change(vip, server, begun, ended, message.is_first, is_renewal)]

    def _server(self, message: FlowsMessage) -> Server | None:
        """Who sent it, if that is where it says to be."""
        meta = self._members.others.get(message.sender)
        if meta is None or self._members.hosts.node_with(message.server) != message.sender:
            return None
        return Server(message.sender, message.server, meta.macs)

    def alive(self, node: str) -> None:
        """An agent that left is there again."""
        for its in self._kept.values():
            if node in its:
                its[node].until = None

    def gone(self, node: str, now: float, *, for_good: bool) -> list[Rule]:
        """A node failed, or its agent left (``for_good``)."""
        rules: list[Rule] = []
        for vip in [vip for vip, its in self._kept.items() if node in its]:
            if for_good:
                self._kept[vip][node].until = now + LEFT
            else:
                rules += self._lose(vip, node, now)
        return rules

    def due(self, now: float) -> list[Rule]:
        """What ends by itself."""
        rules: list[Rule] = []
        for vip in [vip for vip in self._placed_at if now >= self._waits_until(vip)]:
            rules += self._end_waiting(vip)
        for vip in [vip for vip, until in self._early.items() if now >= until]:
            del self._early[vip]
            if vip in self._kept and not self._may_keep(vip):
                rules += self._forget_vip(vip)
        over = [
            (vip, node)
            for vip, its in self._kept.items()
            for node, kept in its.items()
            if kept.until is not None and now >= kept.until
        ]
        for vip, node in over:
            rules += self._lose(vip, node, now)
        rules += self._disown(now)
        ended = self._accounts.due(now)
        rules += self._accounts.take()
        for vip, node in ended:
            rules += self._forget(vip, node)
        return rules

    def _disown(self, now: float) -> list[Rule]:
        """What nobody claimed goes."""
        if not self._adopted or now < self._adopted_at + CLAIM:
            return []
        served = {(vip, kept.server.address) for vip, its in self._kept.items() for kept in its.values()}
        unclaimed, self._adopted = tuple(sorted(self._adopted - served, key=str)), frozenset()
        return [Disown(unclaimed)] if unclaimed else []

    def _waits_until(self, vip: IPAddress) -> float:
        """While it is being told of flows there are more to come."""
        placed_at, last = self._placed_at[vip], self._last_owner.get(vip)
        if last is not None and self._members.keeps_flows(last) is not None:
            return placed_at + AWAITED_MOST
        return max(placed_at + AWAITED, min(self._told_at.get(vip, placed_at) + AWAITED, placed_at + AWAITED_MOST))

    def _end_waiting(self, vip: IPAddress) -> list[Rule]:
        self._placed_at.pop(vip, None)
        if vip not in self._awaited:
            return []
        self._awaited.discard(vip)
        return [Await((vip,), False)]

    def _keep(self, vip: IPAddress, index: IfIndex) -> Keep:
        self._index[vip] = index
        return Keep(vip, tuple(kept.server for kept in self._kept[vip].values()), index)

    def _lose(self, vip: IPAddress, node: str, now: float) -> list[Rule]:
        self._accounts.lose(vip, node, now)
        return [*self._accounts.take(), *self._forget(vip, node)]

    def _forget(self, vip: IPAddress, node: str) -> list[Rule]:
        del self._kept[vip][node]
        if not self._kept[vip]:
            return self._forget_vip(vip)
        return [self._keep(vip, self._index[vip])]

    def _forget_vip(self, vip: IPAddress) -> list[Rule]:
        self._early.pop(vip, None)
        self._told_at.pop(vip, None)
        self._accounts.forget(vip)
        if self._kept.pop(vip, None) is None:
            return []
        return [Keep(vip, (), self._index.pop(vip))]


def joined(rules: Iterable[Rule]) -> list[Rule]:
    """The same with what is awaited of many VIPs, one after the other, in one; likewise with those that are routed."""
    result: list[Rule] = []
    for rule in rules:
        match result[-1] if result else None, rule:
            case Await(before, was), Await(vips, is_awaited) if was == is_awaited:
                result[-1] = Await((*before, *vips), is_awaited)
            case Routed(before, was), Routed(vips, is_routed) if was == is_routed:
                result[-1] = Routed((*before, *vips), is_routed)
            case _:
                result.append(rule)
    return result
