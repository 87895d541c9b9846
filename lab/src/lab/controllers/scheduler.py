"""Gives each pod without a node one, and each namespace what every namespace has.

Plays kube-scheduler (the choice is `scheduling`'s) and two small controllers of kube-controller-manager: the
ServiceAccount `default` and the ConfigMap `kube-root-ca.crt` of each namespace. Must not start anything.
"""

from __future__ import annotations

import logging
from collections import Counter

from lab.api.authority import Authority
from lab.api.cluster import Cluster
from lab.api.objects import Object, condition, is_daemon_pod, is_terminating, now, path
from lab.controllers.reconciler import Reconciler
from lab.controllers.scheduling import choose_node
from purelb.errors import KubeError
from purelb.ordering import key_of

log = logging.getLogger("lab.scheduler")


class Scheduler:
    """Binds pods; `run` works for ever."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._reconciler: Reconciler[tuple[str, str]] = Reconciler("pod", self._schedule)
        cluster.on_change("pods", self._look_at)
        cluster.on_change("nodes", lambda _: self._look_at_all())

    async def run(self) -> None:
        await self._cluster.wait_synced()
        await self._reconciler.run()

    def _look_at(self, pod: Object) -> None:
        if not pod["spec"].get("nodeName") and not is_terminating(pod):
            self._reconciler.add(key_of(pod))

    def _look_at_all(self) -> None:
        for pod in self._cluster.caches["pods"]:
            self._look_at(pod)

    async def _schedule(self, key: tuple[str, str]) -> None:
        pod = self._cluster.caches["pods"].get(*key)
        if pod is None or pod["spec"].get("nodeName") or is_terminating(pod):
            return
        nodes = sorted(self._cluster.caches["nodes"], key=lambda node: str(node["metadata"]["name"]))
        used = Counter(
            one["spec"].get("nodeName", "") for one in self._cluster.caches["pods"] if not is_daemon_pod(one)
        )
        node = choose_node(pod["spec"], nodes, used)
        if node is None:
            await self._say_unschedulable(pod, len(nodes))
            return
        namespace, name = key
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._cluster.kube.create(path("pods", namespace, name, "binding"), body)
        self._cluster.caches["pods"].apply(await self._cluster.kube.get(path("pods", namespace, name)))

    async def _say_unschedulable(self, pod: Object, nodes: int) -> None:
        known = condition(pod, "PodScheduled")
        if known is not None and known["status"] == "False":
            return
        message = f"0/{nodes} nodes are available: none matches its selector and tolerates its taints."
        scheduled = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": now(),
        }
        await self._cluster.patch("pods", pod, {"status": {"conditions": [scheduled]}}, "status")
        await self._cluster.record(pod, "Pod", "v1", "FailedScheduling", message, "default-scheduler")


class NamespaceDefaults:
    """Fills namespaces as they come; `run` works for ever."""

    def __init__(self, cluster: Cluster, authority: Authority) -> None:
        self._cluster = cluster
        self._authority = authority
        self._reconciler: Reconciler[str] = Reconciler("namespace", self._fill)
        cluster.on_change("namespaces", lambda obj: self._reconciler.add(obj["metadata"]["name"]))

    async def run(self) -> None:
        await self._cluster.wait_synced()
        await self._reconciler.run()

    async def _fill(self, name: str) -> None:
        namespace = self._cluster.caches["namespaces"].get("", name)
        if namespace is None or is_terminating(namespace):
            return
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        trust = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-root-ca.crt", "namespace": name},
            "data": {"ca.crt": self._authority.pem},
        }
        for plural, body in (("serviceaccounts", account), ("configmaps", trust)):
            try:
                await self._cluster.create(plural, body)
            except KubeError as failure:
                if failure.status != 409:
                    raise
