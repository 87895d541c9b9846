"""Tells those who wait why nobody serves them, while no allocator gives addresses at all.

Whoever stands by sees the Services too; that the leader is gone for longer than it may, and why, must not be silence.
It decides nothing. Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.request import Case, case_of
from purelb.services import ServiceKey, ServiceView

INTERVAL: Final = 1.0
"""Seconds between two looks."""
PATIENCE: Final = 5.0
"""Seconds for which nobody may be served without a word."""
MOST: Final = 100
"""Services that are told for one trouble: it is the same for all."""


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
        self._told: set[ServiceKey] = set()

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
        for entry in self._cache:
            if len(self._told) >= MOST:
                return
            service = entry.service
            waits = case_of(service, default_announcer=self._default_announcer) is Case.WAITING
            if waits and service.key not in self._told:
                self._told.add(service.key)
                self._tell(service, reason)
