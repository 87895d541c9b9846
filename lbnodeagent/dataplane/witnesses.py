"""Asks the wire who has a VIP, while this node may be the one that is cut off (election/doubts.py). Pure.

Joins the doubts with the NICs: where to ask, and whether silence means anything there. A wire on which not even the
gateway answers is one that this node isn't on any more: nothing is taken, and if that lasts it is ``trouble``. ``now``
is monotonic seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Final

from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.subnets import Subnets
from lbnodeagent.gossip.members import Members
from lbnodeagent.kernel.interfaces import subnet_for
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import IfIndex, Mac
from lbnodeagent.wire.neighbours import Neighbours
from purelb.addresses import IPAddress, listed
from purelb.election import digest

log = logging.getLogger(__name__)

SILENT: Final = 5.0
"""Seconds for which a wire says nothing until the user is told."""
_NAMED: Final = 8


class Witnesses:
    """Of one node."""

    def __init__(
        self, members: Members, candidacy: Candidacy, present: Present, subnets: Subnets, neighbours: Neighbours
    ) -> None:
        self._members = members
        self._candidacy = candidacy
        self._present = present
        self._subnets = subnets
        self._neighbours = neighbours
        self._heard_at: dict[IfIndex, float] = {}
        self._silent_since: dict[IfIndex, float] = {}
        self.trouble = ""
        """Why this node takes nothing on some NICs, a clause about it; empty: it does."""

    @property
    def deadline(self) -> float | None:
        """When there is something to ask."""
        deadlines = self._candidacy.doubts.deadline, self._candidacy.absences.deadline
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def ask(self, now: float) -> set[IPAddress]:
        """Ask what is to be asked. The VIPs that are this node's since nobody has them."""
        doubts = self._candidacy.doubts
        due = doubts.due(now)
        if due.own:
            self._neighbours.ask_for_all(now)
        asked: set[IfIndex] = set()
        for vip in due.questions:
            subnet = subnet_for(vip, self._subnets.here)
            if subnet is not None:
                asked.add(subnet.index)
                self._neighbours.ask_for(vip, subnet.index)
        for index in asked:
            for gateway in self._gateways(index):
                self._neighbours.ask_for(gateway, index)
        taken: set[IPAddress] = set()
        for vip, since in due.silent:
            if self._is_telling(vip, since):
                doubts.settle(vip)
                taken.add(vip)
            else:
                doubts.hold(vip, now)
        if taken:
            log.info("no other host has them", extra={"vips": len(taken)})
        self._note_silence([vip for vip, _ in due.silent if vip not in taken], now)
        return taken

    def ask_of_absent(self, now: float) -> frozenset[IPAddress]:
        """Ask for what is left to nodes whose agents are away. The VIPs that are this node's from now on."""
        ended = self._candidacy.absences.due(now)
        for vip in ended.questions:
            subnet = subnet_for(vip, self._subnets.here)
            if subnet is not None:
                self._neighbours.ask_for(vip, subnet.index)
        if ended.silent:
            log.info("nobody has them while an agent is away", extra={"vips": len(ended.silent)})
        if ended.late:
            log.info("an agent isn't back in time", extra={"vips": len(ended.late)})
        over = ended.silent | ended.late
        self._candidacy.doubt(over, now)
        return over

    def _note_silence(self, held: Iterable[IPAddress], now: float) -> None:
        """These were asked for on a wire that says nothing."""
        for subnet in (subnet_for(vip, self._subnets.here) for vip in held):
            if subnet is not None:
                self._silent_since.setdefault(subnet.index, now)
        if not len(self._candidacy.doubts):
            self._silent_since.clear()
        lasting = [index for index, since in self._silent_since.items() if now - since >= SILENT]
        nics = sorted(self._present.links[index].name for index in lasting if index in self._present.links)
        self.trouble = f"no peer answers, nor does anybody on {listed(nics, _NAMED)}" if nics else ""

    def heard(self, index: IfIndex, vip: IPAddress, mac: Mac, now: float) -> bool:
        """A host says on an interface that it has ``vip``. Whether that is news of a VIP in doubt."""
        doubts, absences = self._candidacy.doubts, self._candidacy.absences
        if not (len(doubts) or absences.to(vip)) or not self._neighbours.is_foreign(index, mac):
            return False
        if any(subnet.index == index for subnet in self._subnets.here):  # pods' interfaces come and go
            self._heard_at[index] = now
            self._silent_since.pop(index, None)
        node = self._node_with(mac)
        # What a host of somebody else has is a node's all the same, and is told of as ever.
        if node is None:
            return False
        absences.heard(vip, node, now)
        return doubts.heard(vip, node, now)

    def has_taken(self, vip: IPAddress, mac: Mac, now: float) -> bool | None:
        """A node has a VIP that is here and this node's: whether it is left to that one; None: no doubt about it."""
        candidacy = self._candidacy
        if not candidacy.may_be_cut_off:
            return None
        node = self._node_with(mac)
        if node is None:
            return None
        is_first = digest(self._members.node, vip) < digest(node, vip)
        is_left = candidacy.doubts.claimed_own(vip, node, now, is_first=is_first)
        if is_left:
            log.warning("no peer answers, and one of them has it", extra={"vip": str(vip), "node": node})
        return is_left

    def _node_with(self, mac: Mac) -> str | None:
        """Whose NIC it is, or may be; None: no node's."""
        return self._members.node_with(mac) or self._members.unmet

    def _is_telling(self, vip: IPAddress, since: float) -> bool:
        """Whether it means something that nobody answered."""
        subnet = subnet_for(vip, self._subnets.here)
        if subnet is None or not any(self._gateways(subnet.index)):
            return True
        return self._heard_at.get(subnet.index, 0.0) >= since

    def _gateways(self, index: IfIndex) -> Iterator[IPAddress]:
        """The gateways behind an interface; a link-local one says nothing of where it is."""
        networks = [subnet.network for subnet in self._subnets.here if subnet.index == index]
        return (gateway for gateway in self._present.gateways if any(gateway in network for network in networks))
