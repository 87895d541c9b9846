"""When the neighbours of a NIC are told where a VIP is: at once when it is placed, then again per garpConfig. Pure.

Owns the repeats, of gratuitous ARP (both forms) and unsolicited neighbour advertisements: those that follow a
placement, and those by which switches don't forget behind which port a VIP is. ``now`` is monotonic seconds.
"""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress
from purelb.nodeagents import GarpConfig

GRID: Final = 1.0
"""Seconds to which refreshes are put off, so that many wake the agent once."""
MOST: Final = 100
"""VIPs that are refreshed per GRID; more come with the next one."""


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


class Refresh:
    """Which VIPs are to be told again though nothing happened: each once per interval, not all at the same time."""

    def __init__(self, interval: float) -> None:
        """Seconds; 0: never."""
        self.interval = interval
        self._due: dict[IPAddress, float] = {}
        self._queue: list[tuple[float, int, int, IPAddress]] = []
        """By time; one that ``_due`` doesn't have so is over."""
        self._not_before = 0.0

    @property
    def deadline(self) -> float | None:
        """When the next one is due; None: none is."""
        return max(self._queue[0][0], self._not_before) if self._queue else None

    def set_interval(self, interval: float, now: float) -> None:
        """Seconds; 0: never."""
        if interval != self.interval:
            self.interval = interval
            self.keep((), now)

    def keep(self, here: Collection[IPAddress], now: float) -> None:
        """These VIPs are here, and no others."""
        if not self.interval:
            here = ()
        for vip in self._due.keys() - here:
            del self._due[vip]
        for vip in here:
            if vip not in self._due:
                # Anywhere in the interval, the same for a VIP each time: they were mostly placed at once.
                self._put(vip, now + self.interval * zlib.crc32(vip.packed) / 2**32)
        if not self._due:
            self._queue.clear()

    def due(self, now: float) -> list[IPAddress]:
        """Those whose time has come, at most so many that a switch isn't flooded."""
        due: list[IPAddress] = []
        if now < self._not_before:
            return due
        while self._queue and self._queue[0][0] <= now and len(due) < MOST:
            at, _, _, vip = heapq.heappop(self._queue)
            if self._due.get(vip) == at:
                due.append(vip)
                self._put(vip, now + self.interval)
        self._not_before = now + GRID if due else now
        return due

    def _put(self, vip: IPAddress, at: float) -> None:
        at = math.ceil(at / GRID) * GRID
        self._due[vip] = at
        heapq.heappush(self._queue, (at, vip.version, int(vip), vip))
