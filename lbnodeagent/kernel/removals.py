"""Somebody on this node takes VIPs away, or its own addresses: notices a habit, and says it at a bounded rate. Pure.

``now`` is monotonic seconds. Who it may be: addressmanagers.py.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from purelb.addresses import IPAddress

REPORT_INTERVAL: Final = 60.0
"""Seconds between two reports of the same VIP."""
TIMES: Final = 3
"""Removals within REPORT_INTERVAL that make a habit."""
_MOST: Final = 100


class Removals:
    """Remembers when VIPs that are wanted here were taken away."""

    def __init__(self) -> None:
        self._removals: dict[IPAddress, deque[float]] = {}
        self._told: dict[IPAddress, float] = {}

    def noticed(self, vip: IPAddress, now: float) -> int:
        """Somebody took ``vip`` away. How often that was within REPORT_INTERVAL, if it's time to say so; else 0."""
        removals = self._removals.setdefault(vip, deque(maxlen=_MOST))
        removals.append(now)
        while now - removals[0] > REPORT_INTERVAL:
            removals.popleft()
        if len(removals) < TIMES or now - self._told.get(vip, -REPORT_INTERVAL) < REPORT_INTERVAL:
            return 0
        self._told[vip] = now
        return len(removals)

    def forget_old(self, now: float) -> None:
        """Forget what was taken away for the last time before REPORT_INTERVAL."""
        for vip in [vip for vip, removals in self._removals.items() if now - removals[-1] > REPORT_INTERVAL]:
            self.forget(vip)

    def forget(self, vip: IPAddress) -> None:
        """``vip`` is no longer to be here."""
        self._removals.pop(vip, None)
        self._told.pop(vip, None)
