"""On which nodes the endpoints of Services are, as EndpointSlices say. No I/O."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from purelb import names
from purelb.services import ServiceKey, ServiceView

Json: TypeAlias = Mapping[str, Any]

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service that it belongs to."""
SERVICE_ENDPOINTS: Final = "service-endpoints"
"""The only value of ``purelb.io/node-affinity``; others are ignored, as in PureLB v0.17."""


class EndpointNodes(NamedTuple):
    """The nodes that an EndpointSlice names."""

    ready: frozenset[str]
    """With a ready endpoint that doesn't terminate."""
    draining: frozenset[str]
    """With one that terminates, but still serves (KEP-1669)."""


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """What our programs read of an EndpointSlice."""

    name: str
    service: ServiceKey
    nodes: EndpointNodes


class Endpoints:
    """All EndpointSlices that there are. Every change returns the Services whose endpoints may be elsewhere."""

    def __init__(self) -> None:
        self._slices: dict[ServiceKey, dict[str, EndpointNodes]] = {}
        self._owners: dict[tuple[str, str], ServiceKey] = {}

    def take_all(self, slices: Iterable[EndpointSlice]) -> set[ServiceKey]:
        """All that there are."""
        before, self._slices = self._slices, {}
        self._owners.clear()
        for one in slices:
            self._owners[one.service.namespace, one.name] = one.service
            self._slices.setdefault(one.service, {})[one.name] = one.nodes
        return {key for key in before.keys() | self._slices.keys() if before.get(key) != self._slices.get(key)}

    def take(self, one: EndpointSlice) -> set[ServiceKey]:
        """One as it is now."""
        moved = self.drop(one.service.namespace, one.name)
        self._owners[one.service.namespace, one.name] = one.service
        self._slices.setdefault(one.service, {})[one.name] = one.nodes
        return {one.service, *moved}

    def drop(self, namespace: str, name: str) -> set[ServiceKey]:
        """One is gone, or belongs to no Service any more."""
        owner = self._owners.pop((namespace, name), None)
        if owner is None:
            return set()
        del self._slices[owner][name]
        if not self._slices[owner]:
            del self._slices[owner]
        return {owner}

    def of(self, key: ServiceKey) -> frozenset[str]:
        """The nodes with a ready endpoint of a Service.

        While there is none anywhere, those where one that terminates still serves: the address stays until another
        node can have it, as kube-proxy goes on to serve it there (KEP-1669).
        """
        slices = self._slices.get(key, {}).values()
        ready = frozenset[str]().union(*(one.ready for one in slices))
        return ready or frozenset[str]().union(*(one.draining for one in slices))


def has_affinity(users: list[ServiceView]) -> bool:
    """Whether the owner of an address should be a node with an endpoint; not of a shared one (PureLB v0.17)."""
    return len(users) == 1 and users[0].annotations.get(names.NODE_AFFINITY) == SERVICE_ENDPOINTS


def endpoint_slice(body: Json) -> EndpointSlice | None:
    """An EndpointSlice as our programs read it; None if it belongs to no Service."""
    metadata = body["metadata"]
    service = (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL)
    if not service:
        return None
    return EndpointSlice(metadata["name"], ServiceKey(metadata["namespace"], service), endpoint_nodes(body))


def endpoint_nodes(body: Json) -> EndpointNodes:
    """The nodes of an EndpointSlice, by the state of their endpoints."""
    ready, draining = set(), set()
    for endpoint in body.get("endpoints") or ():
        node, conditions = endpoint.get("nodeName"), endpoint.get("conditions") or {}
        if not node:
            continue
        node = sys.intern(node)  # a cluster has few, and endpoints by the thousand
        if conditions.get("terminating"):
            if conditions.get("serving"):
                draining.add(node)
        elif conditions.get("ready") is not False:
            ready.add(node)
    return EndpointNodes(frozenset(ready), frozenset(draining))
