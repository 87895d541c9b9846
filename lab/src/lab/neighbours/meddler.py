"""A controller that isn't ours and writes into Services that are: at once, and after each of their changes.

Owns when it writes; what it makes of a Service is `rewrites`'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from lab.api.cluster import Cluster
from lab.api.objects import Object, path
from lab.errors import FaultRefused
from lab.neighbours.rewrites import foreign_ingress, is_load_balancer, node_addresses, without_marks
from purelb.errors import KubeError, NotFoundError
from purelb.kube import MERGE_PATCH
from purelb.ordering import ObjectKey, key_of

log = logging.getLogger("lab.faults")

PAUSE: Final = 1.0
"""Seconds between two looks: a controller's queue has a back-off."""
Write = Callable[[Cluster, Object], Awaitable[None]]


async def write_node_addresses(cluster: Cluster, service: Object) -> None:
    """As ServiceLB of k3s does. Raises KubeError."""
    ingress = foreign_ingress(service, node_addresses(cluster.caches["nodes"]))
    if ingress is not None:
        body = {"status": {"loadBalancer": {"ingress": ingress}}}
        where = path("services", *key_of(service), "status")
        await cluster.kube.patch(where, body, MERGE_PATCH, fieldManager="servicelb")


async def replace_without_marks(cluster: Cluster, service: Object) -> None:
    """As an operator does that knows its own template alone. Raises KubeError."""
    body = without_marks(service)
    if body is not None:
        where = path("services", *key_of(service))
        await cluster.kube.request("PUT", where, body=body, query={"fieldManager": "operator"})


class Meddler:
    """Writes into every LoadBalancer Service, or into one, until cancelled."""

    def __init__(self, cluster: Cluster, write: Write, only: ObjectKey | None) -> None:
        self._cluster = cluster
        self._write = write
        self._only = only
        self._waiting: set[ObjectKey] = set()
        self._changed = asyncio.Event()

    def tell(self, service: Object) -> None:
        """A Service is new, other or gone."""
        key = key_of(service)
        if self._only in (None, key) and is_load_balancer(service):
            self._waiting.add(key)
            self._changed.set()

    async def begin(self) -> int:
        """Write once to all that are there; how many those are. Raises KubeError, FaultRefused."""
        if self._only is not None:
            services = [await self._cluster.kube.get(path("services", *self._only))]
            if not is_load_balancer(services[0]):
                raise FaultRefused(f"{self._only.namespace}/{self._only.name} is no LoadBalancer Service")
        else:
            services = [one for one in self._cluster.caches["services"] if is_load_balancer(one)]
        for service in services:
            await self._rewrite(key_of(service))
        return len(services)

    async def run(self) -> None:
        """Write after each change. What the API server refuses is tried again."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            waiting, self._waiting = self._waiting, set()
            for key in waiting:
                try:
                    await self._rewrite(key)
                except KubeError as failure:
                    log.info("a neighbour's write to %s/%s: %s", *key, failure)
                    self._waiting.add(key)
                    self._changed.set()
            await asyncio.sleep(PAUSE)

    async def _rewrite(self, key: ObjectKey) -> None:
        try:
            await self._write(self._cluster, await self._cluster.kube.get(path("services", *key)))
        except NotFoundError:
            if key == self._only:
                raise
