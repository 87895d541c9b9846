"""What the object that says who is there should say, and from when on this node may write that. Pure.

The node that speaks for all writes it. In a split there is one such node on each side, and each would write what it
sees: the side that hears most of those whom the object names goes on, or one that is larger. The other looks on, and
takes its turn only when the object hasn't changed for as long as nobody who lives leaves it unchanged. Who writes looks
each CHECK seconds whether it still says that: another one may have written for a moment in which the two didn't hear
each other, and one of them not have noticed.

A spokesman that is heard but can't reach the API server is stood in for by the next in line: it looks at the object
each LOOK seconds, writes when it has missed its renewal, and goes on until it sees that the spokesman has written.

``now`` is monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Final

from purelb.membership import RENEWAL, STALE, Attendance, MemberNode, parse_membership

PACE: Final = 1.0
"""Seconds between two writes; the first one after a while goes out at once."""
COUNTS: Final = 5.0
"""Seconds between two writes when only the numbers of VIPs changed."""
CHECK: Final = 10.0
"""Seconds after which it is looked whether the object is still as this node wrote it."""
PATIENCE: Final = 15.0
"""Seconds for which the larger side of a split has the first word. It loses sight of the smaller one, and writes that,
within a few seconds: if the object is still the same then, there is no other side."""
LOOK: Final = 60.0
"""Seconds after which somebody else's word is looked at again."""
MISSED: Final = RENEWAL + LOOK / 2
"""Seconds without a change after which the spokesman doesn't write."""


@dataclass(frozen=True, slots=True)
class Published:
    """What the object says."""

    version: str
    """Its resourceVersion."""
    spokesman: str = ""
    nodes: frozenset[str] = frozenset()
    conditions: tuple[Mapping[str, Any], ...] = ()


def published(body: Mapping[str, Any]) -> Published:
    """Read from the object."""
    spokesman = (body.get("status") or {}).get("spokesman") or ""
    conditions = tuple((body.get("status") or {}).get("conditions") or ())
    return Published(body["metadata"]["resourceVersion"], spokesman, frozenset(parse_membership(body)), conditions)


class Publication:
    """Of the node ``node``."""

    def __init__(self, node: str) -> None:
        self.wanted = Attendance()
        """What it should say; without nodes, that is another node's to write."""
        self._node = node
        self._written: Attendance | None = None
        self._written_at = -math.inf
        self._checked_at = -math.inf
        self._looked_at = -math.inf
        self._retry_at = -math.inf
        self._yields_until = -math.inf
        self._seen = ""
        """The version of somebody else's word."""
        self._seen_at = 0.0
        self._was_renewed = False
        """That word changed while we looked on: who wrote it lives."""

    @property
    def deadline(self) -> float:
        """When it is to be written; infinity: not before something changes."""
        if not self.wanted.nodes:
            return math.inf
        if self._written is None and self.wanted.is_standin:
            at = self._looked_at + LOOK
        elif self._written is None:
            at = -math.inf
        elif self.wanted == self._written:
            at = min(self._written_at + RENEWAL, self._checked_at + CHECK)
        else:
            is_more = _without_counts(self.wanted) != _without_counts(self._written)
            at = self._written_at + (PACE if is_more else COUNTS)
        return max(at, self._retry_at, self._yields_until)

    def is_check(self, now: float) -> bool:
        """Whether there's nothing to write, if the object is still as this node wrote it."""
        return self.wanted == self._written and now < self._written_at + RENEWAL

    def checked(self, now: float) -> None:
        """It is."""
        self._checked_at = now

    def attends(self, attendance: Attendance) -> None:
        """This is who is there."""
        if _names(attendance) != _names(self.wanted):
            self._yields_until = -math.inf  # the larger side may be ours now
        if not attendance.nodes or attendance.is_standin != self.wanted.is_standin:
            self._written, self._seen, self._was_renewed = None, "", False
        self.wanted = attendance

    def may_write(self, there: Published, now: float) -> bool:
        """Whether what is there may be written over; if not, look again at ``deadline``."""
        if self.wanted.is_standin:
            return self._may_stand_in(there, now)
        if self._is_ours(there):
            self._seen, self._was_renewed = "", False
            return True
        if there.version != self._seen:
            self._was_renewed |= bool(self._seen)
            self._seen, self._seen_at = there.version, now
        free_at = self._seen_at + (STALE if self._was_renewed else PATIENCE)
        self._yields_until = min(free_at, now + LOOK)
        return now >= free_at

    def _may_stand_in(self, there: Published, now: float) -> bool:
        self._looked_at = now
        if self._written is not None and there.spokesman == self._node:
            return True
        self._written = None
        if there.version != self._seen:
            self._seen, self._seen_at = there.version, now
        return now >= self._seen_at + MISSED

    def written(self, attendance: Attendance, now: float) -> None:
        """It says this now."""
        self._written, self._written_at, self._checked_at = attendance, now, now
        self._yields_until = -math.inf
        self._seen, self._was_renewed = "", False

    def failed(self, retry_at: float) -> None:
        """It couldn't be written; try again then."""
        self._retry_at = retry_at

    def _is_ours(self, there: Published) -> bool:
        mine, author = _names(self.wanted), there.spokesman
        if not author or not there.nodes or len(mine) > len(there.nodes):
            return True
        if author != self._node and author in mine:
            return True  # it hears us, and stops
        heard = 2 * len(mine & there.nodes)
        return heard > len(there.nodes) or (heard == len(there.nodes) and author == self._node)


def _names(attendance: Attendance) -> Set[str]:
    return {node.name for node in attendance.nodes}


def _without_counts(attendance: Attendance) -> Attendance:
    return replace(attendance, nodes=tuple(_uncounted(attendance)), vips=0)


def _uncounted(attendance: Attendance) -> Iterable[MemberNode]:
    return (replace(node, vips=0) for node in attendance.nodes)
