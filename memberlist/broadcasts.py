"""The queue of rumours to pass on, each a limited number of times.

Owns the order and the limit (SWIM section 4.1; memberlist `queue.go`).  Knows neither members nor
packets: bytes in, bytes out.
"""

from __future__ import annotations

import math
from typing import TypeVar

Key = TypeVar("Key", str, int)


class Rumour:
    """One queued message.  `finished` becomes true when it was sent often enough or replaced by a newer one."""

    __slots__ = ("data", "finished", "number", "transmits")

    def __init__(self, data: bytes, number: int) -> None:
        self.data = data
        self.number = number
        self.transmits = 0
        self.finished = False

    @property
    def rank(self) -> tuple[int, int, int]:
        """Least sent first, then longest, then newest."""
        return (self.transmits, -len(self.data), -self.number)


def retransmit_limit(multiplier: int, members: int) -> int:
    """How often each of `members` sends a rumour so that everybody hears it with high probability."""
    return multiplier * math.ceil(math.log10(members + 1))


class Broadcasts:
    """Rumours about members replace one another by subject; those of the application are kept apart and don't."""

    def __init__(self, multiplier: int) -> None:
        self._multiplier = multiplier
        self._subjects: dict[str, Rumour] = {}
        self._application: dict[int, Rumour] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._subjects) + len(self._application)

    def about(self, subject: str, data: bytes) -> Rumour:
        """Queue the newest word on a member; any older word on it is finished."""
        replaced = self._subjects.pop(subject, None)
        if replaced is not None:
            replaced.finished = True
        self._count += 1
        rumour = self._subjects[subject] = Rumour(data, self._count)
        return rumour

    def application(self, data: bytes) -> Rumour:
        """Queue a message of the application, its type byte included."""
        self._count += 1
        rumour = self._application[self._count] = Rumour(data, self._count)
        return rumour

    def clear(self) -> None:
        """Forget everything that is queued."""
        self._subjects.clear()
        self._application.clear()

    def fill(self, overhead: int, budget: int, members: int) -> list[bytes]:
        """Messages of at most `budget` bytes together, `overhead` counted for each; members' news go first."""
        if not self._subjects and not self._application:
            return []
        limit = retransmit_limit(self._multiplier, members)
        taken: list[bytes] = []
        left = _take(self._subjects, taken, overhead, budget, limit)
        _take(self._application, taken, overhead, left, limit)
        return taken


def _take(queue: dict[Key, Rumour], taken: list[bytes], overhead: int, budget: int, limit: int) -> int:
    if not queue or budget <= overhead:
        return budget
    for key, rumour in sorted(queue.items(), key=lambda item: item[1].rank):
        cost = overhead + len(rumour.data)
        if cost > budget:
            continue
        budget -= cost
        taken.append(rumour.data)
        rumour.transmits += 1
        if rumour.transmits >= limit:
            rumour.finished = True
            del queue[key]
        if budget <= overhead:
            break
    return budget
