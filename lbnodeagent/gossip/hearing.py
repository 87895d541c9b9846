"""Whether anybody answers this node's probes: if nobody does, it is likely that this node is cut off. Pure.

A member that hears nothing, or isn't heard, takes its peers for dead one by one, and each verdict alone looks like a
death. What tells them apart is that the others' answers end at the same time. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final

LEAST: Final = 0.4
"""Seconds without an answer that mean nothing, whatever the profile."""
PROBES: Final = 5
"""Turns of probing without an answer from anybody after which this node counts as cut off: with a tenth of all packets
lost, a probe fails by all its ways once in a thousand times."""


class Hearing:
    """Of one node; ``probe_interval`` in seconds."""

    def __init__(self, probe_interval: float) -> None:
        self.is_cut_off = False
        """Nobody has answered for too long."""
        self._patience = max(LEAST, PROBES * probe_interval)
        self._asks_since: float | None = None

    def look(self, now: float, answered_at: float, *, has_peers: bool) -> bool:
        """Whether it is cut off changed: ``answered_at`` is when a probe was answered last.

        Without peers nobody is asked, and it stays as it was.
        """
        if not has_peers:
            self._asks_since = None
            return False
        if self._asks_since is None:
            self._asks_since = now
        was, age = self.is_cut_off, now - max(answered_at, self._asks_since)
        self.is_cut_off = age > self._patience or (was and answered_at < self._asks_since)
        return self.is_cut_off != was
