"""Collects what an allocator knows for its status page, a few times a second and only what has changed.

It runs on the allocator's own loop and takes little of it: what is collected are values that are there anyhow. What is
made of them is the page's, on its own thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from allocator.groups.configuration import Configuration
from allocator.page.facts import Facts
from allocator.page.server import AGAIN, PageServer
from allocator.page.streams import Moment
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.planning import Planning
from purelb.services import ServiceKey, ServiceView
from purelb.sharers import sharer

PACE: Final = 0.1
"""Seconds between two looks."""
RENEWAL: Final = 5.0
"""Seconds after which the page is told that it is still so: who begins to look then knows what time it is here."""


class Watching:
    """``run`` it beside the allocator."""

    def __init__(
        self,
        page: PageServer,
        cache: ServiceCache,
        configuration: Configuration,
        planning: Planning,
        leads: Callable[[], bool],
        trouble: Callable[[], str | None],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """``trouble``: why the allocator isn't ready; ``clock`` and ``wall``: monotonic seconds, and since 1970."""
        self._page = page
        self._cache = cache
        self._configuration = configuration
        self._planning = planning
        self._leads = leads
        self._trouble = trouble
        self._clock = clock
        self._wall = wall
        self._changes = self._endpoint_changes = -1
        self._services: tuple[ServiceView, ...] = ()
        self._follow: tuple[ServiceKey, ...] = ()
        """Those whose endpoints matter."""
        self._endpoints: Mapping[ServiceKey, frozenset[str]] | None = None

    async def run(self) -> None:
        """Until cancelled."""
        shown, shown_at = None, 0.0
        await self._page.start()
        try:
            while True:
                try:
                    facts, now = self._facts(), self._clock()
                    if facts != shown or now >= shown_at + RENEWAL:
                        shown, shown_at = facts, now
                        self._page.show(Moment(facts, now, self._wall()))
                except Exception:  # our mistake, which ends nobody's service
                    self._page.failed()
                    await asyncio.sleep(AGAIN)
                await asyncio.sleep(PACE)
        finally:
            await self._page.close()

    def _facts(self) -> Facts:
        changes, endpoint_changes = self._cache.changes, self._planning.endpoint_changes
        has_services_changed = changes != self._changes
        if has_services_changed:
            self._services = tuple(entry.service for entry in self._cache)
            self._follow = tuple(one.key for one in self._services if sharer(one) is not None)
        if has_services_changed or endpoint_changes != self._endpoint_changes:
            self._endpoints = self._planning.endpoints_of(self._follow)
        self._changes, self._endpoint_changes = changes, endpoint_changes
        fleet = self._planning.fleet
        return Facts(
            services=self._services,
            groups=tuple(self._configuration.bodies.values()),
            members=fleet.members,
            is_current=fleet.is_current(self._clock()),
            nodes=fleet.names,
            dummies=fleet.dummies,
            endpoints=self._endpoints,
            reasons=self._planning.reasons,
            leads=self._leads(),
            trouble=self._trouble() or "",
        )
