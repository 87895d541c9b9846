"""What Services have of groups whose addresses others keep: by their status, by decision, or by grant. Pure.

Whatever is in here must not be given back; whatever isn't, may. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from allocator.ipam.engine import Engine
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.request import shown_by_group
from purelb.addresses import IPAddress
from purelb.services import ServiceKey


class ServiceHoldings:
    """The Services as last seen, and the engine's account."""

    def __init__(self, cache: ServiceCache, engine: Engine) -> None:
        self._cache = cache
        self._engine = engine

    def shown(self, service: ServiceKey) -> Mapping[str, frozenset[IPAddress]]:
        """What the status of a Service shows, by group."""
        entry = self._cache.get(service)
        return shown_by_group(entry.service) if entry is not None else {}

    def holds(self, service: ServiceKey, group: str) -> frozenset[IPAddress]:
        """Everything that a Service has of a group, or is about to have."""
        claim = self._engine.claim(service)
        claimed = claim.addresses if claim is not None and group in claim.groups else ()
        return self.shown(service).get(group, frozenset()).union(claimed, self._engine.granted(service, group))

    def is_in_use(self, address: IPAddress) -> bool:
        """Whether any Service has an address, or is about to have it."""
        return self._engine.is_spoken_for(address) or any(address in entry.service.ingress for entry in self._cache)

    def holders(self, group: str) -> Mapping[ServiceKey, frozenset[IPAddress]]:
        """What statuses show to come from a group, by Service."""
        shown = {entry.service.key: shown_by_group(entry.service).get(group) for entry in self._cache}
        return {service: addresses for service, addresses in shown.items() if addresses}
