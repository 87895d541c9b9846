"""What the lab's controllers share: one cache per kind they watch, and writes that show in it.

Owns the connection to the API server, by the admin kubeconfig. Must not decide anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from functools import partial

from lab.api.cache import Cache
from lab.api.objects import Object, now, path
from purelb.errors import ConflictError, ForbiddenError, NotFoundError
from purelb.kube import Kube
from purelb.ordering import key_of

_KINDS = {"Deployment": "deployments", "ReplicaSet": "replicasets", "DaemonSet": "daemonsets"}
WATCHED = (
    "nodes",
    "pods",
    "services",
    "namespaces",
    "deployments",
    "replicasets",
    "daemonsets",
    "endpointslices",
    "poddisruptionbudgets",
)


class Cluster:
    """The caches, and writes that show in them at once."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self._listeners: dict[str, list[Callable[[Object], None]]] = {plural: [] for plural in WATCHED}
        self.caches = {plural: Cache(kube, plural, path(plural), partial(self._tell, plural)) for plural in WATCHED}

    def on_change(self, plural: str, listener: Callable[[Object], None]) -> None:
        """Call on each change of an object of that kind, its removal included."""
        self._listeners[plural].append(listener)

    def _tell(self, plural: str, obj: Object) -> None:
        for listener in self._listeners[plural]:
            listener(obj)

    async def run(self) -> None:
        """Keep the caches true, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self.caches.values():
                tasks.create_task(cache.run())

    async def wait_synced(self) -> None:
        for cache in self.caches.values():
            await cache.synced.wait()

    def owner_exists(self, reference: Object, namespace: str) -> bool:
        """Whether that owner is still there; owners of kinds that we don't watch count as there."""
        plural = _KINDS.get(reference["kind"])
        if plural is None:
            return True
        owner = self.caches[plural].get(namespace, reference["name"])
        return owner is not None and owner["metadata"]["uid"] == reference["uid"]

    # --- writes ---

    async def create(self, plural: str, body: Object) -> Object:
        made = await self.kube.create(path(plural, body["metadata"].get("namespace", "")), body)
        return self._keep(plural, made)

    async def patch(self, plural: str, obj: Object, body: Object, subresource: str = "") -> Object:
        """Merge patch of an object, or of its status."""
        changed = await self.kube.patch(path(plural, *key_of(obj), subresource), body)
        return self._keep(plural, changed)

    async def patch_status(self, plural: str, obj: Object, status: Object) -> None:
        """Write these status fields if one of them differs from what the object has; an absent one is zero."""
        current = obj.get("status") or {}
        if any((current.get(key) or 0) != (value or 0) for key, value in status.items()):
            await self.patch(plural, obj, {"status": status}, "status")

    async def delete(self, plural: str, obj: Object, grace: int | None = None) -> None:
        """Delete this very object; already gone is fine."""
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": obj["metadata"]["uid"]},
        }
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            answer = await self.kube.delete(path(plural, *key_of(obj)), options)
        except (NotFoundError, ConflictError):
            return
        if answer["kind"] != "Status":
            self._keep(plural, answer)

    async def record(self, obj: Object, kind: str, api: str, reason: str, message: str, source: str) -> None:
        """A Warning event on an object; failing to write it is no failure."""
        namespace, name = key_of(obj)
        namespace = namespace or "default"
        stamp = now()
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "involvedObject": {
                "kind": kind,
                "apiVersion": api,
                "name": name,
                "namespace": obj["metadata"].get("namespace", ""),
                "uid": obj["metadata"]["uid"],
            },
            "reason": reason,
            "message": message,
            "type": "Warning",
            "count": 1,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "source": {"component": source},
        }
        with contextlib.suppress(ForbiddenError, NotFoundError):
            await self.kube.create(path("events", namespace), body)

    def _keep(self, plural: str, obj: Object) -> Object:
        if plural in self.caches:
            self.caches[plural].apply(obj)
        return obj
