"""Since when each node serves, and whether one was lost lately: when the planner may move what is well. Pure.

A node whose standing is any but serving counts as lost, whether it has left the gossip, is drained, or its data path
fails; its place is kept until it has been given up. Times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from allocator.placement.values import Node
from purelb.membership import MOST_NODES, Standing
from purelb.tempo import Tempo


@dataclass(slots=True)
class _Record:
    came: float
    """Since when it serves."""
    held_until: float
    """Until then it is given no VIPs."""
    flaps: int = 0
    """How many times in a row it served for a short while only."""
    lost: float | None = None
    """Since when it doesn't serve."""


class Presence:
    """``see`` whoever takes part, whenever that changes."""

    def __init__(self, tempo: Tempo) -> None:
        self._tempo = tempo
        self._records: dict[str, _Record] | None = None

    def see(self, nodes: Iterable[Node], now: float) -> None:
        """Who takes part now. All that serve at the first time are taken for settled."""
        serving = {node.name for node in nodes if node.standing is Standing.SERVING}
        if self._records is None:
            self._records = {name: _Record(came=-math.inf, held_until=-math.inf) for name in serving}
            return
        for name in serving:
            record = self._records.get(name)
            if record is None:
                self._records[name] = _Record(came=now, held_until=now + self._tempo.hold_down)
            elif record.lost is not None:
                is_flap = record.lost - record.came < self._tempo.longest_hold_down
                flaps = record.flaps + 1 if is_flap else 0
                wait = min(self._tempo.hold_down * 2.0 ** min(flaps, 30), self._tempo.longest_hold_down)
                self._records[name] = _Record(came=now, held_until=now + wait, flaps=flaps)
        forgotten = max(self._tempo.longest_hold_down, self._tempo.give_up)
        for name, record in list(self._records.items()):
            if name in serving:
                continue
            if record.lost is None:
                record.lost = now
            elif now - record.lost > forgotten:
                del self._records[name]
        # Whoever writes the Membership can think of new names for ever.
        gone = {name: record.lost for name, record in self._records.items() if record.lost is not None}
        for name in sorted(gone, key=lambda name: (gone[name], name))[: max(0, len(gone) - MOST_NODES)]:
            del self._records[name]

    def settle(self) -> None:
        """Wait for nobody: who is gone is given up, and who serves has served for long enough."""
        if self._records is None:
            return
        self._records = {name: record for name, record in self._records.items() if record.lost is None}
        for record in self._records.values():
            record.held_until, record.flaps = -math.inf, 0

    def is_held(self, name: str, now: float) -> bool:
        """Whether a node hasn't served for long enough to be given VIPs."""
        record = (self._records or {}).get(name)
        return record is not None and now < record.held_until

    def held_for(self, name: str, now: float) -> float:
        """Seconds for which a node is still given no VIPs."""
        record = (self._records or {}).get(name)
        return 0.0 if record is None else max(record.held_until - now, 0.0)

    def lost(self, now: float) -> dict[str, float]:
        """The nodes that are remembered and don't serve, and for how many seconds they haven't."""
        records = (self._records or {}).items()
        return {name: now - record.lost for name, record in records if record.lost is not None}

    def calm_at(self, now: float) -> float:
        """From when on no node's place is kept: now, or later if one was lost lately."""
        lost = (record.lost for record in (self._records or {}).values() if record.lost is not None)
        return max([now, *(since + self._tempo.give_up for since in lost)])

    def next_release(self, now: float) -> float | None:
        """When the next node that waits has waited enough; None: nobody waits."""
        waits = (record.held_until for record in (self._records or {}).values() if record.lost is None)
        return min((until for until in waits if until > now), default=None)
