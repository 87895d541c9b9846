"""The queue of rumours to pass on, each a limited number of times.

Owns the order and the limit (SWIM section 4.1; memberlist `queue.go`).  Knows neither members nor packets: bytes in,
bytes out.
"""

from __future__ import annotations

import bisect
import math

LOOK_FURTHER = 32
"""So many rumours that don't fit are passed over before a packet counts as full."""

APPLICATION_MAX = 4096
"""Messages of the application that wait; beyond, each new one takes the place of one that was sent more often."""

Rank = tuple[int, int, int]


class Rumour:
    """One queued message.  `finished` becomes true when it was sent often enough or replaced by a newer one."""

    __slots__ = ("data", "finished", "number", "subject", "transmits")

    def __init__(self, data: bytes, number: int, subject: str | None) -> None:
        self.data = data
        self.number = number
        self.subject = subject
        self.transmits = 0
        self.finished = False

    @property
    def rank(self) -> Rank:
        """Least sent first, then longest, then newest; unique."""
        return (self.transmits, -len(self.data), -self.number)


def retransmit_limit(multiplier: int, members: int) -> int:
    """How often each of `members` sends a rumour so that everybody hears it with high probability."""
    return multiplier * math.ceil(math.log10(members + 1))


class _Queue:
    """Rumours in the order of their rank.  Finished ones are only skipped, and thrown out when there are many."""

    def __init__(self) -> None:
        self._order: list[tuple[Rank, Rumour]] = []
        self.waiting = 0

    def add(self, rumour: Rumour) -> None:
        self.waiting += 1
        if len(self._order) > 2 * self.waiting + LOOK_FURTHER:
            self._order = [entry for entry in self._order if not entry[1].finished]
        bisect.insort(self._order, (rumour.rank, rumour))

    def replace(self, rumour: Rumour) -> None:
        """Something newer makes it superfluous."""
        rumour.finished = True
        self.waiting -= 1

    def drop_last(self) -> None:
        """Forget whoever was sent most often."""
        for _, rumour in reversed(self._order):
            if not rumour.finished:
                self.replace(rumour)
                return

    def take(self, taken: list[Rumour], overhead: int, budget: int, limit: float, most: int) -> int:
        """Move what fits from the front to `taken`, until that has `most`; the budget that is left.

        With an infinite `limit` it isn't counted.
        """
        passed: list[tuple[Rank, Rumour]] = []
        chosen: list[Rumour] = []
        most -= len(taken)
        seen = 0
        for seen, entry in enumerate(self._order, 1):  # noqa: B007  # how far we looked is used below
            rumour = entry[1]
            cost = overhead + len(rumour.data)
            if rumour.finished:
                continue
            if cost > budget:
                passed.append(entry)
                if len(passed) == LOOK_FURTHER:
                    break
                continue
            budget -= cost
            chosen.append(rumour)
            if budget <= overhead or len(chosen) == most:
                break
        self._order[:seen] = passed
        for rumour in chosen:  # only now, so that none goes twice into one packet
            if limit < math.inf:
                rumour.transmits += 1
            if rumour.transmits >= limit:
                self.replace(rumour)
            else:
                bisect.insort(self._order, (rumour.rank, rumour))
        taken += chosen
        return budget


class Broadcasts:
    """Rumours about members replace one another by subject; those of the application are kept apart and don't."""

    def __init__(self, multiplier: int, largest: int = 65_507) -> None:
        self._multiplier = multiplier
        self._largest = largest
        self._subjects: dict[str, Rumour] = {}
        self._members = _Queue()
        self._application = _Queue()
        self._count = 0

    def __len__(self) -> int:
        return self._members.waiting + self._application.waiting

    def about(self, subject: str, data: bytes) -> Rumour:
        """Queue the newest word on a member; any older word on it is finished.

        One that would fit no packet is finished at once: waiting for room, it would hold up the others.
        """
        replaced = self._subjects.pop(subject, None)
        if replaced is not None:
            self._members.replace(replaced)
        self._count += 1
        rumour = Rumour(data, self._count, subject)
        if len(data) > self._largest:
            rumour.finished = True
            return rumour
        self._subjects[subject] = rumour
        self._members.add(rumour)
        return rumour

    def application(self, data: bytes) -> Rumour:
        """Queue a message of the application, its type byte included; the queue has bounds (see APPLICATION_MAX)."""
        if self._application.waiting >= APPLICATION_MAX:
            self._application.drop_last()
        self._count += 1
        rumour = Rumour(data, self._count, None)
        self._application.add(rumour)
        return rumour

    def clear(self) -> None:
        """Forget everything that is queued."""
        self._subjects.clear()
        self._members = _Queue()
        self._application = _Queue()

    def fill(self, overhead: int, budget: int, members: int, most: int = 255, *, counts: bool = True) -> list[bytes]:
        """Up to `most` messages of `budget` bytes together, `overhead` counted for each; members' news go first.

        Whether it `counts` as one of the times that each is sent.
        """
        limit = retransmit_limit(self._multiplier, members) if counts else math.inf
        taken: list[Rumour] = []
        if self._members.waiting:
            budget = self._members.take(taken, overhead, budget, limit, most)
        if self._application.waiting and len(taken) < most:
            self._application.take(taken, overhead, budget, limit, most)
        for rumour in taken:
            if rumour.finished and rumour.subject is not None:
                del self._subjects[rumour.subject]
        return [rumour.data for rumour in taken]
