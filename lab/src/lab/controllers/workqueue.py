"""Work by key: many changes of one object are one pass, and a pass that fails is tried again later.

Owns the order and the retries of controllers (client-go's workqueue in small). Must not know what a key means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from lab.errors import LabError

log = logging.getLogger("lab.controllers")

K = TypeVar("K", bound=Hashable)

_FIRST_RETRY, _LAST_RETRY = 0.1, 5.0  # seconds


class WorkQueue(Generic[K]):
    """Keys to look at. A key that is added while it is worked on is looked at once more afterwards."""

    def __init__(self, name: str, work: Callable[[K], Awaitable[None]]) -> None:
        self._name = name
        self._work = work
        self._waiting: dict[K, None] = {}  # an ordered set
        self._wake = asyncio.Event()
        self._failures: dict[K, int] = {}

    def add(self, key: K) -> None:
        self._waiting[key] = None
        self._wake.set()

    def add_after(self, key: K, delay: float) -> None:
        """Look at this key in `delay` seconds."""
        asyncio.get_running_loop().call_later(delay, self.add, key)

    async def run(self) -> None:
        """Work through the keys one after the other, for ever."""
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            key = next(iter(self._waiting))
            del self._waiting[key]
            try:
                await self._work(key)
            except LabError as failure:
                tries = self._failures[key] = self._failures.get(key, 0) + 1
                delay = min(_LAST_RETRY, _FIRST_RETRY * 2 ** (tries - 1))
                log.info("%s %s: %s; again in %.1f s", self._name, key, failure, delay)
                self.add_after(key, delay)
            else:
                self._failures.pop(key, None)
