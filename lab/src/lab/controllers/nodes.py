"""Node objects: registers the lab's nodes, beats their hearts, and acts when a heart stops.

Plays the node part of kubelet (registration, Lease, Ready) and kube-controller-manager's node lifecycle and
taint eviction controllers. Which node is reachable it is told; must not touch the network or processes.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from lab.api.cluster import Cluster
from lab.api.objects import Object, condition, is_ready, is_terminating, now, path
from lab.controllers.scheduling import NOT_READY, UNREACHABLE, UNSCHEDULABLE, eviction_delay, node_taints
from lab.wire.topology import CONTROL_PLANE_LABEL, EXCLUDE_LABEL, Host, Role, Topology
from purelb.errors import KubeError

log = logging.getLogger("lab.nodes")

KUBELET_VERSION = "v1.36.0"
# Kubelet's default; less where the lab's patience is so short that it would miss beats.
HEARTBEAT_SECONDS = 10.0
_LEASE_SECONDS = 40
_TICK = 0.5
_MACHINE = {"cpu": "2", "memory": "4Gi", "pods": "250"}


@dataclass(slots=True)
class _Heart:
    reachable: bool = True
    last_beat: float = 0.0  # monotonic
    next_beat: float = 0.0


class Nodes:
    """All nodes of the lab as the API shows them; `run` works for ever.

    `grace` is the time in seconds without a heartbeat after which a node is not ready (kube-controller-manager's
    --node-monitor-grace-period).
    """

    def __init__(self, cluster: Cluster, topology: Topology, grace: float, kubelet: tuple[str, int]) -> None:
        """`kubelet` is the name and port at which an API server asks for commands, and a real one for logs."""
        self._cluster = cluster
        self._kubelet = kubelet
        self._nodes = {node.name: node for node in topology.nodes}
        self._hearts = {name: _Heart() for name in self._nodes}
        self._grace = grace
        self._interval = min(HEARTBEAT_SECONDS, grace / 4)
        self._evictions: dict[str, float] = {}  # pod uid -> monotonic time at which it has to go

    def set_reachable(self, node: str, reachable: bool) -> None:
        """Tell that the node's kubelet can or can't reach the API server."""
        heart = self._hearts[node]
        heart.reachable = reachable
        heart.next_beat = 0.0

    async def register(self) -> None:
        """Make the Node objects, before anything else runs."""
        await asyncio.gather(*(self._register(node) for node in self._nodes.values()))

    async def _register(self, node: Host) -> None:
        body = node_object(node)
        try:
            made = await self._cluster.create("nodes", body)
        except KubeError as failure:
            if failure.status != 409:
                raise
            made = await self._cluster.kube.get(path("nodes", name=node.name))
        status = body["status"]
        name, port = self._kubelet
        status["addresses"].append({"type": "InternalDNS", "address": name})
        status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": port}}
        # From 1.36 on `kubectl exec` comes by WebSocket then; an older API server forgets the field.
        status["declaredFeatures"] = ["ExtendWebSocketsToKubelet"]
        await self._cluster.patch("nodes", made, {"status": status}, "status")
        await self._beat(node.name)

    async def run(self) -> None:
        """Beat, watch over beats, evict; what fails is tried again at the next tick."""
        await self._cluster.wait_synced()
        loop = asyncio.get_running_loop()
        for heart in self._hearts.values():
            heart.last_beat = loop.time()
            heart.next_beat = loop.time() + self._interval
        while True:
            for name in self._nodes:
                try:
                    await self._attend(name, loop.time())
                except KubeError as failure:
                    log.info("node %s: %s", name, failure)
            await self._evict(loop.time())
            await asyncio.sleep(_TICK)

    async def _attend(self, name: str, time: float) -> None:
        heart = self._hearts[name]
        node = self._cluster.caches["nodes"].get("", name)
        if node is None:
            # `kubectl delete node`: kubelet registers again at its next sync.
            if heart.reachable:
                await self._register(self._nodes[name])
            return
        if heart.reachable and time >= heart.next_beat:
            await self._beat(name)
            heart.last_beat, heart.next_beat = time, time + self._interval
            if not is_ready(node):
                await self._set_ready(node, True)
        if time - heart.last_beat > self._grace and (condition(node, "Ready") or {}).get("status") != "Unknown":
            await self._set_ready(node, False)
        await self._taint(node)

    async def _beat(self, name: str) -> None:
        stamp = now().replace("Z", ".000000Z")
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": stamp}
        where = path("leases", "kube-node-lease", name)
        try:
            await self._cluster.kube.patch(where, {"spec": spec})
        except KubeError as failure:
            if failure.status != 404:
                raise
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": spec,
            }
            try:
                await self._cluster.kube.create(path("leases", "kube-node-lease"), body)
            except KubeError as refusal:
                if refusal.status != 404:
                    raise
                namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-node-lease"}}
                await self._cluster.create("namespaces", namespace)

    async def _set_ready(self, node: Object, ready: bool) -> None:
        name = node["metadata"]["name"]
        log.info("node %s is %s", name, "ready" if ready else "not ready")
        conditions = [_ready_condition("True" if ready else "Unknown"), _no_pressure(ready)]
        await self._cluster.patch("nodes", node, {"status": {"conditions": conditions}}, "status")
        if not ready:
            # The node can't say so itself: its pods take no traffic any more.
            for pod in self._pods_on(name):
                stale = [one for one in pod["status"].get("conditions") or () if one["type"] != "Ready"]
                lost = {"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": now()}
                await self._cluster.patch("pods", pod, {"status": {"conditions": [*stale, lost]}}, "status")

    async def _taint(self, node: Object) -> None:
        """Keep the taints that say `not-ready`, `unreachable` and `unschedulable` as the node is."""
        spec = node.get("spec") or {}
        taints = spec.get("taints") or []
        wanted = [taint for taint in taints if taint["key"] not in (NOT_READY, UNREACHABLE, UNSCHEDULABLE)]
        if (condition(node, "Ready") or {}).get("status") == "Unknown":
            wanted += [{"key": UNREACHABLE, "effect": effect} for effect in ("NoSchedule", "NoExecute")]
        if spec.get("unschedulable"):
            wanted.append({"key": UNSCHEDULABLE, "effect": "NoSchedule"})
        if _taint_keys(wanted) != _taint_keys(taints):
            await self._cluster.patch("nodes", node, {"spec": {"taints": wanted or None}})

    # --- taint eviction ---

    def _pods_on(self, node: str) -> list[Object]:
        return [
            pod
            for pod in self._cluster.caches["pods"]
            if pod["spec"].get("nodeName") == node and not is_terminating(pod)
        ]

    async def _evict(self, time: float) -> None:
        due: dict[str, float] = {}
        for node in self._cluster.caches["nodes"]:
            taints = [taint for taint in node_taints(node) if taint["effect"] == "NoExecute"]
            if not taints:
                continue
            for pod in self._pods_on(node["metadata"]["name"]):
                delay = eviction_delay(taints, pod["spec"].get("tolerations") or ())
                if delay is None:
                    continue
                uid = pod["metadata"]["uid"]
                due[uid] = self._evictions.get(uid, time + delay)
                if due[uid] <= time:
                    await self._evict_pod(pod)
        self._evictions = due

    async def _evict_pod(self, pod: Object) -> None:
        try:
            await self._cluster.delete("pods", pod)
        except KubeError as failure:
            log.info("eviction of %s: %s", pod["metadata"]["name"], failure)


def _taint_keys(taints: list[Object]) -> set[tuple[str, str]]:
    return {(taint["key"], taint["effect"]) for taint in taints}


def _ready_condition(status: str) -> Object:
    reason = "KubeletReady" if status == "True" else "NodeStatusUnknown"
    message = "kubelet is posting ready status" if status == "True" else "Kubelet stopped posting node status."
    return _node_condition("Ready", status, reason, message)


def _no_pressure(known: bool) -> Object:
    return _node_condition("MemoryPressure", "False" if known else "Unknown", "KubeletHasSufficientMemory", "")


def _node_condition(kind: str, status: str, reason: str, message: str) -> Object:
    stamp = now()
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": stamp,
        "lastTransitionTime": stamp,
    }


def node_object(node: Host) -> Object:
    """The Node as its kubelet registers it, and with a master's labels and taint as kubeadm adds them."""
    labels = {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
    }
    spec: Object = {"podCIDR": str(node.pods[0]), "podCIDRs": [str(net) for net in node.pods]}
    if node.role is Role.MASTER:
        labels[CONTROL_PLANE_LABEL] = ""
    if node.is_excluded:
        labels[EXCLUDE_LABEL] = ""
    if node.is_tainted:
        spec["taints"] = [{"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "spec": spec,
        "status": {
            "addresses": [
                *({"type": "InternalIP", "address": str(ip)} for ip in node.ips),
                {"type": "Hostname", "address": node.name},
            ],
            "capacity": _MACHINE,
            "allocatable": _MACHINE,
            "conditions": [_ready_condition("True"), _no_pressure(True)],
            "nodeInfo": {
                "kubeletVersion": KUBELET_VERSION,
                "kubeProxyVersion": KUBELET_VERSION,
                "operatingSystem": "linux",
                "architecture": "amd64",
                "osImage": "lab",
                "containerRuntimeVersion": "lab://1",
                "kernelVersion": "",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
        },
    }
