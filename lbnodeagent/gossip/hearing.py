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


DEATH: Final = 1.75
"""Turns likewise when a peer has just been taken for dead: another one that lives was asked to ask it, and answered."""
LEAST_AT_DEATH: Final = 0.14
"""Seconds, likewise."""


class Hearing:
    """Of one node; ``probe_interval`` in seconds."""

    def __init__(self, probe_interval: float) -> None:
        self.is_cut_off = False
        """Nobody has answered for too long."""
        self._patience = max(LEAST, PROBES * probe_interval)
        self._patience_at_death = max(LEAST_AT_DEATH, DEATH * probe_interval)
        self._asks_since: float | None = None
        self._last_answer = 0.0
        """When it was cut off, that was the last one."""

    def look(self, now: float, answered_at: float, *, has_peers: bool, is_death: bool = False) -> bool:
        """Whether it is cut off changed: ``answered_at`` is when a probe was answered last.

        ``is_death``: a peer has just been taken for dead, and what follows from that depends on it. Without peers
        nobody is asked, and it stays as it was.
        """
        if not has_peers:
            self._asks_since = None
            return False
        if self._asks_since is None:
            self._asks_since = now
        was = self.is_cut_off
        if was:
            self.is_cut_off = answered_at <= self._last_answer
        else:
            age = now - max(answered_at, self._asks_since)
            self.is_cut_off = age > (self._patience_at_death if is_death else self._patience)
            self._last_answer = answered_at
        return self.is_cut_off != was
