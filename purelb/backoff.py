"""How long is waited before something is tried again: one policy for all that can fail for a while. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds: ``first``, then doubled up to ``most``."""

    first: float = 0.2
    most: float = 10.0

    def delays(self) -> Iterator[float]:
        """Without end."""
        return (min(self.most, self.first * 2.0 ** min(step, 30)) for step in count())
