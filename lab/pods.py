"""One pod on its node, from binding to the end: addresses, files, containers, status.

Owns what kubelet does for a single pod. A pod of PureLB's images runs as real processes; any other is a
promise: Running and Ready, with an address that nobody has. Which pods there are is `kubelet`'s to know.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from lab.cluster import Cluster, is_ready, is_terminating, now, path
from lab.containers import ContainerRunner
from lab.errors import LabError
from lab.kubeclient import ApiError, Object, key_of
from lab.netns import Network, PodWire
from lab.podenv import expand, references, resolve_environment
from lab.podstatus import ContainerStatus, PodPlace, Running, pod_status
from lab.probes import Target
from lab.processes import Program
from lab.topology import API_PORT, Host
from lab.volumes import SERVICE_ACCOUNT, decode, network_files, own_mounts, remove, service_account_files, write_files

log = logging.getLogger("lab.kubelet")

_OWN_IMAGES = ("purelb", "allocator", "lbnodeagent")
_TOKEN_SECONDS = 7 * 24 * 3600  # tokens aren't renewed: longer than any experiment
# What container runtimes leave to a container that asks for nothing (containerd, docker).
_DEFAULT_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT "
    "KILL AUDIT_WRITE"
)
# The programs lie in the machine's file system rather than in an image: root must be able to read them there.
_READ_FILES = {"DAC_OVERRIDE", "DAC_READ_SEARCH"}


def is_own(pod: Object) -> bool:
    """Whether the lab runs this pod for real: each image's name says that it is one of PureLB's."""
    names = [container.get("image", "").rpartition("/")[2] for container in pod["spec"]["containers"]]
    return all(any(own in name for own in _OWN_IMAGES) for name in names)


def command_of(container: Object) -> list[str]:
    """The program of a container: its command, else what its image stands for, and its args."""
    command = list(container.get("command") or ())
    if not command:
        image = container.get("image", "").rpartition("/")[2].partition(":")[0]
        known = {"allocator": "purelb-allocator", "lbnodeagent": "purelb-lbnodeagent"}
        command = [next((program for part, program in known.items() if part in image), image)]
    # An image has its program somewhere of its own; here it is found by name.
    command[0] = os.path.basename(command[0]) if "purelb" in command[0] else command[0]  # noqa: PTH119
    return [*command, *(container.get("args") or ())]


def capabilities_of(container: Object) -> tuple[str, ...] | None:
    """What the container's securityContext leaves it; None: everything, as `privileged` says."""
    context = container.get("securityContext") or {}
    if context.get("privileged"):
        return None
    asked = context.get("capabilities") or {}
    drop = {name.removeprefix("CAP_") for name in asked.get("drop") or ()}
    kept = set() if "ALL" in drop else set(_DEFAULT_CAPABILITIES.split()) - drop
    return tuple(sorted(kept | {name.removeprefix("CAP_") for name in asked.get("add") or ()} | _READ_FILES))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every pod of a lab shares."""

    cluster: Cluster
    network: Network
    folder: Path  # the lab's own
    ca: str  # PEM of the API server's authority


class PodWorker:
    """Plays kubelet for one pod; `run` ends when the pod is gone."""

    def __init__(
        self,
        pod: Object,
        node: Host,
        addresses: tuple[IPv4Address, IPv6Address],
        shared: Surroundings,
        reachable: asyncio.Event,
        gate: asyncio.Event,
    ) -> None:
        self.pod = pod
        self.node = node
        self._shared = shared
        self._cluster = shared.cluster
        self._reachable = reachable  # set while the node's kubelet can reach the API
        self._gate = gate  # closed by faults: programs don't start
        self._ending = asyncio.Event()
        self._gone = asyncio.Event()
        self._changed = asyncio.Event()
        self._started = False
        self._wire: PodWire | None = None
        self._files = shared.folder / "pods" / pod["metadata"]["uid"]
        self._runners: list[ContainerRunner] = []
        uses_host = bool(pod["spec"].get("hostNetwork"))
        host_ips = (str(node.ipv4.ip), str(node.ipv6.ip))
        self.addresses = addresses
        self._place = PodPlace(host_ips if uses_host else tuple(map(str, addresses)), host_ips, now())

    @property
    def runners(self) -> list[ContainerRunner]:
        return self._runners

    def update(self, pod: Object) -> None:
        """Take over what the API says about the pod."""
        self.pod = pod
        if is_terminating(pod):
            self._ending.set()
        elif self._started and is_ready(pod) != all(one.ready for one in self._containers()):
            # Somebody else wrote into the status, as the node controller does while the node is away.
            self._changed.set()

    def vanish(self) -> None:
        """The pod is gone from the API: nothing is left to tell, the programs end at once."""
        self._gone.set()
        self._ending.set()

    async def run(self) -> None:
        """From ContainerCreating to the last status. What one pod can't do hurts no other: it is logged."""
        namespace, name = key_of(self.pod)
        try:
            await self._reachable.wait()
            if is_terminating(self.pod):
                await self._finish()
                return
            async with asyncio.TaskGroup() as tasks:
                telling = tasks.create_task(self._tell_status())
                containers = await self._start(tasks)
                self._started = True
                self._changed.set()
                await self._ending.wait()
                # The kubelet of a node that is cut off hears of no deletion: its programs go on.
                await self._reachable.wait()
                await self._stop()
                for task in containers:
                    task.cancel()
                telling.cancel()
            await self._finish()
        except* LabError as failures:
            for failure in failures.exceptions:
                log.warning("pod %s/%s: %s", namespace, name, failure)
        finally:
            if self._wire is not None:
                await asyncio.to_thread(self._shared.network.remove_pod, self._wire)
            await asyncio.to_thread(remove, self._files)

    async def _start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        if not is_own(self.pod):
            return []
        if not self.pod["spec"].get("hostNetwork"):
            self._wire = await asyncio.to_thread(self._shared.network.add_pod, self.node, *self.addresses)
        policy = self.pod["spec"].get("restartPolicy", "Always")
        for container in self.pod["spec"]["containers"]:

            async def make(restart: int, container: Object = container) -> Program:
                return await self._program(container, restart)

            def target(container: Object = container) -> Target:
                return self._target(container)

            runner = ContainerRunner(container, policy, make, target, self._gate, self._changed.set)
            self._runners.append(runner)
        return [tasks.create_task(runner.run()) for runner in self._runners]

    async def _stop(self) -> None:
        if self._gone.is_set():
            grace = 0.0
        else:
            metadata, spec = self.pod["metadata"], self.pod["spec"]
            grace = metadata.get("deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds", 30))
        await asyncio.gather(*(runner.stop(float(grace)) for runner in self._runners))

    async def _finish(self) -> None:
        """Tell the API server that nothing is left of the pod."""
        while not self._gone.is_set():
            await self._reachable.wait()
            try:
                await self._cluster.delete("pods", self.pod, grace=0)
                return
            except ApiError as failure:
                log.info("pod %s: %s", self.pod["metadata"]["name"], failure)
                await asyncio.sleep(1.0)

    # --- status ---

    def _containers(self) -> tuple[ContainerStatus, ...]:
        if self._runners:
            return tuple(runner.status for runner in self._runners)
        return tuple(
            ContainerStatus(one["name"], one.get("image", ""), Running(self._place.since), started=True, ready=True)
            for one in self.pod["spec"]["containers"]
        )

    async def _tell_status(self) -> None:
        while True:
            await self._changed.wait()
            await self._reachable.wait()
            self._changed.clear()
            previous = self.pod.get("status") or {}
            status = pod_status(self.pod["spec"], self._place, self._containers(), now(), previous)
            try:
                self.pod = await self._cluster.patch("pods", self.pod, {"status": status}, "status")
            except ApiError as failure:
                if failure.is_gone:
                    return
                log.info("status of pod %s: %s", self.pod["metadata"]["name"], failure)
                self._changed.set()
                await asyncio.sleep(0.5)

    # --- programs ---

    def _target(self, container: Object) -> Target:
        ports = {one["name"]: one["containerPort"] for one in container.get("ports") or () if "name" in one}
        return Target(self._shared.network.netns(self.node), self._place.pod_ips[0], ports)

    async def _program(self, container: Object, restart: int) -> Program:
        pod = {**self.pod, "status": {**(self.pod.get("status") or {}), **self._addresses_in_status()}}
        namespace, name = key_of(pod)
        known = await self._referenced(container)
        environment = resolve_environment(container, pod, lambda kind, key: known.get((kind, key)))
        api = self._shared.network.topology.api
        environment = {
            "HOME": "/",
            "HOSTNAME": self.node.name if pod["spec"].get("hostNetwork") else name,
            "KUBERNETES_SERVICE_HOST": str(api.ipv4.ip),
            "KUBERNETES_SERVICE_PORT": str(API_PORT),
            "KUBERNETES_SERVICE_PORT_HTTPS": str(API_PORT),
            **environment,
        }
        folder = self._files / container["name"]
        mounts = await asyncio.to_thread(own_mounts, container, pod, folder, lambda kind, key: known.get((kind, key)))
        etc = network_files(environment["HOSTNAME"], self._place.pod_ips)
        await asyncio.to_thread(write_files, self._files / "etc", etc)
        mounts |= {f"/etc/{name}": str(self._files / "etc" / name) for name in etc}
        if pod["spec"].get("automountServiceAccountToken", True):
            files = service_account_files(await self._token(), self._shared.ca, namespace)
            await asyncio.to_thread(write_files, self._files / "serviceaccount", files)
            mounts[SERVICE_ACCOUNT] = str(self._files / "serviceaccount")
        return Program(
            name=f"{namespace}/{name}/{container['name']}",
            argv=tuple(expand(part, environment) for part in command_of(container)),
            log=log_file(self._shared.folder, pod, container["name"], restart),
            environment=environment,
            netns=self._wire.netns if self._wire else self._shared.network.netns(self.node),
            hostname=environment["HOSTNAME"],
            mounts=mounts,
            capabilities=capabilities_of(container),
        )

    def _addresses_in_status(self) -> Object:
        place = self._place
        return {
            "podIP": place.pod_ips[0],
            "podIPs": [{"ip": ip} for ip in place.pod_ips],
            "hostIP": place.host_ips[0],
            "hostIPs": [{"ip": ip} for ip in place.host_ips],
        }

    async def _token(self) -> str:
        namespace, name = key_of(self.pod)
        account = self.pod["spec"].get("serviceAccountName") or "default"
        reference = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": self.pod["metadata"]["uid"]}
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_SECONDS, "boundObjectRef": reference},
        }
        while True:
            try:
                where = path("serviceaccounts", namespace, account, "token")
                answer = await self._cluster.client.create(where, body)
                return str(answer["status"]["token"])
            except ApiError as failure:
                # The account may come a moment after the pod; admission refuses pods without one upstream.
                log.info("token of %s/%s: %s", namespace, account, failure)
                await asyncio.sleep(0.3)

    async def _referenced(self, container: Object) -> dict[tuple[str, str], dict[str, str]]:
        """The Secrets and ConfigMaps that the container's environment and the pod's volumes name, as far as there."""
        namespace, _ = key_of(self.pod)
        found: dict[tuple[str, str], dict[str, str]] = {}
        for kind, name in references(container, self.pod["spec"].get("volumes") or ()):
            try:
                found[kind, name] = decode(await self._cluster.client.get(path(kind, namespace, name)), kind)
            except ApiError as failure:
                if failure.code != 404:
                    raise
        return found


def log_folder(folder: Path) -> Path:
    """Where the output of pods goes, in kubelet's own layout."""
    return folder / "logs" / "pods"


def log_file(folder: Path, pod: Object, container: str, restart: int) -> Path:
    namespace, name = key_of(pod)
    return log_folder(folder) / f"{namespace}_{name}_{pod['metadata']['uid']}" / container / f"{restart}.log"
