"""Which addresses are on this node although its own data path fails, as no node that could have them serves. Pure.

It is told once it has lasted: when a cluster starts, all nodes are so for a moment. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final

from lbnodeagent.tables import Announcement
from purelb.addresses import IPAddress

PATIENCE: Final = 10.0
"""Seconds."""


class LastResorts:
    """``stands`` for each report of a VIP; ``due`` when the deadline has come."""

    def __init__(self) -> None:
        self._since: dict[IPAddress, float] = {}
        """Of those that aren't told yet, in that order."""
        self._reasons: dict[IPAddress, str] = {}

    @property
    def deadline(self) -> float | None:
        """When the next one has lasted long enough."""
        return next((since + PATIENCE for since in self._since.values()), None)

    def stands(self, announcement: Announcement, now: float) -> None:
        """How a VIP stands on this node."""
        vip = announcement.vip
        if not announcement.despite:
            self._since.pop(vip, None)
            self._reasons.pop(vip, None)
            return
        if vip not in self._reasons:
            self._since[vip] = now
        self._reasons[vip] = announcement.despite

    def due(self, now: float) -> dict[IPAddress, str]:
        """Those to be told of now, each once for as long as it is so, with the reason, a clause."""
        due = [vip for vip, since in self._since.items() if since + PATIENCE <= now]
        for vip in due:
            del self._since[vip]
        return {vip: self._reasons[vip] for vip in due}
