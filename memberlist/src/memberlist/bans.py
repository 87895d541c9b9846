"""Sources that send only junk, and are to be ignored for a while without looking at what they send.

Pure; owns the count of unreadable packets per source and who is banned until when.
"""

from __future__ import annotations

import math

from memberlist.messages import Address

WINDOW = 1.0
"""Seconds over which unreadable packets are counted."""
UNREADABLE_MAX = 100
"""Per source and window: a member with another key or label stays far below, and so in the counters."""
BAN = 10.0
"""Seconds; whoever goes on is banned again after another UNREADABLE_MAX packets."""
BANNED_MAX = 16
SOURCES_MAX = 1024
"""Sources counted in one window; a flood from more of them is one with forged addresses, where bans are no help."""


class Bans:
    """`banned` maps each address to the end of its ban."""

    def __init__(self) -> None:
        self.banned: dict[Address, float] = {}
        self._window_ends = -math.inf
        self._unreadable: dict[Address, int] = {}

    def blame(self, now: float, source: Address) -> bool:
        """One more unreadable packet; whether it is the one too many.  `source` isn't banned by that."""
        if now >= self._window_ends:
            self._window_ends = now + WINDOW
            self._unreadable.clear()
        count = self._unreadable.get(source, 0) + 1
        if count > 1 or len(self._unreadable) < SOURCES_MAX:
            self._unreadable[source] = count
        return count == UNREADABLE_MAX

    def ban(self, now: float, source: Address) -> bool:
        """Whether there was room for one more."""
        if len(self.banned) >= BANNED_MAX and source not in self.banned:
            return False
        self.banned[source] = now + BAN
        return True

    def pardon(self, source: Address) -> bool:
        """End its ban at once; whether there was one."""
        return self.banned.pop(source, None) is not None

    def expire(self, now: float) -> bool:
        """End what is over; whether anything was."""
        over = [source for source, until in self.banned.items() if until <= now]
        for source in over:
            del self.banned[source]
        return bool(over)
