"""Gossip: rumours go to a few members at a time, as long as there are any (SWIM section 4.1; memberlist `state.go`).

Owns its schedule and who hears of it.  What is told, and how often, is broadcasts.py's business.
"""

from __future__ import annotations

import math
import random

from memberlist.broadcasts import Broadcasts
from memberlist.config import Config
from memberlist.members import MemberTable, Record
from memberlist.messages import State
from memberlist.outbox import Outbox


class Gossip:
    """Ticks on a grid of its own, and only while there is something to tell."""

    def __init__(self, name: str, config: Config, table: MemberTable, rumours: Broadcasts, outbox: Outbox) -> None:
        self._name = name
        self._config = config
        self._table = table
        self._rumours = rumours
        self._outbox = outbox
        self._phase = 0.0
        self._due = math.inf

    def start(self, now: float, rng: random.Random) -> None:
        self._phase = now + rng.random() * self._config.gossip_interval

    def deadline(self, now: float) -> float:
        """When to tick next; infinite while there is nothing to tell."""
        if self._due == math.inf and len(self._rumours):
            self._due = next_tick(self._phase, self._config.gossip_interval, now)
        return self._due

    def tick(self, now: float) -> None:
        if now < self._due:
            return
        recently = now - self._config.gossip_to_the_dead_time

        def hears(record: Record) -> bool:
            if record.name == self._name or record.state is State.LEFT:
                return False
            return record.state is not State.DEAD or record.since >= recently

        for record in self._table.pick(self._config.gossip_nodes, hears):
            if not self._outbox.gossip(record):
                break
        self._phase, self._due = self._due, math.inf


def next_tick(due: float, interval: float, now: float) -> float:
    """The first moment after `now` on the grid of `due`; ticks that were missed are dropped."""
    return due + ((now - due) // interval + 1) * interval
