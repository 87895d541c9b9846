"""A loop's sign of life: what a program's liveness goes by, as its probes are answered by a thread of their own."""

from __future__ import annotations

import asyncio
import time
from typing import Final

BEAT: Final = 3.0
"""Seconds between two signs of life."""
STILL: Final = 60.0
"""Seconds without one after which a loop counts as dead: more than any pause of ours."""


class Pulse:
    """``beat`` on the loop that is watched, and ask ``trouble`` on any thread."""

    def __init__(self, name: str, still: float = STILL) -> None:
        """``name`` is what stands still, for a sentence: "the data plane"."""
        self._name = name
        self._still = still
        self.show_life()

    def show_life(self) -> None:
        """It is alive now."""
        self._alive_at = time.monotonic()

    async def beat(self) -> None:
        """Show life for as long as the running loop turns, until cancelled."""
        while True:
            self.show_life()
            await asyncio.sleep(BEAT)

    def trouble(self) -> str | None:
        """Why the program has to be started anew; None: it lives."""
        silence = time.monotonic() - self._alive_at
        return f"{self._name} has shown no sign of life for {silence:.0f} s" if silence > self._still else None
