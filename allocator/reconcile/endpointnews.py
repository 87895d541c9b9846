"""Where endpoints are, as last seen, and of which Services that is news. Pure.

It owns when the planner hears of it: once a second at most, as pods that are replaced are news again and again, and
agents follow endpoints without the planner. Times are monotonic seconds.
"""

from __future__ import annotations

import math
from typing import Final

from purelb.endpoints import Endpoints, EndpointSlice
from purelb.ordering import Changed, Deleted, News, Replaced
from purelb.services import ServiceKey

PACE: Final = 1.0
"""Seconds between two looks at what has changed."""


class EndpointNews:
    """``take`` news of EndpointSlices; ask ``take_changed`` when it is ``due``."""

    def __init__(self) -> None:
        self.endpoints = Endpoints()
        self.is_known = False
        """Whether all were listed once: before that, a Service that has none isn't known to have none."""
        self.changes = 0
        """Another number with all news."""
        self._changed: set[ServiceKey] = set()
        self._is_new = False
        self._looked_at = -math.inf

    def take(self, news: News[EndpointSlice]) -> None:
        """News of EndpointSlices that belong to Services."""
        self.changes += 1
        match news:
            case Replaced(items):
                self._changed |= self.endpoints.take_all(items.values())
                self._is_new = self._is_new or not self.is_known
                self.is_known = True
            case Changed(_, one):
                self._changed |= self.endpoints.take(one)
            case Deleted(key):
                self._changed |= self.endpoints.drop(key.namespace, key.name)

    @property
    def due(self) -> float | None:
        """When there is something to ask for; None: there isn't."""
        return self._looked_at + PACE if self._changed or self._is_new else None

    def take_changed(self, now: float) -> set[ServiceKey] | None:
        """The Services whose endpoints may be elsewhere since this was asked last; None: all, they are known now."""
        if self.due is None or now < self.due:
            return set()
        changed = None if self._is_new else self._changed
        self._changed, self._is_new, self._looked_at = set(), False, now
        return changed
