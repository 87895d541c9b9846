"""A queue of keys to look at: each at most once, the urgent first, then the senior, some only after a while.

It owns order and delay, and knows nothing of what the keys stand for.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from allocator.ipam.requests import Seniority

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """Coalesces: a key that is added twice before it is taken is taken once. For one event loop and one taker."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ready: list[tuple[bool, Seniority, Key]] = []
        self._queued: set[Key] = set()
        self._later: list[tuple[float, int, Seniority, Key, bool]] = []
        self._due: dict[Key, int] = {}
        self._count = 0
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        """Keys that are to be looked at now."""
        return len(self._queued)

    def add(self, key: Key, rank: Seniority, *, urgent: bool = False) -> None:
        """Look at ``key`` as soon as the urgent and its seniors are done; a delay it was given is void."""
        self._due.pop(key, None)
        if key not in self._queued:
            self._queued.add(key)
            heapq.heappush(self._ready, (not urgent, rank, key))
            self._wake.set()

    def add_later(self, key: Key, rank: Seniority, delay: float, *, urgent: bool = False) -> None:
        """Look at ``key`` in ``delay`` seconds, unless it is added before."""
        if delay <= 0:
            self.add(key, rank, urgent=urgent)
        elif key not in self._queued:
            self._count += 1
            self._due[key] = self._count
            heapq.heappush(self._later, (self._clock() + delay, self._count, rank, key, urgent))
            self._wake.set()

    def take(self) -> Key | None:
        """The next key, or None if nothing is due."""
        self._promote()
        if not self._ready:
            return None
        *_, key = heapq.heappop(self._ready)
        self._queued.discard(key)
        return key

    async def wait(self) -> None:
        """Return when ``take`` may have a key, or when ``nudge`` was called."""
        self._wake.clear()
        self._promote()
        if self._ready:
            return
        delay = self._later[0][0] - self._clock() if self._later else None
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            return

    def nudge(self) -> None:
        """End a ``wait``."""
        self._wake.set()

    def _promote(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            _, count, rank, key, urgent = heapq.heappop(self._later)
            if self._due.get(key) == count:
                self.add(key, rank, urgent=urgent)
