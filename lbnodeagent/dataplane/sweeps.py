"""When everything is looked at again, whatever was heard: renewals, a sweep, and links after a failure. No I/O.

``now`` is monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lbnodeagent.tables import FOREVER

SWEEP: Final = 60.0
"""Seconds between two looks at everything."""
RETRY_LINKS: Final = 1.0
"""Seconds until a link that the kernel refused is tried again."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be looked at."""

    links: bool
    renewals: bool
    everything: bool


class Sweeps:
    """Everything is due at first."""

    def __init__(self) -> None:
        self._links_at = FOREVER
        self._renew_at = 0.0
        self._pause = SWEEP
        self._sweep_at = 0.0

    @property
    def deadline(self) -> float:
        """When ``due`` has something next."""
        return min(self._links_at, self._renew_at, self._sweep_at)

    def retry_links(self, now: float) -> None:
        """The kernel refused a link."""
        self._links_at = now + RETRY_LINKS

    def lifetime_is(self, lifetime: int, now: float) -> None:
        """That of an address on a NIC, in seconds, 0 for ever: one that became shorter can't wait for the old pause."""
        self._pause = lifetime / 4 or SWEEP
        self._renew_at = min(self._renew_at, now + self._pause)

    def due(self, now: float) -> Due:
        """What is due now."""
        due = Due(now >= self._links_at, now >= self._renew_at, now >= self._sweep_at)
        if due.links:
            self._links_at = FOREVER
        if due.renewals:
            self._renew_at = now + self._pause
        if due.everything:
            self._sweep_at = now + SWEEP
        return due
