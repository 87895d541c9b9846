"""Tells those who wait for the API server that it serves somebody again.

A program follows several collections, and each waits longer after each failure. When the server is back, whoever tries
first finds out; without a word from it the others would sleep on, up to the longest of their pauses. It must not know
what they ask for, nor why they failed.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

SPREAD: Final = 0.5
"""Seconds within which those that were woken try, anything between: a thousand programs hear of it at one time."""


class Recovery:
    """One for all that a program asks of one API server; used from one loop."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def is_back(self) -> None:
        """The server has served one whom it had failed."""
        told, self._next = self._next, asyncio.Event()
        told.set()

    async def wait(self) -> None:
        """Until it does so the next time."""
        await self._next.wait()

    async def pause(self, seconds: float, rng: random.Random) -> None:
        """Sleep for so long, or until shortly after it served somebody."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait()
        except TimeoutError:
            return
        await asyncio.sleep(rng.uniform(0.0, min(SPREAD, seconds)))
