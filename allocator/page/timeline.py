"""What moved, when, why, and how long it took, as far as one allocator has seen it since it began. Pure.

Addresses that leave a node for one cause within WINDOW are one entry: a node's death is one thing that happens. Times
are monotonic seconds, but for those that are shown (``wall``, seconds since 1970).
"""

from __future__ import annotations

import enum
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from allocator.page.places import Place, State
from allocator.page.rows import MoveRow, legible
from allocator.placement.values import Reason
from purelb.addresses import IPAddress
from purelb.membership import MemberNode, Standing

MOST: Final = 100
"""Entries that are kept."""
NAMED: Final = 20
"""Addresses that an entry names."""
WINDOW: Final = 10.0
"""Seconds from an entry's first address within which another belongs to it."""
LATE: Final = 10.0
"""Seconds for which the cause of a move may be heard of after the move."""
OLDEST: Final = 120.0
"""Seconds after which what has become of a node isn't taken for why an address moves."""


class Cause(enum.Enum):
    """Why addresses left a node; the value is what the page is told."""

    GONE = "gone"
    """It takes no part any more: it died, or nobody hears it."""
    LEAVING = "leaving"
    """Its agent shuts down."""
    EXCLUDED = "excluded"
    """It is cordoned, or labelled so that it carries no load balancer traffic."""
    FAILING = "failing"
    """Its data path doesn't work."""
    STARTING = "starting"
    """Its agent has just begun."""
    LOST = "lost"
    """By the plan: it can't have them any more."""
    PREFERRED = "preferred"
    """By the plan: there is a node where they should rather be."""
    APART = "apart"
    """By the plan: they are apart from others of their kind now."""
    SHARE = "share"
    """By the plan: it had more than its share."""
    PLANNED = "planned"
    """By the plan."""
    UNKNOWN = "unknown"
    """Nothing was heard that explains it."""


_OF_STANDING: Final = {
    Standing.LEAVING: Cause.LEAVING,
    Standing.EXCLUDED: Cause.EXCLUDED,
    Standing.FAILING: Cause.FAILING,
    Standing.STARTING: Cause.STARTING,
}
_OF_PLAN: Final = {
    Reason.LOST: Cause.LOST,
    Reason.PREFERRED: Cause.PREFERRED,
    Reason.APART: Cause.APART,
    Reason.SHARE: Cause.SHARE,
}


@dataclass(slots=True)
class _Known:
    """An address as it was seen last."""

    place: Place
    holder: str
    """Who has it, or had it last; empty: nobody yet."""
    planned_at: float | None = None
    """Since when its plan is what it is, if that was seen."""


@dataclass(slots=True)
class _Entry:
    key: str
    at: float
    wall: float
    node: str
    cause: Cause
    why: str
    to: Counter[str] = field(default_factory=Counter)
    moved: int = 0
    least: float | None = None
    most: float | None = None
    addresses: list[str] = field(default_factory=list)

    def add(self, address: str, to: str, took: float | None) -> None:
        self.moved += 1
        self.to[legible(to)] += 1
        if len(self.addresses) < NAMED:
            self.addresses.append(address)
        if took is not None:
            self.least = took if self.least is None else min(self.least, took)
            self.most = took if self.most is None else max(self.most, took)

    def row(self) -> MoveRow:
        to = tuple(sorted(self.to.items(), key=lambda one: (-one[1], one[0])))[:NAMED]
        least, most = (None if took is None else round(took, 1) for took in (self.least, self.most))
        why = legible(self.why)
        wall = round(self.wall, 1)
        cause, addresses = self.cause.value, tuple(self.addresses)
        return MoveRow(self.key, wall, legible(self.node), cause, why, self.moved, to, least, most, addresses)


class Timeline:
    """``see`` each moment; ``rows`` says what was seen to move, the newest first."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._troubled: dict[str, float] = {}
        """Nodes that served and don't any more, or had been there and aren't: since when."""
        self._served: set[str] = set()
        self._entries: deque[_Entry] = deque(maxlen=MOST)
        self._number = 0

    def rows(self) -> dict[str, MoveRow]:
        return {entry.key: entry.row() for entry in reversed(self._entries)}

    def see(
        self,
        places: Mapping[str, Place],
        members: Mapping[str, MemberNode] | None,
        reasons: Mapping[IPAddress, Reason],
        now: float,
        wall: float,
    ) -> None:
        """The addresses and nodes as they are; ``reasons``: why the planner moved some of them."""
        if members is not None:
            self._see_nodes(members, now)
        known: dict[str, _Known] = {}
        for key, place in places.items():
            before = self._known.get(key)
            if before is not None and before.place is place:
                known[key] = before
                continue
            known[key] = self._follow(before, place, now)
            if before is not None and self._has_moved(before, place):
                self._moved(known[key], before.holder, members, reasons, now, wall)
        self._known = known
        self._explain(members, now)

    def _see_nodes(self, members: Mapping[str, MemberNode], now: float) -> None:
        serving = {node.name for node in members.values() if node.standing is Standing.SERVING}
        for name in self._served - serving:
            self._troubled.setdefault(name, now)
        for name in [name for name, at in self._troubled.items() if name in serving or now - at > OLDEST]:
            del self._troubled[name]
        self._served = serving

    @staticmethod
    def _has_moved(before: _Known, place: Place) -> bool:
        return place.state is State.ANNOUNCED and before.holder not in ("", place.node)

    def _follow(self, before: _Known | None, place: Place, now: float) -> _Known:
        if before is None:
            return _Known(place, place.node)
        holder = place.node if place.state is State.ANNOUNCED else before.holder
        planned_at = before.planned_at if before.place.plan == place.plan else now
        return _Known(place, holder, planned_at)

    def _moved(
        self,
        known: _Known,
        node: str,
        members: Mapping[str, MemberNode] | None,
        reasons: Mapping[IPAddress, Reason],
        now: float,
        wall: float,
    ) -> None:
        place = known.place
        assert place.address is not None, "who has no address is on no node"
        cause, why = _of_node(node, members)
        since = self._troubled.get(node)
        if cause is None:
            since = known.planned_at
            if place.plan[:1] == (place.node,):
                reason = reasons.get(place.address)
                cause = Cause.PLANNED if reason is None else _OF_PLAN[reason]
        took = None if since is None or now - since > OLDEST else now - since
        entry = self._entry(node, cause or Cause.UNKNOWN, why, now, wall)
        entry.add(str(place.address), place.node, took)

    def _entry(self, node: str, cause: Cause, why: str, now: float, wall: float) -> _Entry:
        """Of the same thing that happens, or a new one."""
        for entry in reversed(self._entries):
            if now - entry.at > WINDOW:
                break
            if (entry.node, entry.cause) == (node, cause):
                return entry
        self._number += 1
        entry = _Entry(str(self._number), now, wall, node, cause, why)
        self._entries.append(entry)
        return entry

    def _explain(self, members: Mapping[str, MemberNode] | None, now: float) -> None:
        """The agents' word of a node may come after that of the one who has its addresses now."""
        for entry in reversed(self._entries):
            if now - entry.at > LATE:
                break
            if entry.cause is Cause.UNKNOWN:
                cause, why = _of_node(entry.node, members)
                if cause is not None:
                    entry.cause, entry.why = cause, why


def _of_node(node: str, members: Mapping[str, MemberNode] | None) -> tuple[Cause | None, str]:
    """What has become of a node that explains why addresses leave it."""
    if members is None:
        return None, ""
    member = members.get(node)
    if member is None:
        return Cause.GONE, ""
    return _OF_STANDING.get(member.standing), member.reason
