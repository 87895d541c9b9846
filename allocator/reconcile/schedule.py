"""Which Service is looked at next, and when one is looked at again that could not be served. Pure.

Those without an address come before those with one, so that nobody waits for thousands that are only to be confirmed;
beyond that, the oldest first. It owns the one backoff; what a look finds is the reconciler's. Times are monotonic
seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from allocator.ipam.requests import Seniority
from allocator.reconcile.cache import ServiceCache
from purelb.backoff import Backoff
from purelb.services import ServiceKey
from purelb.workqueue import WorkQueue

AFTER_FAILURE: Final = Backoff(first=0.05, most=15.0)
"""The API server is away or refuses."""
AFTER_CONFLICT: Final = Backoff(first=0.01, most=0.5)
"""The Service changed meanwhile: whoever keeps changing it must be met between two writes."""


class Schedule:
    """Looks to come at the Services of ``cache``."""

    def __init__(self, cache: ServiceCache) -> None:
        self._cache = cache
        self._queue: WorkQueue[ServiceKey, Seniority] = WorkQueue()
        self._retries: dict[ServiceKey, tuple[Backoff, Iterator[float]]] = {}
        self._barred: dict[ServiceKey, float] = {}
        """Until when the server doesn't want to be asked again about a Service, whatever is new."""

    def __len__(self) -> int:
        """Services that are to be looked at now."""
        return len(self._queue)

    def look_now(self, key: ServiceKey) -> None:
        """As soon as its seniors are done; a Service that is gone is not looked at."""
        entry = self._cache.get(key)
        if entry is not None:
            self._queue.add(key, entry.seniority, urgent=not entry.service.ingress)

    def look_at_all(self) -> None:
        """At every Service, in the light of something new."""
        for entry in self._cache:
            self._queue.add(entry.service.key, entry.seniority, urgent=not entry.service.ingress)

    def look_again(
        self, key: ServiceKey, now: float, backoff: Backoff = AFTER_FAILURE, *, at_least: float = 0.0
    ) -> None:
        """The first time at once, then later and later; ``at_least`` in seconds."""
        entry = self._cache.get(key)
        if entry is None:
            return
        known = self._retries.get(key)
        if known is None or known[0] != backoff:
            self._retries[key] = backoff, backoff.delays()
            delay = 0.0
        else:
            delay = next(known[1])
        self._queue.add_at(key, entry.seniority, now + max(delay, at_least), urgent=not entry.service.ingress)

    def bar(self, key: ServiceKey, until: float) -> None:
        """Not before then, whatever is new: the API server has asked for that."""
        if self._cache.get(key) is not None:
            self._barred[key] = until

    def look_at(self, key: ServiceKey, due: float) -> None:
        """Not before it is due, unless there is news of it."""
        entry = self._cache.get(key)
        if entry is not None:
            self._queue.add_at(key, entry.seniority, due)

    def settled(self, key: ServiceKey) -> None:
        """Nothing is to be tried again: the next failure is a first one."""
        self._retries.pop(key, None)
        self._barred.pop(key, None)

    def take(self, now: float) -> ServiceKey | None:
        """The next one, or None if nothing is due."""
        while (key := self._queue.take(now)) is not None:
            until = self._barred.get(key)
            if until is None or until <= now:
                self._barred.pop(key, None)
                return key
            if (entry := self._cache.get(key)) is not None:
                self._queue.add_at(key, entry.seniority, until, urgent=not entry.service.ingress)
        return None

    @property
    def due(self) -> float | None:
        """When ``take`` may have one again that had none; None: not before there is news."""
        return self._queue.due
