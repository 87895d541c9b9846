"""One machine of a simulation: a member, its clock, and what waits in its kernel while the process stands still.

Knows nothing of other machines; the network between them is network.py, and what happens when is simulation.py's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

from memberlist.core import Core
from memberlist.messages import Endpoint

SOCKET_BUFFER = 4096
"""Packets that wait in a stalled node's kernel; the rest are lost."""


@dataclass(slots=True)
class SimulatedNode:
    """One machine with one member.  ``now`` is the simulation's time; the member has its machine's."""

    name: str
    core: Core
    clock_offset: float = 0.0
    alive: bool = True
    stalled: bool = False
    slowness: float = 0.0
    """Seconds that each input waits before it is looked at."""
    tick_at: float = inf
    backlog: list[tuple[bytes, Endpoint]] = field(default_factory=list)
    packets_sent: int = 0
    bytes_sent: int = 0

    def time(self, now: float) -> float:
        return now + self.clock_offset

    def due(self) -> float:
        """When its member is to be ticked, in the simulation's time."""
        return self.core.next_deadline() - self.clock_offset

    def receive(self, now: float, data: bytes, source: Endpoint) -> bool:
        """A packet arrives; whether the member has seen it."""
        if self.stalled:
            if len(self.backlog) < SOCKET_BUFFER:
                self.backlog.append((data, source))
            return False
        self.core.receive_packet(self.time(now), data, source)
        return True

    def tick(self, now: float) -> None:
        """What is due is done, at the moment it was due for."""
        if self.core.next_deadline() <= self.time(now) + 1e-9:
            self.core.tick(max(self.time(now), self.core.next_deadline()))

    def wake(self, now: float) -> None:
        """The process runs again, and finds what has come meanwhile."""
        backlog, self.backlog = self.backlog, []
        for data, source in backlog:
            self.core.receive_packet(self.time(now), data, source)
        if self.core.next_deadline() <= self.time(now):
            self.core.tick(self.time(now))
        self.tick_at = inf
