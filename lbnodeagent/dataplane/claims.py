"""What follows from a host's word that it has a VIP (RFC 5227 section 2.4), for election and reports. Pure.

Joins those who listen to the wire: this node's doubts, the hand-overs, and the conflicts. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from lbnodeagent.dataplane.witnesses import Witnesses
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.negotiation import Negotiation
from lbnodeagent.tables import Conflict, IfIndex, Mac
from lbnodeagent.wire.neighbours import Neighbours
from purelb.addresses import IPAddress


@dataclass(frozen=True, slots=True)
class Heard:
    """What follows from a claim that is of interest."""

    is_to_be_looked_at: bool = False
    """The VIP."""
    has_changed: bool = False
    """It has another owner."""
    conflict: Conflict | None = None


class Claims:
    """Of one node."""

    def __init__(
        self, candidacy: Candidacy, witnesses: Witnesses, negotiation: Negotiation, neighbours: Neighbours
    ) -> None:
        self._candidacy = candidacy
        self._witnesses = witnesses
        self._negotiation = negotiation
        self._neighbours = neighbours

    def heard(self, index: IfIndex, vip: IPAddress, mac: Mac, now: float) -> Heard | None:
        """A host says on an interface that it has ``vip``; None: that is of no interest."""
        is_answer = self._witnesses.heard(index, vip, mac, now)
        if not self._neighbours.is_of_interest(index, vip, mac, now):
            return Heard(is_to_be_looked_at=True) if is_answer else None
        if not self._candidacy.hears_peers:
            # Nothing can be said of a VIP that an earlier run left.
            self._neighbours.claimed_unheard(vip)
            return Heard(is_to_be_looked_at=True)
        is_owner = self._candidacy.is_owner(vip)
        if is_owner:
            is_left = self._witnesses.has_taken(vip, mac, now)
            if is_left is not None:
                return Heard(has_changed=is_left)
        self._negotiation.claimed(vip, mac, now)
        is_anothers = self._neighbours.found_first(vip, mac, now)
        # Who isn't the owner hands over, and that is the new one.
        conflict = self._neighbours.rival(index, vip, mac, now) if is_owner else None
        return Heard(is_to_be_looked_at=is_anothers, has_changed=is_answer, conflict=conflict)
