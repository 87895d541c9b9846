"""What a running lab can be asked over its control socket: status, faults, namespaces, waiting, the end.

Owns the meaning of each request; the wire form is `control`'s, faults are `faults`'.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from lab.api.cluster import Cluster
from lab.api.objects import Object, is_ready, path
from lab.command.control import Answer
from lab.command.faults import Faults
from lab.errors import LabError, StartFailed
from lab.kubelet.status import Waiting
from lab.wire.network import Network
from lab.wire.topology import Role


class Desk:
    """Answers requests about one lab."""

    def __init__(
        self,
        network: Network,
        cluster: Cluster,
        faults: Faults,
        user_namespace: int | None,
        end: asyncio.Event,
    ) -> None:
        self._network = network
        self._cluster = cluster
        self._faults = faults
        self._user_namespace = user_namespace
        self._end = end
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
                return Answer({"done": await self._faults.begin(**arguments)})
            case "heal":
                return Answer({"done": await self._faults.end(**arguments)})
            case "wait":
                await self._wait_complete(arguments["namespace"], arguments["timeout"])
                return Answer()
            case "down":
                self._end.set()
                return Answer({"pid": os.getpid()})
        raise LabError(f"the lab knows no request {op!r}")

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
                    "faults": self._faults.active(host),
                }
            )
        pods = [_describe_pod(pod) for pod in self._cluster.caches["pods"]]
        pods.sort(key=lambda pod: (pod["namespace"], pod["name"]))
        rootless = self._user_namespace is not None
        return {"hosts": hosts, "pods": pods, "faults": self._faults.others(), "rootless": rootless}

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
