"""The loop of a controller: many changes of one object are one pass, and a pass that fails is tried again later.

Drives `purelb.workqueue` in an event loop. Must not know what a key means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator
from itertools import count
from typing import Final, Generic, TypeVar

from purelb.backoff import Backoff
from purelb.errors import KubeError
from purelb.workqueue import WorkQueue

log = logging.getLogger("lab.controllers")

K = TypeVar("K", bound=Hashable)

AFTER_FAILURE: Final = Backoff(first=0.1, most=5.0)


class Reconciler(Generic[K]):
    """Works on keys in the order in which they came. One that is added while it is worked on is looked at once more."""

    def __init__(self, name: str, work: Callable[[K], Awaitable[None]]) -> None:
        """`work` raises KubeError for what is to be tried again; all is called in one event loop."""
        self._name = name
        self._work = work
        self._queue: WorkQueue[K, int] = WorkQueue()
        self._arrivals = count()
        self._wake = asyncio.Event()
        self._delays: dict[K, Iterator[float]] = {}

    def add(self, key: K) -> None:
        self._queue.add(key, next(self._arrivals))
        self._wake.set()

    def add_after(self, key: K, delay: float) -> None:
        """Look at this key in `delay` seconds, or before if it is added before."""
        self._queue.add_at(key, next(self._arrivals), asyncio.get_running_loop().time() + delay)
        self._wake.set()

    async def run(self) -> None:
        """Work through the keys one after the other, for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            key = self._queue.take(clock())
            if key is None:
                await self._wait(clock())
                continue
            try:
                await self._work(key)
            except KubeError as failure:
                delay = next(self._delays.setdefault(key, AFTER_FAILURE.delays()))
                log.info("%s %s: %s; again in %.1f s", self._name, key, failure, delay)
                self.add_after(key, delay)
            else:
                self._delays.pop(key, None)

    async def _wait(self, now: float) -> None:
        """For a key to be added, or to become due."""
        self._wake.clear()
        due = self._queue.due
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - now)):
                await self._wake.wait()
        except TimeoutError:
            pass
