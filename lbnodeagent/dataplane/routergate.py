"""Whether routed VIPs may come here: not before the routing software is there, where the agent was told to wait for it.

No I/O; ``now`` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final

from lbnodeagent.bird.status import BirdStatus
from lbnodeagent.tables import FOREVER

PATIENCE: Final = 10.0
"""Seconds after the start for which routed VIPs wait for the routing software without anybody being told."""


class RouterGate:
    """Nothing is waited for before ``begin``."""

    def __init__(self) -> None:
        self.trouble: str | None = None
        """Why routed VIPs wait; empty while that is nothing to be told of; None: they don't wait."""
        self.deadline = FOREVER
        """When ``look`` is due."""
        self._quiet_until = 0.0
        self._status = BirdStatus(is_up=False, error="it was not asked yet")

    def begin(self, now: float) -> None:
        """Hold routed VIPs that aren't here yet back until ``is_now`` says that something routes them."""
        self.trouble = ""
        self.deadline = self._quiet_until = now + PATIENCE

    def is_now(self, status: BirdStatus, now: float) -> bool:
        """How the routing software is. True if that changes what may be here."""
        self._status = status
        is_quiet = self.trouble == "" and now < self._quiet_until
        before, self.trouble = self.trouble, "" if status.trouble is not None and is_quiet else status.trouble
        return before != self.trouble

    def look(self, now: float) -> bool:
        """True if the patience has just ended, and with it what may be told."""
        if now < self.deadline:
            return False
        self.deadline = FOREVER
        return self.is_now(self._status, now)
