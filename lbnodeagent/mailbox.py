"""One way between the two halves of the agent: values by key, the newest of each, across threads.

A thousand changes of one key while the other half is busy are one value. It knows nothing of what it carries.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Mailbox(Generic[K, V]):
    """``put`` from any thread; ``take`` from the one loop that was given to ``open``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[K, V] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._filled = asyncio.Event()
        """Of the loop that receives: an event that was waited for belongs to that loop for good."""

    def open(self) -> None:
        """Receive on the running loop from now on; what was put before is kept."""
        with self._lock:
            self._loop, self._filled = asyncio.get_running_loop(), asyncio.Event()
            if self._values:
                self._filled.set()

    def close(self) -> None:
        """The receiving loop ends; what is put from now on is kept for the next one that opens."""
        with self._lock:
            self._loop = None

    def put(self, key: K, value: V) -> None:
        """Leave a value; one that waits under the same key is replaced and keeps its place."""
        self.put_all({key: value})

    def put_all(self, values: dict[K, V]) -> None:
        """Leave several values, which are taken together."""
        if not values:
            return
        with self._lock:
            was_empty = not self._values
            self._values.update(values)
            if was_empty and self._loop is not None:
                # Under the lock, so that the loop can't be closed in between.
                self._loop.call_soon_threadsafe(self._filled.set)

    def start_over(self, key: K, value: V) -> None:
        """Leave a value in the place of all that wait: who puts them begins anew."""
        with self._lock:
            self._values.clear()
        self.put(key, value)

    async def take(self) -> dict[K, V]:
        """Wait for values and take all, in the order in which their keys came."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            with self._lock:
                values, self._values = self._values, {}
            if values:
                return values
