"""Who answers our probes through others or by TCP alone: UDP doesn't pass between us. Pure.

One answer by a detour is a lost packet; it counts when IN_A_ROW probes of a member were answered so, and no more
from its next direct answer on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

IN_A_ROW: Final = 4
"""Probes: with a tenth of all packets lost, four in a row are one in a thousand."""
MOST: Final = 4096
"""Members that are remembered at once: the last ones."""


class Detours:
    """Told how each probe was answered."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}

    def answered(self, member: str, *, is_direct: bool) -> None:
        """By a packet of its own, or only by a detour."""
        if is_direct:
            self._of.pop(member, None)
            return
        self._of[member] = self._of.pop(member, 0) + 1
        if len(self._of) > MOST:
            del self._of[next(iter(self._of))]  # the longest silent one: who is gone isn't told of here

    def failed(self, member: str) -> None:
        """It didn't answer at all: it may be dead."""
        self._of.pop(member, None)

    def members(self, is_alive: Callable[[str], bool]) -> frozenset[str]:
        """Those of the members that live to whom, or from whom, no packet passes; from any thread."""
        known = list(self._of.items())  # in one step: the dictionary may change meanwhile
        return frozenset(member for member, times in known if times >= IN_A_ROW and is_alive(member))
