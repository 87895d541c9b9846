"""How long a member stays suspect before it is declared dead: the more who say so, the shorter.

Owns the deadline of one suspicion and who has confirmed it (Lifeguard, LHA-Suspicion; memberlist `suspicion.go`).
Knows no member table and no clock.
"""

from __future__ import annotations

import math

from memberlist.config import Config


def shortest(config: Config, members: int) -> float:
    """Seconds with enough confirmations: multiplier x log10 n (at least 1, cut to milliseconds) x probe interval."""
    scale = math.floor(1000 * max(1.0, math.log10(max(1, members)))) / 1000
    return config.suspicion_mult * scale * (config.suspicion_interval or config.probe_interval)


def wanted(config: Config, members: int) -> int:
    """Confirmations that shorten the time; none if there aren't so many others (us and the suspect left out)."""
    return 0 if members - 2 < config.confirmations_wanted else config.confirmations_wanted


def timeout(confirmations: int, wanted: int, least: float, most: float) -> float:
    """Seconds from the start of the suspicion until death, cut to milliseconds but never below `least`."""
    if wanted < 1:
        return least
    share = math.log(confirmations + 1) / math.log(wanted + 1)
    return max(least, math.floor(1000 * (most - (most - least) * share)) / 1000)


class Suspicion:
    """One running suspicion: `deadline` is when its subject is dead, in the clock of `now`."""

    __slots__ = ("_confirmed", "_least", "_most", "_started", "_wanted", "deadline", "incarnation")

    def __init__(self, now: float, config: Config, members: int, source: str, incarnation: int) -> None:
        self.incarnation = incarnation
        self._started = now
        self._wanted = wanted(config, members)
        self._least = shortest(config, members)
        self._most = self._least * config.suspicion_max_timeout_mult
        self._confirmed = {source}  # the one who began counts as seen, not as a confirmation
        self.deadline = now + timeout(0, self._wanted, self._least, self._most)

    @property
    def confirmations(self) -> int:
        return len(self._confirmed) - 1

    def confirm(self, source: str) -> bool:
        """Whether this is news: someone who hasn't spoken, while confirmations are still wanted."""
        if self.confirmations >= self._wanted or source in self._confirmed:
            return False
        self._confirmed.add(source)
        self.deadline = self._started + timeout(self.confirmations, self._wanted, self._least, self._most)
        return True

    def postpone(self, seconds: float) -> None:
        """We could not listen for so long: the subject gets that time back."""
        self._started += seconds
        self.deadline += seconds
