"""A queue of keys to look at: each at most once, the urgent first, then by rank, some only after a while. Pure.

It owns order and delay, and knows nothing of what keys and ranks stand for. Times are monotonic seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Any, Final, Generic, Protocol, TypeVar

SLACK: Final = 64
"""Delays that are void and may stay, beside as many as there are keys with one."""


class Ordered(Protocol):
    """What can be compared with its like: the lesser comes first."""

    def __lt__(self, other: Any, /) -> bool: ...


Key = TypeVar("Key", bound=Hashable)
Rank = TypeVar("Rank", bound=Ordered)


class WorkQueue(Generic[Key, Rank]):
    """Coalesces: a key that is added twice before it is taken is taken once."""

    def __init__(self) -> None:
        self._ready: list[tuple[bool, Rank, Key]] = []
        self._queued: set[Key] = set()
        self._later: list[tuple[float, int, Rank, Key, bool]] = []
        self._due: dict[Key, int] = {}
        self._count = 0

    def __len__(self) -> int:
        """Keys that are to be looked at now."""
        return len(self._queued)

    def add(self, key: Key, rank: Rank, *, urgent: bool = False) -> None:
        """Look at ``key`` as soon as the urgent and its seniors are done; a delay it was given is void."""
        self._due.pop(key, None)
        if key not in self._queued:
            self._queued.add(key)
            heapq.heappush(self._ready, (not urgent, rank, key))

    def add_at(self, key: Key, rank: Rank, due: float, *, urgent: bool = False) -> None:
        """Look at ``key`` when it is ``due``, unless it is added before."""
        if key not in self._queued:
            self._count += 1
            self._due[key] = self._count
            self._tidy()
            heapq.heappush(self._later, (due, self._count, rank, key, urgent))

    def take(self, now: float) -> Key | None:
        """The next key, or None if nothing is due."""
        while self._later and self._later[0][0] <= now:
            _, count, rank, key, urgent = heapq.heappop(self._later)
            if self._due.get(key) == count:
                self.add(key, rank, urgent=urgent)
        if not self._ready:
            return None
        *_, key = heapq.heappop(self._ready)
        self._queued.discard(key)
        return key

    def _tidy(self) -> None:
        """Throw away delays that are void, before they are most: one that is given again and again stays bounded."""
        if len(self._later) > 2 * len(self._due) + SLACK:
            self._later = [entry for entry in self._later if self._due.get(entry[3]) == entry[1]]
            heapq.heapify(self._later)

    @property
    def due(self) -> float | None:
        """When ``take`` may have a key again that had none; None: not before one is added."""
        return self._later[0][0] if self._later else None
