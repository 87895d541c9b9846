"""Whether a VIP stays, comes or goes is agreed with the peers: carries the questions and answers of ``Handover``.

Owns no VIPs: what it learns is marked for the next pass, which decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.handover import Handover
from lbnodeagent.gossip.meta import HandoverMessage
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.kernel.present import Present
from lbnodeagent.wire.dad import DuplicateDetection
from lbnodeagent.wire.neighbours import Neighbours
from purelb.addresses import IPAddress


@dataclass(frozen=True, slots=True)
class Marks:
    """Who is told what came of it."""

    look_at: Callable[[Iterable[IPAddress]], None]
    """These VIPs are to be looked at."""
    owners_changed: Callable[[set[IPAddress]], None]
    """These VIPs have another owner."""


class Negotiation:
    """This node's side of all hand-overs."""

    def __init__(
        self,
        node: str,
        peers: Peers,
        candidacy: Candidacy,
        present: Present,
        neighbours: Neighbours,
        first: DuplicateDetection,
        marks: Marks,
    ) -> None:
        self._node = node
        self._peers = peers
        self._candidacy = candidacy
        self._present = present
        self._neighbours = neighbours
        self._first = first
        self._marks = marks
        self._handover = Handover()

    @property
    def deadline(self) -> float | None:
        """When ``run_due`` has something to do, monotonic seconds."""
        return self._handover.deadline

    def holds(self, vip: IPAddress) -> bool:
        """Whether ``vip`` stays though it isn't ours: until its new owner has it, or while nobody is elected."""
        if vip in self._handover.held:
            return True
        # An earlier run left it, no peer claims it, and this node may not yet. Without the gossip we can't know what
        # peers claim: then it stays until it expires.
        candidacy = self._candidacy
        is_waiting = self._peers.is_running and not candidacy.is_candidate and not candidacy.is_leaving
        return is_waiting and candidacy.owner(vip) is None and bool(self._present.nics_with(vip))

    def message_received(self, message: HandoverMessage) -> None:
        """Another agent asks or tells about VIPs."""
        if message.kind == "have":
            self._marks.look_at(self._handover.confirm(message.sender, message.vips))
            return
        if message.is_leaving:
            self._peers.roster.is_leaving(message.sender)
            self._marks.owners_changed(self._candidacy.elect())
        mine = [vip for vip in message.vips if self._is_owner(vip)]
        here = [vip for vip in mine if self._present.nics_with(vip)]
        for vip in mine:
            if vip not in here:
                self._first.end(vip)  # a node of ours has it
                self._handover.asked(message.sender, vip)
        self._marks.look_at(mine)
        if here:
            self._peers.send(message.sender, HandoverMessage("have", self._node, tuple(here)))
            # Both had it: the neighbours may believe the other one.
            self._neighbours.announce_again(here, time.monotonic())

    def settle(self, vip: IPAddress, now: float, *, is_wanted: bool) -> None:
        """Start, go on with or end the hand-over of a VIP that sits on a NIC here; and the first placement of one."""
        self._settle_first_placement(vip, now)
        owner = self._candidacy.owner(vip)
        if not is_wanted or owner in (None, self._node) or not self._present.nics_with(vip):
            self._handover.end(vip)
        elif owner is not None:
            self._handover.lose(vip, owner, now, understands=self._peers.roster.understands(owner))

    def _settle_first_placement(self, vip: IPAddress, now: float) -> None:
        """See whether another host turned out to have a new VIP; then it's left to that one."""
        if not self._first.is_new(vip):
            return
        if self._candidacy.owner(vip) not in (None, self._node):
            self._first.end(vip)  # that one asks the wire; should it die, there's no time to
        elif self._present.nics_with(vip):
            self._first.end(vip)
        elif any(there.dad == "failed" for there in self._present.ours(vip)):
            self._first.failed(vip, now)

    def answer(self, vips: Iterable[IPAddress]) -> None:
        """Tell those who wait for it which of these VIPs are here now."""
        answers: dict[str, list[IPAddress]] = {}
        for vip in vips:
            if self._is_owner(vip) and self._present.nics_with(vip):
                for asker in self._handover.placed(vip):
                    answers.setdefault(asker, []).append(vip)
        for asker, placed in answers.items():
            self._peers.send(asker, HandoverMessage("have", self._node, tuple(placed)))

    def run_due(self, now: float) -> None:
        """Ask the new owners, and give up waiting for those that don't answer."""
        questions, expired = self._handover.due(now)
        for node, vips in questions.items():
            self._peers.send(node, HandoverMessage("ask", self._node, vips, self._candidacy.is_leaving))
        self._marks.look_at(expired)

    def _is_owner(self, vip: IPAddress) -> bool:
        return self._candidacy.owner(vip) == self._node
