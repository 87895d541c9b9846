"""Who looks at the page: each has a short queue of what is still to be sent, and is given up when it doesn't keep up.

It owns how many may look at once and how far one may be behind. What is sent, and over what, is the server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from allocator.page.metrics import PageMetrics

MOST: Final = 32
"""Browsers at once."""
BEHIND: Final = 16
"""Messages that wait for one: several seconds of a cluster where everything changes."""


class Client:
    """One who looks; ``next`` what is to be sent."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        """``give_up`` ends its connection at once."""
        self.give_up = give_up
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(BEHIND)

    async def next(self) -> bytes:
        """The next message, when there is one."""
        return await self._queue.get()

    def offer(self, message: bytes) -> bool:
        """False if it is too far behind for that."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            return False
        return True


class Clients:
    """All of them; used from one loop."""

    def __init__(self, metrics: PageMetrics) -> None:
        self._metrics = metrics
        self._there: set[Client] = set()

    def __len__(self) -> int:
        return len(self._there)

    def admit(self, give_up: Callable[[], None]) -> Client | None:
        """Another one; None: there are as many as may be."""
        if len(self._there) >= MOST:
            self._metrics.ended.labels("refused").inc()
            return None
        client = Client(give_up)
        self._there.add(client)
        self._metrics.clients.set(len(self._there))
        return client

    def leave(self, client: Client, reason: str) -> None:
        """It looks no more; what was said of it before counts."""
        if client in self._there:
            self._there.discard(client)
            self._metrics.ended.labels(reason).inc()
            self._metrics.clients.set(len(self._there))

    def tell(self, message: bytes) -> None:
        """Everybody; who doesn't keep up is given up."""
        for client in list(self._there):
            if not client.offer(message):
                self.leave(client, "slow")
                client.give_up()
