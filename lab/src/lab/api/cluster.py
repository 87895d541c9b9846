"""What the lab's controllers share: one cache per kind they watch, the paths of objects, and writes.

Owns the watches on the API server. Must not decide anything.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from lab.api.kubeclient import ApiError, Cache, KubeClient, Object, key_of

_GROUPS = {
    "nodes": "/api/v1",
    "pods": "/api/v1",
    "services": "/api/v1",
    "namespaces": "/api/v1",
    "serviceaccounts": "/api/v1",
    "configmaps": "/api/v1",
    "secrets": "/api/v1",
    "events": "/api/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "daemonsets": "/apis/apps/v1",
    "controllerrevisions": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
}
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


def path(plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """`path("pods", "x", "y", "status")` is /api/v1/namespaces/x/pods/y/status."""
    scope = f"namespaces/{namespace}/{plural}" if namespace else plural
    return "/".join(part for part in (_GROUPS[plural], scope, name, subresource) if part)


def now() -> str:
    """The time as API objects carry it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def controller_of(obj: Object) -> Object | None:
    """The ownerReference of the object's controller."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return None


def is_daemon_pod(pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["kind"] == "DaemonSet" for owner in owners)


def owner_reference(owner: Object, kind: str, api: str = "apps/v1") -> Object:
    metadata = owner["metadata"]
    return {
        "apiVersion": api,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_terminating(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def condition(obj: Object, kind: str) -> Object | None:
    """The status condition of that type."""
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one["type"] == kind:
            return dict(one)
    return None


def is_ready(obj: Object) -> bool:
    """Whether a Pod or a Node is Ready."""
    ready = condition(obj, "Ready")
    return ready is not None and ready["status"] == "True"


class Cluster:
    """The caches, and writes that show in them at once."""

    def __init__(self, client: KubeClient) -> None:
        self.client = client
        self._listeners: dict[str, list[Callable[[Object], None]]] = {plural: [] for plural in WATCHED}
        self.caches = {
            plural: Cache(client, path(plural), lambda obj, plural=plural: self._tell(plural, obj))  # type: ignore[misc]
            for plural in WATCHED
        }

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
        made = await self.client.create(path(plural, body["metadata"].get("namespace", "")), body)
        return self._keep(plural, made)

    async def patch(self, plural: str, obj: Object, body: Object, subresource: str = "") -> Object:
        """Merge patch of an object, or of its status."""
        changed = await self.client.patch(path(plural, *key_of(obj), subresource), body)
        return self._keep(plural, changed)

    async def patch_status(self, plural: str, obj: Object, status: Object) -> None:
        """Write these status fields if one of them differs from what the object has; an absent one is zero."""
        current = obj.get("status") or {}
        if any((current.get(key) or 0) != (value or 0) for key, value in status.items()):
            await self.patch(plural, obj, {"status": status}, "status")

    async def delete(self, plural: str, obj: Object, grace: int | None = None) -> None:
        """Delete this very object; already gone is fine."""
        uid = obj["metadata"]["uid"]
        try:
            answer = await self.client.delete(path(plural, *key_of(obj)), uid=uid, grace=grace)
        except ApiError as failure:
            if not failure.is_gone:
                raise
            return
        if plural not in self.caches:
            return
        # A graceful deletion answers with the object as it now is, a finished one with a Status or its last form.
        if answer.get("kind") != "Status" and is_terminating(answer) and grace != 0:
            self.caches[plural].apply(answer)
        elif grace == 0:
            self.caches[plural].forget(obj)

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
        try:
            await self.client.create(path("events", namespace), body)
        except ApiError as failure:
            if failure.code not in (403, 404):
                raise

    def _keep(self, plural: str, obj: Object) -> Object:
        if plural in self.caches:
            self.caches[plural].apply(obj)
        return obj
