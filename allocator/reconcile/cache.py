"""The Services as last seen, whichever way the news came: watch, list, or the answer to a write. Pure.

Which news counts is ordering.py's; here all of it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from allocator.ipam.requests import Seniority
from purelb.ordering import revision
from purelb.services import ServiceKey, ServiceView


@dataclass(frozen=True, slots=True)
class Entry:
    """A Service and its rank."""

    service: ServiceView
    seniority: Seniority


class ServiceCache:
    """Services by key, each in the newest state that was seen."""

    def __init__(self) -> None:
        self._entries: dict[ServiceKey, Entry] = {}
        self.changes = 0
        """Another number whenever one of them is another, or gone."""

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def keys(self) -> set[ServiceKey]:
        """Of all Services."""
        return set(self._entries)

    def get(self, key: ServiceKey) -> Entry | None:
        """The Service as last seen; None if there is none."""
        return self._entries.get(key)

    def seen(self, service: ServiceView) -> bool:
        """Take in a state of a Service. False if it is known, as most of a list is."""
        known = self._entries.get(service.key)
        if known is not None and known.service == service:
            return False
        self.changes += 1
        if known is not None and known.service.uid == service.uid:
            seniority = known.seniority
        else:
            seniority = Seniority(service.created, revision(service.resource_version) or 0, service.key)
        self._entries[service.key] = Entry(service, seniority)
        return True

    def forget(self, key: ServiceKey) -> None:
        """There is no such Service."""
        self.changes += self._entries.pop(key, None) is not None
