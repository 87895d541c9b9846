"""Whether this agent stood still: frozen, or without a processor for longer than its peers wait for it. Pure.

``now`` is monotonic seconds, which go on while a process is stopped.
"""

from __future__ import annotations

import math
from typing import Final

LONGEST: Final = 0.4
"""Seconds for which a loop may be late, busy as it is: peers take nobody for dead before that."""


class Standstill:
    """Of one loop, which says when it will run at the latest."""

    def __init__(self) -> None:
        self._due = math.inf

    def expect(self, at: float) -> None:
        """It runs at this moment, if it runs at all."""
        self._due = at

    def has_been(self, now: float) -> bool:
        """Whether it runs again only now; said once, to whoever asks first."""
        if now - self._due <= LONGEST:
            return False
        self._due = math.inf
        return True
