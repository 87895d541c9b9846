"""Complete lists of Services and ServiceGroups: what there is at first, and now and then what the watches missed.

It owns when lists are made and what is missing from them; what follows from it is the controller's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from allocator.groups.configuration import Configuration
from allocator.reconcile.cache import ServiceCache
from purelb import names
from purelb.errors import KubeError
from purelb.kube import Kube, custom_path, services_path
from purelb.services import ServiceKey, service_key

log = logging.getLogger(__name__)

RELIST_SOON: Final = 1.0
"""Seconds to a list of the ServiceGroups after their watch had to start over, when deletions may have been missed."""
AFTER_FAILURE: Final = 5.0
"""Seconds to the next list after one that failed."""


class Stock:
    """Lists, one at a time, and tells of Services ``seen`` and ``vanished``, and when the groups may be ``news``."""

    def __init__(
        self,
        kube: Kube,
        cache: ServiceCache,
        configuration: Configuration,
        *,
        interval: float,
        seen: Callable[[Mapping[str, Any]], None],
        vanished: Callable[[ServiceKey], None],
        news: Callable[[], None],
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._configuration = configuration
        self._interval = interval
        self._seen = seen
        self._vanished = vanished
        self._news = news
        self._listing = asyncio.Lock()
        self._was_taken = asyncio.Event()
        self._groups_are_due = asyncio.Event()
        self._version = ""

    @property
    def is_taken(self) -> bool:
        """Whether everything was listed once."""
        return self._was_taken.is_set()

    async def first(self) -> str:
        """Wait for the first complete list; returns the resourceVersion from which to watch Services."""
        await self._was_taken.wait()
        return self._version

    async def take(self) -> str:
        """Compare with a complete list, and find what vanished unseen. Raises KubeError.

        Returns the resourceVersion at which the list was true of Services.
        """
        async with self._listing:
            await self._list_groups()
            present: set[ServiceKey] = set()
            async for page in self._kube.pages(services_path()):
                self._version = page.resource_version
                for body in page.items:
                    present.add(service_key(body))
                    self._seen(body)
            for key in self._cache.missing_from(present, self._version):
                log.info("gone unseen", extra={"service": str(key)})
                self._cache.forget(key)
                self._vanished(key)
            self._was_taken.set()
            return self._version

    def list_groups_soon(self) -> None:
        """The watch of ServiceGroups had to begin anew, so that a deletion may have gone unseen."""
        self._groups_are_due.set()

    async def keep(self) -> None:
        """List everything now and then, and the ServiceGroups when they are due, until cancelled."""
        delay = self._interval
        while True:
            try:
                if await self._groups_come_first(delay):
                    await self._list_groups()
                else:
                    await self.take()
                delay = self._interval
            except KubeError as error:
                log.warning("list failed", extra={"reason": str(error)})
                delay = min(self._interval, max(error.retry_after or 0.0, AFTER_FAILURE))

    async def _groups_come_first(self, delay: float) -> bool:
        """Wait; true if the ServiceGroups are to be listed, false after ``delay`` seconds."""
        try:
            async with asyncio.timeout(delay):
                await self._groups_are_due.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(RELIST_SOON)
        self._groups_are_due.clear()
        return True

    async def _list_groups(self) -> None:
        self._configuration.listed(await self._kube.list(custom_path(names.SERVICE_GROUPS)))
        self._news()
