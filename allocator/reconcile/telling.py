"""What the allocator knows of Services and pools, for whoever debugs it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from allocator.ipam.engine import Engine
from allocator.reconcile.cache import ServiceCache
from purelb.services import ServiceKey


def told_services(
    cache: ServiceCache, engine: Engine, is_busy: Callable[[ServiceKey], bool]
) -> Iterator[Mapping[str, Any]]:
    """Each Service that is a load balancer's or holds something: what it shows, and what it holds."""
    for key in sorted(cache.keys()):
        entry, claim = cache.get(key), engine.claim(key)
        if entry is None or not (entry.service.is_load_balancer or claim is not None):
            continue
        yield {
            "service": str(key),
            "shows": entry.service.ingress,
            "holds": () if claim is None else claim.addresses,
            "groups": () if claim is None else claim.groups,
            "isOurs": None if claim is None else claim.is_ours,
            "version": entry.service.resource_version,
            "isBusy": is_busy(key),
        }


def told_pools(engine: Engine) -> Iterator[Mapping[str, Any]]:
    """How full each group is, by family."""
    for usage in list(engine.usage()):
        yield {"group": usage.group, "family": usage.family, "size": usage.size, "inUse": usage.in_use}
