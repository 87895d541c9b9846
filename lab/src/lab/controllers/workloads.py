"""Which workload a change concerns: Deployments, ReplicaSets and DaemonSets, and what their end leaves behind.

Plays the queues of kube-controller-manager's workload controllers and its garbage collector for their pods.
What is done about each is `deployments`' and `daemonsets`'.
"""

from __future__ import annotations

from functools import partial

from lab.api.cluster import Cluster
from lab.api.objects import Object, controller_of, is_terminating
from lab.controllers.daemonsets import DaemonSets
from lab.controllers.deployments import Deployments
from lab.controllers.podsets import PodSets
from lab.controllers.reconciler import Reconciler
from purelb.ordering import key_of

WorkKey = tuple[str, str, str]  # plural, namespace, name


class Workloads:
    """The three controllers; `run` works for ever."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._caches = cluster.caches
        sets = PodSets(cluster)
        self._deployments = Deployments(cluster, sets)
        self._daemonsets = DaemonSets(cluster, sets)
        self._reconciler: Reconciler[WorkKey] = Reconciler("workload", self._reconcile)
        for plural in ("deployments", "replicasets", "daemonsets"):
            cluster.on_change(plural, partial(self._look_at, plural))
        for plural in ("pods", "replicasets", "deployments", "daemonsets"):
            cluster.on_change(plural, self._look_at_relatives)
        cluster.on_change("nodes", self._look_at_daemonsets)

    async def run(self) -> None:
        await self._cluster.wait_synced()
        await self._reconciler.run()

    # --- which objects a change concerns ---

    def _look_at(self, plural: str, obj: Object) -> None:
        self._reconciler.add((plural, *key_of(obj)))

    def _look_at_relatives(self, obj: Object) -> None:
        namespace, _ = key_of(obj)
        owner = controller_of(obj)
        plurals = {"ReplicaSet": "replicasets", "Deployment": "deployments", "DaemonSet": "daemonsets"}
        if owner is not None and owner["kind"] in plurals:
            self._reconciler.add((plurals[owner["kind"]], namespace, owner["name"]))
            if owner["kind"] == "ReplicaSet":
                parent = self._caches["replicasets"].get(namespace, owner["name"])
                above = controller_of(parent) if parent else None
                if above is not None:
                    self._reconciler.add(("deployments", namespace, above["name"]))
            if not self._cluster.owner_exists(owner, namespace):
                plural = "pods" if owner["kind"] != "Deployment" else "replicasets"
                self._reconciler.add((plural, namespace, obj["metadata"]["name"]))
        if "template" in (obj.get("spec") or {}):
            # Its children notice that their owner is gone.
            for plural in ("pods", "replicasets"):
                for child in self._caches[plural]:
                    reference = controller_of(child)
                    if reference is not None and reference["uid"] == obj["metadata"]["uid"]:
                        self._reconciler.add((plural, *key_of(child)))

    def _look_at_daemonsets(self, _: Object) -> None:
        for daemonset in self._caches["daemonsets"]:
            self._reconciler.add(("daemonsets", *key_of(daemonset)))

    async def _reconcile(self, key: WorkKey) -> None:
        plural, namespace, name = key
        obj = self._caches[plural].get(namespace, name)
        if obj is None or is_terminating(obj):
            return
        owner = controller_of(obj)
        if owner is not None and not self._cluster.owner_exists(owner, namespace):
            await self._cluster.delete(plural, obj)
        elif plural == "deployments":
            await self._deployments.reconcile(obj)
        elif plural == "replicasets":
            await self._deployments.reconcile_replicaset(obj)
        elif plural == "daemonsets":
            await self._daemonsets.reconcile(obj)
