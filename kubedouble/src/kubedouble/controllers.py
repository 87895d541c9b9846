"""What the controller manager does in a cluster, as far as clients rely on it.

Owns garbage collection by ownerReferences, the end of namespaces and CRDs, the default ServiceAccount and
kube-root-ca.crt of each namespace. Follows the store's commits and works on the next turn of the loop, so that nobody
sees it happen inside his own request. Workload controllers are the lab's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from .auth import User
from .callers import Caller
from .cluster import Cluster
from .crds import CLEANUP
from .crds import TABLE as DEFINITIONS
from .deletion import DeleteOptions
from .errors import JsonObject
from .metadata import new_uid, now
from .operations import Operations
from .resources import Resource
from .store import Event, Record

_GARBAGE_COLLECTOR: Final = User("system:serviceaccount:kube-system:generic-garbage-collector", ("system:masters",))


class Controllers:
    def __init__(self, cluster: Cluster, operations: Operations, root_ca: str) -> None:
        self._cluster = cluster
        self._store = cluster.store
        self._operations = operations
        self.root_ca = root_ca
        """What new namespaces are told; empty: nothing."""
        self._changes: deque[tuple[str, Event]] = deque()
        self._wake = asyncio.Event()
        self._dependents: dict[str, dict[tuple[str, tuple[str, str]], JsonObject]] = {}
        """Owner uid -> (table, key) -> owner reference."""
        self._caller = Caller(_GARBAGE_COLLECTOR, "kube-controller-manager")
        cluster.store.on_commit.append(self._follow)

    def _follow(self, table: str, event: Event) -> None:
        for record, present in ((event.before, False), (event.after, event.type != "DELETED")):
            for owner in (record.obj["metadata"].get("ownerReferences") or []) if record else []:
                dependents = self._dependents.setdefault(owner["uid"], {})
                if present:
                    dependents[table, event.after.key] = owner
                else:
                    dependents.pop((table, event.after.key), None)
                    if not dependents:
                        del self._dependents[owner["uid"]]
        interesting = (
            event.type == "DELETED"
            or bool(event.after.obj["metadata"].get("deletionTimestamp"))
            or table == "/namespaces"
            or bool(event.after.obj["metadata"].get("ownerReferences") and event.type == "ADDED")
        )
        if interesting:
            self._changes.append((table, event))
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._changes:
                self._settle(*self._changes.popleft())
                await asyncio.sleep(0)

    def settle_all(self) -> None:
        """Everything that is waiting, at once (start-up)."""
        while self._changes:
            self._settle(*self._changes.popleft())

    def _settle(self, table: str, event: Event) -> None:
        meta = event.after.obj["metadata"]
        if event.type == "DELETED":
            self._collect(meta["uid"])
            self._look_again_at_namespace(event.after.key[0])
            self._look_again_at_definition(table)
            self._look_again_at_owners(meta)
            return
        record = self._store.get(table, *event.after.key)
        if record is None:
            return
        meta = record.obj["metadata"]
        resource = self._cluster.registry.by_key(table)
        if resource is None:
            return
        if meta.get("deletionTimestamp"):
            self._finish_deletion(resource, record)
        elif table == "/namespaces":
            self._furnish(record.key[1])
        elif meta.get("ownerReferences") and not self._has_live_owner(meta):
            self._operations.delete(resource, *record.key, DeleteOptions(uid=meta["uid"]), self._caller)

    # Garbage

    def _collect(self, uid: str) -> None:
        """An owner is gone: dependents without another living owner follow it."""
        for table, key in list(self._dependents.get(uid, ())):
            resource, record = self._cluster.registry.by_key(table), self._store.get(table, *key)
            if resource is None or record is None:
                continue
            meta = record.obj["metadata"]
            if self._has_live_owner(meta):
                kept = [owner for owner in meta["ownerReferences"] if owner["uid"] != uid]
                new = {**record.obj, "metadata": {**meta, "ownerReferences": kept}}
                self._store.put(table, *key, new)
            elif not meta.get("deletionTimestamp"):
                options = DeleteOptions(propagation="Background", uid=meta["uid"])
                self._operations.delete(resource, *key, options, self._caller)

    def _has_live_owner(self, meta: JsonObject) -> bool:
        namespace = meta.get("namespace", "")
        for owner in meta.get("ownerReferences") or []:
            group, _, version = owner["apiVersion"].rpartition("/")
            resource = self._cluster.registry.by_kind(group, version, owner["kind"])
            if resource is None:
                return True  # unknown kinds are left alone
            record = self._store.get(resource.key, namespace if resource.namespaced else "", owner["name"])
            if record is not None and record.obj["metadata"]["uid"] == owner["uid"]:
                return True
        return False

    def _finish_deletion(self, resource: Resource, record: Record) -> None:
        meta = record.obj["metadata"]
        finalizers = meta.get("finalizers") or []
        dependents = self._dependents.get(meta["uid"], {})
        if "orphan" in finalizers:
            for table, key in list(dependents):
                child = self._store.get(table, *key)
                if child is None:
                    continue
                kept = [owner for owner in child.obj["metadata"]["ownerReferences"] if owner["uid"] != meta["uid"]]
                child_meta = {**child.obj["metadata"], "ownerReferences": kept}
                if not kept:
                    del child_meta["ownerReferences"]
                self._store.put(table, *key, {**child.obj, "metadata": child_meta})
            self._operations.finish(resource, record, "orphan")
        elif "foregroundDeletion" in finalizers:
            self._foreground(resource, record)
        elif resource.key == "/namespaces":
            self._empty_namespace(record)
        elif resource.key == DEFINITIONS and CLEANUP in finalizers:
            self._empty_definition(resource, record)

    def _foreground(self, resource: Resource, record: Record) -> None:
        uid = record.obj["metadata"]["uid"]
        for table, key in list(self._dependents.get(uid, ())):
            child, child_resource = self._store.get(table, *key), self._cluster.registry.by_key(table)
            if child is None or child_resource is None or child.obj["metadata"].get("deletionTimestamp"):
                continue
            options = DeleteOptions(propagation="Foreground", uid=child.obj["metadata"]["uid"])
            self._operations.delete(child_resource, *key, options, self._caller)
        blocking = [owner for owner in self._dependents.get(uid, {}).values() if owner.get("blockOwnerDeletion")]
        if not blocking:
            self._operations.finish(resource, record, "foregroundDeletion")

    def _look_again_at_owners(self, meta: JsonObject) -> None:
        for owner in meta.get("ownerReferences") or []:
            group, _, version = owner["apiVersion"].rpartition("/")
            resource = self._cluster.registry.by_kind(group, version, owner["kind"])
            if resource is None:
                continue
            namespace = meta.get("namespace", "") if resource.namespaced else ""
            record = self._store.get(resource.key, namespace, owner["name"])
            if record is not None and record.obj["metadata"].get("deletionTimestamp"):
                self._finish_deletion(resource, record)

    # Namespaces

    def _furnish(self, namespace: str) -> None:
        """What every living namespace has."""
        if self._store.get("/serviceaccounts", namespace, "default") is None:
            self._put("ServiceAccount", "/serviceaccounts", namespace, "default", {})
        if self.root_ca and self._store.get("/configmaps", namespace, "kube-root-ca.crt") is None:
            text = (
                "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints"
                " such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across"
                " distributions of Kubernetes clusters."
            )
            content = {"data": {"ca.crt": self.root_ca}}
            annotations = {"kubernetes.io/description": text}
            self._put("ConfigMap", "/configmaps", namespace, "kube-root-ca.crt", content, annotations)

    def _put(
        self,
        kind: str,
        table: str,
        namespace: str,
        name: str,
        content: JsonObject,
        annotations: dict[str, str] | None = None,
    ) -> None:
        meta: JsonObject = {
            "name": name,
            "namespace": namespace,
            "uid": new_uid(),
            "creationTimestamp": now(),
        }
        if annotations:
            meta["annotations"] = annotations
        self._store.put(table, namespace, name, {"kind": kind, "apiVersion": "v1", "metadata": meta, **content})

    def _contents(self, namespace: str) -> list[tuple[Resource, Record]]:
        found: list[tuple[Resource, Record]] = []
        for table in self._store.tables():
            resource = self._cluster.registry.by_key(table)
            if resource is not None and resource.namespaced:
                found += [(resource, record) for record in self._store.records(table, namespace)]
        return found

    def _empty_namespace(self, record: Record) -> None:
        namespace = record.key[1]
        for resource, inner in self._contents(namespace):
            if inner.obj["metadata"].get("deletionTimestamp"):
                continue
            self._operations.delete(resource, *inner.key, DeleteOptions(propagation="Background"), self._caller)
        if self._contents(namespace):
            return
        live = self._store.get("/namespaces", "", namespace)
        if live is None or not live.obj["metadata"].get("deletionTimestamp"):
            return
        kept = [item for item in (live.obj["spec"].get("finalizers") or []) if item != "kubernetes"]
        new = {**live.obj, "metadata": dict(live.obj["metadata"]), "spec": {"finalizers": kept} if kept else {}}
        if not kept and not new["metadata"].get("finalizers"):
            self._store.delete("/namespaces", "", namespace)
        elif live.obj["spec"].get("finalizers") != kept:
            self._store.put("/namespaces", "", namespace, new)

    def _look_again_at_namespace(self, namespace: str) -> None:
        record = self._store.get("/namespaces", "", namespace) if namespace else None
        if record is not None and record.obj["metadata"].get("deletionTimestamp"):
            self._empty_namespace(record)
        # What a living namespace always has comes back.
        elif record is not None:
            self._furnish(namespace)

    # CRDs

    def _empty_definition(self, resource: Resource, record: Record) -> None:
        spec = record.obj["spec"]
        table = f"{spec['group']}/{spec['names']['plural']}"
        instances = self._cluster.registry.by_key(table)
        if instances is not None:
            for inner in self._store.records(table):
                if not inner.obj["metadata"].get("deletionTimestamp"):
                    self._operations.delete(instances, *inner.key, DeleteOptions(), self._caller)
        if not self._store.records(table):
            live = self._store.get(DEFINITIONS, *record.key)
            if live is not None and CLEANUP in (live.obj["metadata"].get("finalizers") or []):
                self._operations.finish(resource, live, CLEANUP)

    def _look_again_at_definition(self, table: str) -> None:
        definition = self._cluster.customs.definitions.get(table)
        if definition is None or not definition["metadata"].get("deletionTimestamp"):
            return
        resource = self._cluster.registry.by_key(DEFINITIONS)
        record = self._store.get(DEFINITIONS, "", definition["metadata"]["name"])
        if resource is not None and record is not None:
            self._empty_definition(resource, record)
