"""Whose turn it is to be looked at, and waiting until it is somebody's.

It owns the schedule, the clock that it goes by and the bell that ends a wait; what a look finds is the reconciler's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.schedule import AFTER_FAILURE, Schedule
from purelb.backoff import Backoff
from purelb.services import ServiceKey

MOST_OBEYED: Final = 30.0
"""Seconds for which an API server's Retry-After holds up what is new, too."""


class Turns:
    """The Services of ``cache``, one after the other."""

    def __init__(self, cache: ServiceCache, clock: Callable[[], float]) -> None:
        self._schedule = Schedule(cache)
        self._clock = clock
        self._bell = asyncio.Event()
        self._is_stopping = False

    def __len__(self) -> int:
        """Services that are to be looked at now."""
        return len(self._schedule)

    def ring(self) -> None:
        """Something else than a Service has changed: end the wait, and let it be refreshed."""
        self._bell.set()

    def stop(self) -> None:
        """It is nobody's turn any more."""
        self._is_stopping = True
        self._bell.set()

    def look_now(self, key: ServiceKey) -> None:
        """As soon as its seniors are done."""
        self._schedule.look_now(key)
        self._bell.set()

    def bar(self, key: ServiceKey, seconds: float) -> None:
        """Not for so long, whatever is new, as the API server asks for; at most MOST_OBEYED."""
        self._schedule.bar(key, self._clock() + min(seconds, MOST_OBEYED))

    def look_again(self, key: ServiceKey, backoff: Backoff = AFTER_FAILURE, *, at_least: float = 0.0) -> None:
        """After a failure: the first time at once, then later and later; ``at_least`` in seconds."""
        self._schedule.look_again(key, self._clock(), backoff, at_least=at_least)
        self._bell.set()

    def look_at(self, key: ServiceKey, due: float) -> None:
        """Not before it is due (monotonic seconds), unless there is news of it."""
        self._schedule.look_at(key, due)

    def look_at_all(self) -> None:
        """At every Service, in the light of something new."""
        self._schedule.look_at_all()

    def settled(self, key: ServiceKey) -> None:
        """Nothing is to be tried again: the next failure is a first one."""
        self._schedule.settled(key)

    async def next(self, refresh: Callable[[], None], is_busy: Callable[[ServiceKey], bool]) -> ServiceKey | None:
        """The next Service to look at that isn't busy, as soon as there is one; None when stopping.

        ``refresh`` is called before each look at the schedule: what changed meanwhile may add to it.
        """
        while not self._is_stopping:
            self._bell.clear()
            refresh()
            now = self._clock()
            key = self._schedule.take(now)
            if key is None:
                await self._wait(self._schedule.due, now)
            elif not is_busy(key):
                return key
        return None

    async def _wait(self, due: float | None, now: float) -> None:
        """Until the bell rings, or something is due."""
        try:
            async with asyncio.timeout(None if due is None else due - now):
                await self._bell.wait()
        except TimeoutError:
            return
