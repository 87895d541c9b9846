"""Whether a VIP stays, comes or goes is agreed with the peers: carries the questions and answers of ``Handover``. Pure.

Owns no VIPs: it says which are to be looked at in the next pass, which decides. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.handover import Handover
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import HandoverMessage
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import Mac
from lbnodeagent.wire.dad import DuplicateDetection
from lbnodeagent.wire.neighbours import Neighbours
from purelb.addresses import IPAddress
from purelb.election import digest

SAY_OWN: Final = 3.0
"""Seconds until a peer is told that a VIP is ours which it says to have, and between two such times."""
SAY_OWN_PAUSE: Final = 30.0
"""Seconds after which one that says so begins anew."""


@dataclass(frozen=True, slots=True)
class Send:
    """A message for one peer; best effort."""

    to: str
    message: HandoverMessage


@dataclass(frozen=True, slots=True)
class Learned:
    """What follows from a message."""

    look_at: frozenset[IPAddress] = frozenset()
    """These VIPs are to be looked at."""
    changed: frozenset[IPAddress] = frozenset()
    """These have another owner."""


class Negotiation:
    """This node's side of all hand-overs. What it has to say is taken with ``take_messages`` after each input."""

    def __init__(
        self,
        members: Members,
        candidacy: Candidacy,
        present: Present,
        neighbours: Neighbours,
        detection: DuplicateDetection,
    ) -> None:
        self._node = members.node
        self._members = members
        self._candidacy = candidacy
        self._present = present
        self._neighbours = neighbours
        self._detection = detection
        self._handover = Handover()
        self._messages: list[Send] = []
        self._say_own_at: dict[IPAddress, float] = {}

    @property
    def deadline(self) -> float | None:
        """When ``run_due`` has something to do."""
        deadlines = self._handover.deadline, self._candidacy.concessions.deadline
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def take_messages(self) -> list[Send]:
        """What is to be sent, once."""
        messages, self._messages = self._messages, []
        return messages

    def holds(self, vip: IPAddress) -> bool:
        """Whether ``vip`` stays though it isn't ours: until its new owner has it, or while nobody is elected."""
        if self._handover.is_held(vip):
            return True
        if self._candidacy.is_asked_for(vip):
            return bool(self._present.nics_with(vip))
        # An earlier run left it, no peer claims it, and this node may not yet. Without the gossip we can't know what
        # peers claim: then it stays until it expires.
        candidacy = self._candidacy
        is_waiting = candidacy.hears_peers and not candidacy.is_candidate and not candidacy.is_leaving
        return is_waiting and candidacy.owner(vip) is None and bool(self._present.nics_with(vip))

    def received(self, message: HandoverMessage, now: float) -> Learned:
        """Another agent asks or tells about VIPs."""
        if message.kind == "have":
            self._candidacy.concessions.confirm(message.sender, message.vips, now)
            let_go = frozenset(self._handover.confirm(message.sender, message.vips))
            # Who says so has told its neighbours: where our word and its crossed, that was the last they heard.
            here = [vip for vip in message.vips if self._candidacy.is_owner(vip) and self._present.nics_with(vip)]
            self._neighbours.announce_again(here, now)
            return Learned(let_go)
        if message.sender not in self._members.others:
            return Learned()  # it could not be answered; it asks again
        if message.kind == "own":
            lost = frozenset(self._concede(message, now))
            return Learned(lost, lost)
        for vip in message.vips:
            self._candidacy.concessions.take_back(vip, message.sender)
        changed: set[IPAddress] = set()
        if message.is_leaving:
            self._members.is_leaving(message.sender, now)
            changed = self._candidacy.elect(now)
        changed |= {vip for vip in message.vips if self._candidacy.doubts.give_back(vip, message.sender)}
        mine = [vip for vip in message.vips if self._candidacy.is_owner(vip)]
        here = [vip for vip in mine if self._present.nics_with(vip)]
        for vip in mine:
            self._say_own_at.pop(vip, None)  # who asks takes us for the owner: what it claimed before is settled
            if vip not in here:
                self._detection.end(vip)  # a node of ours has it
                self._handover.asked(message.sender, vip)
        # By what each knows, it is the other's: one of them is to have it, the same one for both.
        here += [
            vip for vip in message.vips if self._node < message.sender and self._handover.is_for(vip, message.sender)
        ]
        if here:
            # Both had it: the neighbours may believe the other one.
            self._neighbours.announce_again(here, now)
            self._say_have(message.sender, here)
        return Learned(frozenset(mine), frozenset(changed))

    def _concede(self, message: HandoverMessage, now: float) -> list[IPAddress]:
        """The VIPs of a message that both nodes have and call their own, and that are left to the other one.

        Of two that know different things neither can tell who is right: until both know the same the hash rule decides.
        """
        both = [vip for vip in message.vips if self._candidacy.is_owner(vip) and self._present.nics_with(vip)]
        lost = [vip for vip in both if digest(message.sender, vip) < digest(self._node, vip)]
        for vip in lost:
            self._candidacy.concede(vip, message.sender, now)
        if len(lost) < len(both):
            self._say_own(message.sender, [vip for vip in both if vip not in lost])
        return lost

    def claimed(self, vip: IPAddress, mac: Mac, now: float) -> None:
        """A host says to its neighbours that it has ``vip``, which is here: another owner, perhaps the new one."""
        node = self._members.node_with(mac)
        if node is None:
            return
        if not self._candidacy.is_owner(vip):
            self._handover.claimed(vip, node, now)
            return
        at = self._say_own_at.get(vip)
        if at is None or now >= at + SAY_OWN_PAUSE:
            self._say_own_at[vip] = now + SAY_OWN  # most of the time it is just about to let go, or we are
        elif now >= at and self._members.understands(node):
            self._say_own_at[vip] = now + SAY_OWN
            self._say_own(node, [vip])

    def settle(self, vip: IPAddress, now: float, *, is_wanted: bool) -> None:
        """Start, go on with or end the hand-over of a VIP that sits on a NIC here; and the first placement of one."""
        self._settle_first_placement(vip, now)
        owner = self._candidacy.owner(vip)
        if not is_wanted or owner != self._node:
            self._handover.not_ours(vip)
            self._say_own_at.pop(vip, None)
        is_given = is_wanted and owner not in (None, self._node) and bool(self._present.nics_with(vip))
        is_given = is_given and self._candidacy.left_to(vip) is None  # else that one has it, or is asked
        self._neighbours.gives_away(vip, is_given=is_given)
        if not is_given:
            self._handover.end(vip)
        elif owner is not None:
            understands, is_leaving = self._members.understands(owner), self._candidacy.ends
            self._handover.lose(vip, owner, now, understands=understands, is_leaving=is_leaving)

    def _settle_first_placement(self, vip: IPAddress, now: float) -> None:
        """See whether another host turned out to have a new VIP; then it's left to that one."""
        if not self._detection.is_new(vip, now):
            self._detection.end(vip)
        elif self._candidacy.owner(vip) not in (None, self._node):
            self._detection.end(vip)  # that one asks the wire; should it die, there's no time to
        elif self._present.nics_with(vip) and not self._detection.is_open(vip, now):
            self._detection.end(vip)  # the kernel found nobody who has it, or it was still here from before
        elif any(there.dad == "failed" for there in self._present.ours(vip)):
            self._detection.failed(vip, now)

    def answer(self, vips: Iterable[IPAddress]) -> None:
        """Tell those who wait for it which of these VIPs are here now."""
        answers: dict[str, list[IPAddress]] = {}
        for vip in vips:
            if self._candidacy.is_owner(vip) and self._present.nics_with(vip):
                for asker in self._handover.placed(vip):
                    answers.setdefault(asker, []).append(vip)
        for asker, placed in answers.items():
            self._say_have(asker, placed)

    def run_due(self, now: float) -> set[IPAddress]:
        """Ask the new owners; the VIPs for whose new owners it was waited long enough, or that are ours again."""
        expired = set[IPAddress]()
        for questions, over in (self._handover.due(now), self._candidacy.concessions.due(now)):
            expired |= over
            for node, vips in questions.items():
                self._messages.append(Send(node, HandoverMessage("ask", self._node, vips, self._candidacy.is_leaving)))
        return expired

    def _say_own(self, to: str, vips: Iterable[IPAddress]) -> None:
        self._messages.append(Send(to, HandoverMessage("own", self._node, tuple(vips))))

    def _say_have(self, to: str, vips: Iterable[IPAddress]) -> None:
        self._messages.append(Send(to, HandoverMessage("have", self._node, tuple(vips))))
