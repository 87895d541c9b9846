"""Who is there, as this node tells it that is the gossip's spokesman, or next in line. Pure.

Whoever changes something of it only marks it. It is looked at when no VIP waits to be looked at, and not more often
than each HOLD seconds, as a look costs a little per member: a takeover doesn't wait for it, nor do a thousand changes
cost more than one. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final

from lbnodeagent.dataplane.nowhere import Nowhere
from lbnodeagent.dataplane.wanted import WantedVips
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.gate.failures import Failure
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta
from purelb.addresses import IPNetwork
from purelb.membership import Attendance, MemberNode, Standing

HOLD: Final = 1.0
"""Seconds between two looks."""


class RollCall:
    """``mark`` it, and ``take`` what is news."""

    def __init__(self, members: Members, candidacy: Candidacy, wanted: WantedVips, nowhere: Nowhere) -> None:
        self._members = members
        self._candidacy = candidacy
        self._wanted = wanted
        self._nowhere = nowhere
        self._told: Attendance | None = None
        self._is_marked = True
        self._again_at = 0.0

    @property
    def deadline(self) -> float | None:
        """When ``take`` has something to look at."""
        return self._again_at if self._is_marked else None

    def mark(self) -> None:
        """Something of it may have changed."""
        self._is_marked = True

    def repeat(self) -> None:
        """Who was told isn't there any more."""
        self._told, self._is_marked = None, True

    def take(self, now: float) -> Attendance | None:
        """What is to be told now; None: nothing is."""
        if not self._is_marked or now < self._again_at:
            return None
        self._is_marked, self._again_at = False, now + HOLD
        attendance = self._look()
        if attendance == self._told:
            return None
        self._told = attendance
        return attendance

    def _look(self) -> Attendance:
        candidacy = self._candidacy
        if candidacy.is_leaving or not (candidacy.is_spokesman or candidacy.is_standin):
            return Attendance()
        metas = {**self._members.absent, **self._members.others, self._members.node: self._members.own}
        everywhere = frozenset[IPNetwork]().union(*(meta.reach for meta in metas.values() if meta is not None))
        owned = candidacy.owned()
        nodes = (_node(name, metas[name], owned.get(name, 0), everywhere) for name in sorted(metas))
        return Attendance(tuple(nodes), len(self._wanted.table), self._nowhere.count, candidacy.is_standin)


def _node(name: str, meta: Meta | None, vips: int, everywhere: frozenset[IPNetwork]) -> MemberNode:
    if meta is None:
        return MemberNode(name, Standing.SERVING, subnets=everywhere, speaks=False, vips=vips)
    standing, reason = standing_of(meta)
    version = meta.version
    # Agents of ours from before said no version, and read no placements.
    return MemberNode(
        name,
        standing,
        reason,
        meta.reach,
        version is not None,
        str(version or ""),
        vips,
        is_behind=meta.is_behind,
        weight=meta.weight,
        found_wrong=meta.found_wrong,
    )


def standing_of(meta: Meta) -> tuple[Standing, str]:
    """How a node takes part, and why it doesn't serve, as a clause."""
    if meta.is_leaving:
        return Standing.LEAVING, "its agent shuts down"
    if meta.returns_within:
        return Standing.STARTING, "its agent is replaced by the next one"
    if not meta.is_ready:
        return Standing.STARTING, "its agent starts"
    if meta.failing is Failure.UNSEEN:
        return Standing.STARTING, meta.failing.clause
    if meta.failing is not None:
        return Standing.FAILING, meta.failing.clause
    if meta.idle and not meta.reach:
        subnets = " and ".join(sorted(str(subnet) for subnet in meta.idle))
        return Standing.FAILING, f"its NIC on {subnets} has no cable"
    if not meta.announces:
        return Standing.EXCLUDED, "no LBNodeAgent with a local block is for it"
    if meta.is_excluded:
        return Standing.EXCLUDED, "cordoned or labelled"
    return Standing.SERVING, ""
