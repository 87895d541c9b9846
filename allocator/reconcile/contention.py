"""How often what another takes away is put back: at once, and then ever more seldom. Pure. Times are monotonic seconds.

Two programs that undo each other's work would otherwise write as fast as the API server answers, for ever.

It knows neither what is put back nor who takes it away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from purelb.services import ServiceKey

WAITS: Final = (2.0, 10.0, 60.0, 600.0)
"""After the first restoration, the second, and so on; the last of them stands for all that follow."""
PEACE: Final = 1200.0
"""Without a restoration for so long, the next one is a first one."""


@dataclass(slots=True)
class _Contest:
    count: int
    last: float


class Contention:
    """Restorations by Service."""

    def __init__(self) -> None:
        self._contests: dict[ServiceKey, _Contest] = {}

    def due(self, service: ServiceKey, now: float) -> float:
        """When something of a Service may be put back: ``now``, or later."""
        contest = self._contests.get(service)
        if contest is None or now - contest.last >= PEACE:
            return now
        return max(now, contest.last + WAITS[min(contest.count, len(WAITS)) - 1])

    def restored(self, service: ServiceKey, now: float) -> None:
        """Something of a Service was put back."""
        contest = self._contests.get(service)
        if contest is None or now - contest.last >= PEACE:
            self._contests[service] = _Contest(1, now)
        else:
            contest.count, contest.last = contest.count + 1, now

    def forget(self, service: ServiceKey) -> None:
        """There is no such Service any more."""
        self._contests.pop(service, None)
