"""The Services as last seen, whichever way the news came: watch, list, or the answer to a write. Pure.

News can arrive late and out of order. A resourceVersion grows with every write to the cluster, so older news about an
object is told from newer, and a list taken at one version from what came after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from allocator.ipam.requests import Seniority
from purelb.services import ServiceKey, ServiceView, revision, service_key


@dataclass(frozen=True, slots=True)
class Entry:
    """A Service and its rank."""

    service: ServiceView
    seniority: Seniority


class ServiceCache:
    """Services by key, each in the newest state that was seen."""

    def __init__(self) -> None:
        self._entries: dict[ServiceKey, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def knows(self, body: Mapping[str, Any]) -> bool:
        """Whether just this state was seen: most news comes twice, as a write's answer and by the watch."""
        known = self._entries.get(service_key(body))
        return known is not None and known.service.resource_version == body["metadata"].get("resourceVersion")

    def get(self, key: ServiceKey) -> Entry | None:
        """The Service as last seen; None if there is none."""
        return self._entries.get(key)

    def seen(self, service: ServiceView) -> bool:
        """Take in a state of a Service. False if it or a newer one is known."""
        known = self._entries.get(service.key)
        if known is not None:
            is_known = service.resource_version == known.service.resource_version
            if is_known or revision(service.resource_version) < revision(known.service.resource_version):
                return False
        if known is not None and known.service.uid == service.uid:
            seniority = known.seniority
        else:
            seniority = Seniority(service.created, revision(service.resource_version), service.key)
        self._entries[service.key] = Entry(service, seniority)
        return True

    def gone(self, service: ServiceView) -> bool:
        """Take in that a Service was deleted, in its last state. False if one of its name came after it."""
        known = self._entries.get(service.key)
        if known is None:
            return False
        if known.service.uid != service.uid and revision(known.service.resource_version) > revision(
            service.resource_version
        ):
            return False
        del self._entries[service.key]
        return True

    def forget(self, key: ServiceKey) -> None:
        """There is no such Service."""
        self._entries.pop(key, None)

    def missing_from(self, present: Set[ServiceKey], resource_version: str) -> list[ServiceKey]:
        """Whom a complete list, taken at ``resource_version``, hasn't, though it was there before."""
        return [
            key
            for key, entry in self._entries.items()
            if key not in present and revision(entry.service.resource_version) <= revision(resource_version)
        ]
