"""Whether this agent stood still: frozen, or without a processor for longer than its peers wait for it. Pure.

``now`` is monotonic seconds, which go on while a process is stopped.
"""

from __future__ import annotations

import math
from typing import Final

LONGEST: Final = 0.4
"""Seconds for which a loop may be late, busy as it is: peers take no process that stopped for dead before that."""


class Standstill:
    """Of one loop, which says when it will run at the latest."""

    def __init__(self) -> None:
        self._due = math.inf
        self._is_unsaid = False

    def expect(self, at: float) -> None:
        """It runs at this moment, if it runs at all."""
        self._due = at

    def runs(self, now: float) -> None:
        """It runs again: if that is only now, it is remembered until somebody asks."""
        if now - self._due > LONGEST:
            self._is_unsaid = True
            self._due = math.inf

    def has_been(self, now: float) -> bool:
        """Whether it runs again only now, or did since somebody asked; said once."""
        self.runs(now)
        was, self._is_unsaid = self._is_unsaid, False
        return was
