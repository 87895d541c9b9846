"""One probe round as a value: asked directly, then through others and by TCP, then a verdict.

Owns the stages and deadlines of one round and what it says about our own health (SWIM section 4.1, Lifeguard LHA-Probe;
memberlist `probeNode`).  Sends nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from memberlist.members import Record
from memberlist.messages import Endpoint


class Stage(enum.Enum):
    DIRECT = "direct"
    INDIRECT = "indirect"


@dataclass(slots=True)
class ProbeRound:
    """`sequence` identifies all its pings; `incarnation` is what a failure will be held against."""

    target: Record
    sequence: int
    incarnation: int
    started: float
    indirect_at: float
    until: float
    in_turn: bool
    """The one of the probe interval, not one to confirm a suspicion."""
    stage: Stage = Stage.DIRECT
    expected_nacks: int = 0
    nacks: int = 0
    is_accepted: bool = False
    """The target's machine took our TCP connection, so its kernel lives."""
    is_extended: bool = False
    answered_by_stream: bool = False

    @property
    def deadline(self) -> float:
        return min(self.indirect_at, self.until) if self.stage is Stage.DIRECT else self.until

    def postpone(self, seconds: float) -> None:
        """We were stopped for so long, so the target gets that time back."""
        self.indirect_at += seconds
        self.until += seconds

    def extend(self, until: float) -> None:
        """Wait on: once, as a process that hangs is to be noticed too."""
        self.is_extended = True
        self.until = until

    def health_after_failure(self) -> int:
        """How much worse a failed round makes our health: missing nacks mean that we, not the target, are cut off."""
        if self.expected_nacks:
            return max(0, self.expected_nacks - self.nacks)
        return 1


@dataclass(slots=True)
class Relay:
    """A ping on somebody's behalf: the answer goes back under `their_sequence`, or a nack when the time is over."""

    requester: Endpoint
    their_sequence: int
    until: float
    wants_nack: bool
