"""The network of a simulation: which packets arrive, how late, and how often.

Owns the faults of cables and links; knows machines by their names and nothing of what they say.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

TCP_RETRANSMIT = 0.2
"""Seconds until TCP sends a lost segment again (Linux's least retransmission timeout)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What happens to each packet on its way; times in seconds, the rest are probabilities."""

    delay: tuple[float, float] = (0.0001, 0.001)
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """This share of packets takes ten times the delay, so that later ones overtake them."""


class Network:
    """All machines on one kind of link, as far as they aren't parted or unplugged."""

    def __init__(self, link: Link, rng: random.Random) -> None:
        self._link = link
        self._rng = rng
        self._cut: set[tuple[str, str]] = set()
        self._unplugged: set[str] = set()

    def unplug(self, name: str) -> None:
        self._unplugged.add(name)

    def plug_in(self, name: str) -> None:
        self._unplugged.discard(name)

    def part(self, some: Iterable[str], others: Iterable[str], *, one_way: bool) -> None:
        """Nothing gets from `some` to `others`, nor back unless `one_way`."""
        some, others = list(some), list(others)
        for one in some:
            for other in others:
                self._cut.add((one, other))
                if not one_way:
                    self._cut.add((other, one))

    def heal(self) -> None:
        """Nobody is parted; what is unplugged stays so."""
        self._cut.clear()

    def connects(self, one: str, other: str) -> bool:
        """Whether packets get from one machine to the other."""
        if one == other:
            return True
        return self.is_plugged_in(one) and self.is_plugged_in(other) and (one, other) not in self._cut

    def is_plugged_in(self, name: str) -> bool:
        """Whether a machine is on the network at all."""
        return name not in self._unplugged

    def connects_both_ways(self, one: str, other: str) -> bool:
        return self.connects(one, other) and self.connects(other, one)

    def arrivals(self) -> Iterator[float]:
        """The delay of each copy of one packet that arrives."""
        link, rng = self._link, self._rng
        copies = 1 + (link.duplicate > 0 and rng.random() < link.duplicate)
        for _ in range(copies):
            if link.loss and rng.random() < link.loss:
                continue
            delay = rng.uniform(*link.delay)
            if link.reorder and rng.random() < link.reorder:
                delay *= 10
            yield delay

    def stream_delay(self) -> float:
        """A handshake and some segments: three times the way, and a retransmission for every loss."""
        delay = 3 * self._rng.uniform(*self._link.delay)
        while self._link.loss and self._rng.random() < 2 * self._link.loss:
            delay += TCP_RETRANSMIT
        return delay
