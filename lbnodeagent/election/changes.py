"""What the election's changes are worth telling: wins and losses, and who is there. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lbnodeagent import tables
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.gossip.members import Members
from lbnodeagent.kernel.present import Present
from purelb.addresses import IPAddress


@dataclass(frozen=True, slots=True)
class Tally:
    """VIPs that this node won and lost."""

    wins: int
    losses: int
    astray: tuple[IPAddress, ...] = ()
    """Those it won although it has no endpoint, where a node that has one is preferred (node-affinity)."""


class Changes:
    """Reads the election and the members; changes neither."""

    def __init__(self, node: str, members: Members, candidacy: Candidacy, present: Present) -> None:
        self._node = node
        self._members = members
        self._candidacy = candidacy
        self._present = present

    def tally(self, vips: Iterable[IPAddress]) -> Tally:
        """``vips`` have another owner now."""
        wins = losses = 0
        astray = []
        for vip in vips:
            if self._candidacy.is_owner(vip):
                wins += 1
                if not self._candidacy.is_preferred(vip):
                    astray.append(vip)
            elif self._present.nics_with(vip):
                losses += 1
        return Tally(wins, losses, tuple(astray))

    def first(self, vip: IPAddress) -> Tally:
        """``vip`` is new: who doesn't win it loses it, as PureLB v0.17 counts."""
        owner = self._candidacy.owner(vip)
        return self.tally((vip,)) if owner in (None, self._node) else Tally(0, 1)

    def members(self) -> tables.Members:
        """Who is there; nobody before this node is a candidate: whom it doesn't hear then isn't dead for that."""
        if not self._candidacy.is_candidate:
            return tables.Members(frozenset())
        ours = frozenset(node for node in self._candidacy.best if node == self._node or self._members.understands(node))
        nodes = frozenset((self._node, *self._members.others))
        return tables.Members(nodes, ours, frozenset(self._members.own.reach))
