"""When the neighbours of a NIC are told where a VIP is: at once when it is placed, then again per garpConfig. Pure.

Owns the repeats: of gratuitous ARP (both forms) and unsolicited neighbour advertisements. ``now`` is monotonic seconds.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress
from purelb.nodeagents import GarpConfig


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the neighbours of an interface that a VIP is at this MAC."""

    vip: IPAddress
    interface: str
    mac: Mac


@dataclass(order=True, slots=True)
class _Repeat:
    at: float
    number: int
    announce: Announce = field(compare=False)


class Garp:
    """What is to be told, and when."""

    def __init__(self) -> None:
        self._repeats: list[_Repeat] = []
        self._number = 0

    @property
    def deadline(self) -> float | None:
        """When the next repeat is due; None: none is."""
        return self._repeats[0].at if self._repeats else None

    def announce(self, announce: Announce, config: GarpConfig, now: float) -> list[Announce]:
        """What to tell now; ``count`` times more it's due, from ``initialDelay`` on."""
        if not config.enabled:
            return []
        for repeat in range(config.count):
            self._number += 1
            at = now + config.initial_delay + repeat * config.interval
            heapq.heappush(self._repeats, _Repeat(at, self._number, announce))
        return [announce]

    def due(self, now: float) -> list[Announce]:
        """The repeats whose time has come."""
        due: list[Announce] = []
        while self._repeats and self._repeats[0].at <= now:
            due.append(heapq.heappop(self._repeats).announce)
        return due
