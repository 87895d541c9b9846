"""What is to be given back to whom, each once at a time, and again later where it failed. Pure.

Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from purelb.backoff import Backoff
from purelb.services import ServiceKey

RETRY: Final = Backoff(first=1.0, most=30.0)
"""Between two attempts to give something back."""


class Return(NamedTuple):
    """Something that a group's source keeps for a Service without need."""

    group: str
    service: ServiceKey


class Returns:
    """One attempt per item at a time; what is added meanwhile comes after it."""

    def __init__(self) -> None:
        self._due: dict[Return, float] = {}
        self._delays: dict[Return, Iterator[float]] = {}
        self._under_way: set[Return] = set()

    def add(self, item: Return) -> None:
        """It is to be given back; at once, unless an attempt failed just now."""
        self._due.setdefault(item, float("-inf"))

    def take(self, now: float) -> list[Return]:
        """What is due; for each of them ``done`` or ``failed`` must follow."""
        due = [item for item, at in self._due.items() if at <= now and item not in self._under_way]
        for item in due:
            del self._due[item]
        self._under_way.update(due)
        return due

    def done(self, item: Return) -> None:
        """It was given back, or there was nothing."""
        self._under_way.discard(item)
        self._delays.pop(item, None)

    def failed(self, item: Return, now: float, retry_after: float | None) -> None:
        """It is to be tried again; ``retry_after`` in seconds, where the other side named it."""
        self._under_way.discard(item)
        delays = self._delays.setdefault(item, RETRY.delays())
        self._due[item] = now + (retry_after or next(delays))

    @property
    def due(self) -> float | None:
        """When ``take`` may have something again; None: not before ``add``, ``done`` or ``failed``."""
        return min((at for item, at in self._due.items() if item not in self._under_way), default=None)
