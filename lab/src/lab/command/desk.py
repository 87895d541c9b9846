"""What a running lab can be asked over its control socket: status, faults, namespaces, waiting, the end.

Owns the meaning of each request; the wire form is `control`'s. Faults combine what the network, the kubelets
and the nodes each know of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from lab.api.cluster import Cluster
from lab.api.objects import Object, is_ready, path
from lab.command.control import Answer
from lab.command.kubectl import run_kubectl
from lab.controllers.nodes import Nodes
from lab.errors import FaultRefused, LabError, StartFailed
from lab.kubelet.kubelets import Kubelet
from lab.kubelet.status import Waiting
from lab.kubeproxy.proxies import Proxies
from lab.settings import FAULTS
from lab.wire.network import Network
from lab.wire.topology import Host, Role


class Desk:
    """Answers requests about one lab."""

    def __init__(
        self,
        network: Network,
        cluster: Cluster,
        kubelet: Kubelet,
        nodes: Nodes,
        proxies: Proxies,
        folder: Path,
        user_namespace: int | None,
        end: asyncio.Event,
    ) -> None:
        self._network = network
        self._cluster = cluster
        self._kubelet = kubelet
        self._nodes = nodes
        self._proxies = proxies
        self._folder = folder
        self._user_namespace = user_namespace
        self._end = end
        self._drained: set[str] = set()
        self._workloads_changed = asyncio.Event()
        for plural in ("deployments", "daemonsets"):
            cluster.on_change(plural, lambda _: self._workloads_changed.set())

    async def handle(self, op: str, arguments: dict[str, Any]) -> Answer:
        """Answer one request. Raises LabError or KubeError with the sentence for the operator."""
        match op:
            case "status":
                return Answer(self._status())
            case "open":
                host = self._network.topology.find(arguments["host"])
                fds: tuple[int, ...] = (self._network.netns(host),)
                if self._user_namespace is not None:
                    fds = (*fds, self._user_namespace)
                return Answer({"host": host.name}, fds)
            case "name":
                return Answer({"host": self._network.topology.find(arguments["host"]).name})
            case "fault":
                return await self._fault(self._node(arguments["node"]), arguments["kind"])
            case "heal":
                return await self._heal(self._node(arguments["node"]))
            case "wait":
                await self._wait_complete(arguments["namespace"], arguments["timeout"])
                return Answer()
            case "down":
                self._end.set()
                return Answer({"pid": os.getpid()})
        raise LabError(f"the lab knows no request {op!r}")

    def _node(self, text: str) -> Host:
        host = self._network.topology.find(text)
        if not host.is_node:
            raise FaultRefused(f"{host.name} is no node: faults befall nodes")
        return host

    # --- faults ---

    async def _fault(self, node: Host, kind: str) -> Answer:
        match kind:
            case "power":
                await asyncio.to_thread(self._network.cut, node)
                self._set_reachable(node, False)
                return Answer({"done": f"{node.name}: the cable is out"})
            case "partition":
                await asyncio.to_thread(self._network.partition, node)
                return Answer({"done": f"{node.name}: no frame passes between it and the other nodes"})
            case "agent-kill" | "agent-stop":
                number = signal.SIGKILL if kind == "agent-kill" else signal.SIGTERM
                count = self._kubelet.hold_agents(node.name, number)
                if not count:
                    raise FaultRefused(f"no agent runs on {node.name}")
                return Answer({"done": f"{node.name}: {number.name} to {count} program(s), held until `heal`"})
            case "drain":
                await self._kubectl(
                    "drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s"
                )
                self._drained.add(node.name)
                return Answer({"done": f"{node.name}: cordoned and drained"})
            case "proxy-late" | "proxy-frozen" | "proxy-dead":
                return Answer({"done": f"{node.name}: {self._proxies.fail(node.name, kind)}"})
        raise FaultRefused(f"no fault {kind!r}; there are: {', '.join(FAULTS)}")

    async def _heal(self, node: Host) -> Answer:
        healed = self._faults(node)
        if self._network.is_cut(node):
            await asyncio.to_thread(self._network.plug, node)
            self._set_reachable(node, True)
        await asyncio.to_thread(self._network.rejoin, node)
        self._kubelet.release_agents(node.name)
        self._proxies.heal(node.name)
        if node.name in self._drained:
            await self._kubectl("uncordon", node.name)
            self._drained.discard(node.name)
        return Answer({"done": f"{node.name}: {', '.join(healed) + ' healed' if healed else 'nothing to heal'}"})

    def _set_reachable(self, node: Host, reachable: bool) -> None:
        self._kubelet.set_reachable(node.name, reachable)
        self._nodes.set_reachable(node.name, reachable)
        self._proxies.set_reachable(node.name, reachable)

    def _faults(self, node: Host) -> list[str]:
        facts = {
            "power": self._network.is_cut(node),
            "partition": self._network.is_partitioned(node),
            "agent held": self._kubelet.are_agents_held(node.name),
            "drain": node.name in self._drained,
        }
        proxy = self._proxies.fault(node.name)
        return [name for name, holds in facts.items() if holds] + ([proxy] if proxy is not None else [])

    async def _kubectl(self, *arguments: str) -> None:
        done = await asyncio.to_thread(run_kubectl, self._folder, arguments)
        if done.returncode != 0:
            raise FaultRefused(f"kubectl {arguments[0]}: {done.stderr.strip()}")

    # --- status ---

    def _status(self) -> dict[str, Any]:
        hosts = []
        for host in self._network.topology.hosts:
            if host.role is Role.API:
                continue
            node = self._cluster.caches["nodes"].get("", host.name) if host.is_node else None
            hosts.append(
                {
                    "name": host.name,
                    "role": host.role.value,
                    "ipv4": str(host.ipv4 or "-"),
                    "ipv6": str(host.ipv6 or "-"),
                    "mac": host.mac,
                    "ready": is_ready(node) if node is not None else None,
                    "faults": self._faults(host) if host.is_node else [],
                }
            )
        pods = [_describe_pod(pod) for pod in self._cluster.caches["pods"]]
        pods.sort(key=lambda pod: (pod["namespace"], pod["name"]))
        return {"hosts": hosts, "pods": pods, "rootless": self._user_namespace is not None}

    # --- waiting ---

    async def _wait_complete(self, namespace: str, timeout: float) -> None:
        """Until each Deployment and DaemonSet of the namespace runs as its spec says. Raises StartFailed."""
        # What was applied a moment ago may not have reached the caches yet.
        for plural in ("deployments", "daemonsets"):
            for item in (await self._cluster.kube.list(path(plural, namespace))).items:
                self._cluster.caches[plural].apply(item)
        try:
            async with asyncio.timeout(timeout):
                while self._incomplete(namespace):
                    self._workloads_changed.clear()
                    await self._workloads_changed.wait()
        except TimeoutError:
            missing = ", ".join(self._incomplete(namespace))
            why = "; ".join(self._troubles(namespace)) or "see `purelb-lab logs`"
            raise StartFailed(f"not ready after {timeout:g} s: {missing} ({why})") from None

    def _incomplete(self, namespace: str) -> list[str]:
        missing = []
        for deployment in self._of("deployments", namespace):
            status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
            settled = status.get("observedGeneration") == deployment["metadata"]["generation"]
            counts = [status.get(key) or 0 for key in ("replicas", "updatedReplicas", "readyReplicas")]
            if not settled or counts != [wanted] * 3:
                missing.append(f"deployment/{deployment['metadata']['name']}")
        for daemonset in self._of("daemonsets", namespace):
            status = daemonset.get("status") or {}
            settled = status.get("observedGeneration") == daemonset["metadata"]["generation"]
            counts = [status.get(key) or 0 for key in ("updatedNumberScheduled", "numberReady")]
            if not settled or counts != [status.get("desiredNumberScheduled") or 0] * 2:
                missing.append(f"daemonset/{daemonset['metadata']['name']}")
        return missing

    def _of(self, plural: str, namespace: str) -> list[Object]:
        return [one for one in self._cluster.caches[plural] if one["metadata"]["namespace"] == namespace]

    def _troubles(self, namespace: str) -> list[str]:
        troubles = []
        for pod in self._of("pods", namespace):
            for one in (pod.get("status") or {}).get("containerStatuses") or ():
                waiting = (one.get("state") or {}).get("waiting")
                if waiting:
                    state = Waiting(waiting.get("reason", ""), waiting.get("message", ""))
                    troubles.append(f"{pod['metadata']['name']}: {state.reason} {state.message}".strip())
        return troubles


def _describe_pod(pod: Object) -> dict[str, Any]:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    return {
        "namespace": pod["metadata"]["namespace"],
        "name": pod["metadata"]["name"],
        "node": pod["spec"].get("nodeName", ""),
        "phase": status.get("phase", "Pending"),
        "ready": is_ready(pod),
        "restarts": sum(one.get("restartCount", 0) for one in containers),
        "ip": status.get("podIP", ""),
    }
