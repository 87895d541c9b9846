"""Which objects are read for the cluster's own addresses, and what was last seen of each.

It must not know what they mean (clusteraddresses.py does) nor what follows from it (the engine does).
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from purelb.clusteraddresses import (
    cluster_ips,
    ends_of_aggregates,
    ends_of_subnets,
    ignored_networks,
    node_addresses,
    server_addresses,
    service_addresses,
)
from purelb.follow import Source
from purelb.forbidden import Forbidden
from purelb.kube import core_path, group_path, services_path
from purelb.ordering import Changed, Deleted, News, ObjectKey, changes
from purelb.servicegroups import ServiceGroup

log = logging.getLogger(__name__)


class Part(enum.Enum):
    """What is read of the cluster for its addresses."""

    NODES = enum.auto()
    API_SERVER = enum.auto()
    API_SERVICE = enum.auto()
    RESOLVER = enum.auto()
    RANGES = enum.auto()


SOURCES: Final[Mapping[Part, Source]] = {
    Part.NODES: Source("Nodes", core_path("nodes")),
    Part.API_SERVER: Source(
        "EndpointSlice of the API server",
        group_path("discovery.k8s.io/v1", "endpointslices", "default"),
        {"fieldSelector": "metadata.name=kubernetes"},
    ),
    Part.API_SERVICE: Source(
        "Service of the API server", services_path("default"), {"fieldSelector": "metadata.name=kubernetes"}
    ),
    Part.RESOLVER: Source(
        "Services of the resolver", services_path("kube-system"), {"labelSelector": "k8s-app=kube-dns"}
    ),
    Part.RANGES: Source("ServiceCIDRs", group_path("networking.k8s.io/v1", "servicecidrs"), may_lack=True),
}
"""Where the API has them; servers before 1.33 have no ServiceCIDRs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of one object."""

    forbidden: tuple[Forbidden, ...]
    ignored: tuple[str, ...] = ()
    """What it says and is not believed: a sentence for each."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of a Node: by which placement goes."""


class ClusterObjects:
    """What forbids addresses, as last seen, and the addresses that an operator named (``told``)."""

    def __init__(self, told: Iterable[Forbidden] = ()) -> None:
        self._told = tuple(told)
        self._seen: dict[Part, dict[ObjectKey, Reading]] = {part: {} for part in Part}
        self.is_stale = False
        """Whether something was seen since ``forbidden`` was asked."""

    def take(self, part: Part, news: News[Reading]) -> None:
        """News of objects, each as what is read of it; a list replaces all that was known of its part."""
        seen = self._seen[part]
        for change in changes(news, seen):
            match change:
                case Changed(key, reading) if seen.get(key) != reading:
                    before, seen[key] = seen.get(key), reading
                    self.is_stale = self.is_stale or before is None or before.forbidden != reading.forbidden
                    for sentence in reading.ignored:
                        if before is None or sentence not in before.ignored:
                            log.warning("ignored", extra={"reason": sentence})
                case Deleted(key) if key in seen:
                    del seen[key]
                    self.is_stale = True

    def forbidden(self, groups: Iterable[ServiceGroup]) -> list[Forbidden]:
        """What no Service may be given, in the light of the groups that are served."""
        self.is_stale = False
        seen = [entry for objects in self._seen.values() for reading in objects.values() for entry in reading.forbidden]
        groups = tuple(groups)
        return [*self._told, *seen, *ends_of_subnets(groups, seen), *ends_of_aggregates(groups, seen)]


def parser(part: Part) -> Callable[[Mapping[str, Any]], Reading]:
    """What reads an object of a part."""
    match part:
        case Part.NODES:
            return lambda node: Reading(
                tuple(node_addresses(node)), tuple(ignored_networks(node)), node["metadata"].get("labels") or {}
            )
        case Part.API_SERVER:
            return lambda piece: Reading(tuple(server_addresses(piece)))
        case Part.API_SERVICE | Part.RESOLVER:
            return lambda service: Reading(tuple(service_addresses(service)))
        case Part.RANGES:
            return lambda cidrs: Reading(tuple(cluster_ips(cidrs)))
