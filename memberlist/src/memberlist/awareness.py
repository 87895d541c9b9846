"""The local health score of Lifeguard: how much we distrust ourselves.

Owns one bounded integer; knows no member and no time (Lifeguard, LHA-Probe; memberlist `awareness.go`).
"""


class Awareness:
    """0 is healthy; the worst is `max_multiplier` - 1.  It only stretches the probe interval."""

    def __init__(self, max_multiplier: int) -> None:
        self._worst = max_multiplier - 1
        self._score = 0

    @property
    def score(self) -> int:
        return self._score

    def change(self, by: int) -> None:
        """Worse for positive `by`, better for negative, within bounds."""
        self._score = min(self._worst, max(0, self._score + by))

    def scale(self, seconds: float) -> float:
        return seconds * (self._score + 1)
