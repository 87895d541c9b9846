"""One pod on its node, from binding to the end: addresses, files, containers, status.

Owns what kubelet does for a single pod. Every pod is a host with address and cable, unless it uses its node's
network. Containers of PureLB's images, of BIRD's and of the lab's own (`labimages`) run as real processes; any other is
a promise: Running and Ready. Which pods there are is `kubelets`' to know.
"""

from __future__ import annotations

import asyncio
import logging

from lab.api.objects import Object, is_ready, is_terminating, now
from lab.errors import LabError
from lab.kubelet.containers import ContainerRunner
from lab.kubelet.images import name_of
from lab.kubelet.labimages import is_lab_image
from lab.kubelet.probes import Target
from lab.kubelet.programs import PodPrograms, Surroundings
from lab.kubelet.status import ContainerStatus, PodPlace, Running, pod_status
from lab.kubelet.volumes import remove
from lab.machine.processes import Child, Program
from lab.wire.network import PodWire
from lab.wire.topology import Address, Host
from purelb.errors import ConflictError, KubeError, NotFoundError
from purelb.ordering import key_of

log = logging.getLogger("lab.kubelet")

_ROUTING_IMAGES = ("bird",)
_OWN_IMAGES = ("purelb", "allocator", "lbnodeagent", *_ROUTING_IMAGES)


def is_own(pod: Object) -> bool:
    """Whether this is a pod of PureLB's programs, or of BIRD: each image's name says so."""
    return all(any(own in name for own in _OWN_IMAGES) for name in _image_names(pod))


def runs(container: Object) -> bool:
    """Whether the lab runs this container for real."""
    reference = container.get("image", "")
    return any(own in name_of(reference) for own in _OWN_IMAGES) or is_lab_image(reference)


def is_router(pod: Object) -> bool:
    """Whether the pod runs routing software, which isn't PureLB's own."""
    return any(routing in name for routing in _ROUTING_IMAGES for name in _image_names(pod))


def _image_names(pod: Object) -> list[str]:
    return [name_of(container.get("image", "")) for container in pod["spec"]["containers"]]


class PodWorker:
    """Plays kubelet for one pod; `run` ends when the pod is gone."""

    def __init__(
        self,
        pod: Object,
        node: Host,
        addresses: tuple[Address, ...],
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
        self._runners: dict[str, ContainerRunner] = {}
        uses_host = bool(pod["spec"].get("hostNetwork"))
        host_ips = tuple(map(str, node.ips))
        self.addresses = addresses
        self._place = PodPlace(host_ips if uses_host else tuple(map(str, addresses)), host_ips, now())
        self._programs = PodPrograms(shared, node, self._place, self._files)

    @property
    def runners(self) -> list[ContainerRunner]:
        return list(self._runners.values())

    def child(self, container: str) -> Child | None:
        """The program that the container of this name runs now."""
        runner = self._runners.get(container)
        return runner.child if runner is not None else None

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

    async def renew_account(self) -> None:
        """Give the pod another token, and the API server's authority of the moment, once its node can ask for them."""
        await self._reachable.wait()
        await self._programs.renew_account(self.pod)

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
            await self._unplug()  # before the API says that the pod is gone: nothing answers for it then
            await self._finish()
        except* (LabError, KubeError) as failures:
            for failure in failures.exceptions:
                log.warning("pod %s/%s: %s", namespace, name, failure)
        finally:
            await self._unplug()
            await asyncio.to_thread(remove, self._files)

    async def _start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        if not self.pod["spec"].get("hostNetwork"):
            self._wire = await asyncio.to_thread(self._shared.network.add_pod, self.node, self.addresses)
        policy = self.pod["spec"].get("restartPolicy", "Always")
        for container in filter(runs, self.pod["spec"]["containers"]):

            async def make(restart: int, container: Object = container) -> Program:
                netns = self._wire.netns if self._wire else self._shared.network.netns(self.node)
                return await self._programs.make(self.pod, container, restart, netns)

            def target(container: Object = container) -> Target:
                return self._target(container)

            runner = ContainerRunner(container, policy, make, target, self._gate, self._changed.set)
            self._runners[container["name"]] = runner
        return [tasks.create_task(runner.run()) for runner in self.runners]

    async def _stop(self) -> None:
        if self._gone.is_set():
            grace = 0.0
        else:
            metadata, spec = self.pod["metadata"], self.pod["spec"]
            grace = metadata.get("deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds", 30))
        await asyncio.gather(*(runner.stop(float(grace)) for runner in self.runners))

    async def _unplug(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await asyncio.to_thread(self._shared.network.remove_pod, wire)

    async def _finish(self) -> None:
        """Tell the API server that nothing is left of the pod."""
        while not self._gone.is_set():
            await self._reachable.wait()
            try:
                await self._cluster.delete("pods", self.pod, grace=0)
                return
            except KubeError as failure:
                log.info("pod %s: %s", self.pod["metadata"]["name"], failure)
                await asyncio.sleep(1.0)

    # --- status ---

    def _containers(self) -> tuple[ContainerStatus, ...]:
        return tuple(
            self._runners[one["name"]].status
            if one["name"] in self._runners
            else ContainerStatus(
                one["name"], one.get("image", ""), Running(self._place.since), started=True, ready=True
            )
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
            except KubeError as failure:
                if isinstance(failure, NotFoundError | ConflictError):
                    return
                log.info("status of pod %s: %s", self.pod["metadata"]["name"], failure)
                self._changed.set()
                await asyncio.sleep(0.5)

    # --- programs ---

    def _target(self, container: Object) -> Target:
        ports = {one["name"]: one["containerPort"] for one in container.get("ports") or () if "name" in one}
        return Target(self._shared.network.netns(self.node), self._place.pod_ips[0], ports)
