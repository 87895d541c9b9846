"""Tells those who wait why nobody serves them, while no allocator gives addresses at all.

Whoever stands by sees the Services too; that the leader is gone for longer than it may, and why, must not be silence.
It decides nothing. Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.request import Case, case_of
from purelb.services import ServiceView

INTERVAL: Final = 1.0
"""Seconds between two looks."""
PATIENCE: Final = 5.0
"""Seconds for which nobody may be served without a word."""
MOST: Final = 10
"""Services of a namespace that are told for one trouble: it is the same for all, and nobody shall silence another."""


class Vigil:
    """Looks whether anybody is served; ``why_idle`` is why nobody is, in one sentence, or None; ``tell`` says it."""

    def __init__(
        self,
        cache: ServiceCache,
        tell: Callable[[ServiceView, str], None],
        why_idle: Callable[[], str | None],
        clock: Callable[[], float],
        *,
        default_announcer: bool,
    ) -> None:
        self._cache = cache
        self._tell = tell
        self._why_idle = why_idle
        self._default_announcer = default_announcer
        self._clock = clock
        self._since: float | None = None
        self._told: set[str] = set()
        """Uids."""

    async def run(self) -> None:
        """Look on, until cancelled."""
        while True:
            self.look(self._clock())
            await asyncio.sleep(INTERVAL)

    def look(self, now: float) -> None:
        """Tell who waits, each once as long as nobody is served."""
        reason = self._why_idle()
        if reason is None:
            self._since = None
            self._told.clear()
            return
        if self._since is None:
            self._since = now
        if now - self._since < PATIENCE:
            return
        services = [entry.service for entry in self._cache]
        self._told &= {service.uid for service in services}
        told = Counter(service.key.namespace for service in services if service.uid in self._told)
        for service in services:
            if service.uid in self._told or told[service.key.namespace] >= MOST:
                continue
            if case_of(service, default_announcer=self._default_announcer) is Case.WAITING:
                self._told.add(service.uid)
                told[service.key.namespace] += 1
                self._tell(service, reason)
