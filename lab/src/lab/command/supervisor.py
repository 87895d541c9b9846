"""The daemon behind one lab: brings everything up, answers the control socket, and takes all down with it.

Owns the order of the start and the lab's life as a process: it is the first process of a PID namespace, so
that the kernel ends every other process of the lab with it, also when it is killed. Must not know the
command line; `__main__` starts it and asks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Protocol

from lab.api.authority import Authority
from lab.api.cluster import Cluster
from lab.command import control
from lab.command.clusterfaults import ClusterFaults
from lab.command.controlplane import USER_AGENT, WIRE_KUBECONFIG, certificate_authority, start_control_plane
from lab.command.desk import Desk
from lab.command.faults import Faults
from lab.command.nodefaults import NodeFaults
from lab.command.rotation import Rotation
from lab.command.serverfaults import ServerFaults
from lab.command.wirefaults import WireFaults
from lab.controllers.disruptions import Disruptions
from lab.controllers.endpointslices import EndpointSlices
from lab.controllers.namespaceend import NamespaceEnd
from lab.controllers.nodes import Nodes
from lab.controllers.scheduler import NamespaceDefaults, Scheduler
from lab.controllers.workloads import Workloads
from lab.errors import LabError, LabRunning, NotAllowed
from lab.kubelet.kubelets import Kubelet
from lab.kubelet.programs import Surroundings
from lab.kubelet.server import NAME, KubeletServer
from lab.kubeproxy.mode import Mode
from lab.kubeproxy.proxies import Proxies, StandIns
from lab.kubeproxy.real import VARIABLE, RealProxies
from lab.machine import namespaces
from lab.machine.processes import Child, reap_orphans
from lab.settings import FAULTS_FILE, Settings
from lab.wire.network import Network
from lab.wire.router import start_frr
from lab.wire.sysctls import without_strict_arp
from lab.wire.topology import Topology, topology
from lab.wire.topologyfile import load
from purelb.errors import PureLBError
from purelb.kube import Kube

log = logging.getLogger("lab.supervisor")


def main() -> None:
    """`python -m lab.command.supervisor SETTINGS-JSON PROGRESS-FD`: go into namespaces, leave the terminal, run.

    Lines of JSON on PROGRESS-FD tell the command how far it is: `progress`, at last `ready` or `error`.
    """
    settings = Settings(**json.loads(sys.argv[1]))
    with os.fdopen(int(sys.argv[2]), "w", buffering=1) as progress:
        try:
            lock = _lock(Path(settings.folder))
            user = _enter_namespaces()
            _keep_mounts_private()
            wire = (
                load(Path(settings.topology))
                if settings.topology
                else topology(settings.nodes, is_kubeadm=settings.kubeadm)
            )
            if Mode(settings.proxy_mode) is Mode.IPVS:
                wire = without_strict_arp(wire)
            if settings.images and user is not None:
                raise NotAllowed("containers of images have users of their own, for which the lab needs root: use sudo")
        except LabError as failure:
            progress.write(json.dumps({"error": str(failure)}) + "\n")
            return
        if os.fork():
            os._exit(0)  # the first process of the new PID namespace goes on
        _mount_own_proc()
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        try:
            supervisor = Supervisor(settings, wire, user, lambda **line: progress.write(json.dumps(line) + "\n"))
            asyncio.run(supervisor.run())
        except* (LabError, PureLBError) as failures:
            reason = "; ".join(str(one) for one in _leaves(failures))
            log.error("the lab ends: %s", reason)
            with contextlib.suppress(BrokenPipeError):
                progress.write(json.dumps({"error": reason}) + "\n")
        finally:
            os.close(lock)


def _leaves(group: BaseExceptionGroup[LabError | PureLBError]) -> list[BaseException]:
    found: list[BaseException] = []
    for one in group.exceptions:
        found += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found


def _lock(folder: Path) -> int:
    """Hold the folder: one lab in it at a time. The kernel lets go when we are gone."""
    fd = os.open(folder / "lab.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise LabRunning(f"a lab runs in {folder} already: `purelb-lab down` ends it") from None
    return fd


def _enter_namespaces() -> int | None:
    """PID and mount namespaces of our own; without root inside a user namespace, whose descriptor it returns."""
    own = namespaces.CLONE_NEWPID | namespaces.CLONE_NEWNS
    try:
        try:
            namespaces.unshare(own)
        except PermissionError:
            # Asked of the kernel rather than of the uid: root in a container may lack the right as well.
            namespaces.enter_user_namespace()
            namespaces.unshare(own)
            return os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as failure:
        raise NotAllowed(f"the kernel gives this user no namespaces ({failure}): run it with sudo") from failure
    return None


def _keep_mounts_private() -> None:
    """Whatever a lab mounts is seen by it alone. Raises NotAllowed."""
    try:
        namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
    except OSError as failure:
        if failure.errno != errno.EINVAL:
            raise
        raise NotAllowed(
            "/ is no mount point here, as in a chroot, so that a lab couldn't keep its mounts to itself: "
            "before you enter it, bind the folder to itself (mount --bind FOLDER FOLDER)"
        ) from failure


def _mount_own_proc() -> None:
    flags = namespaces.MS_NOSUID | namespaces.MS_NODEV | namespaces.MS_NOEXEC
    # Where /proc is masked, as in some containers, the kernel refuses a new one; pids then read differently.
    with contextlib.suppress(PermissionError):
        namespaces.mount("proc", "/proc", "proc", flags)


class Progress(Protocol):
    """Tells the command that started the lab: `progress=TEXT`, or at last `ready=…`."""

    def __call__(self, **line: object) -> object: ...


class Controller(Protocol):
    """What works for ever on the cluster's objects."""

    async def run(self) -> None: ...


class Supervisor:
    """Everything of one lab, from the first namespace to the last process."""

    def __init__(self, settings: Settings, topology: Topology, user_namespace: int | None, progress: Progress) -> None:
        self._settings = settings
        self._user_namespace = user_namespace
        self._progress = progress
        self._folder = Path(settings.folder)
        self._network = Network(topology, routes_are_learned=settings.ecmp)
        self._end = asyncio.Event()

    async def run(self) -> None:
        """Bring the lab up, say so, and keep it until somebody ends it. Raises StartFailed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        await asyncio.to_thread(_clear, self._folder)
        listening = await asyncio.to_thread(control.listen, self._folder)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self._run_lab(listening))
                ending = tasks.create_task(self._end.wait())
                reaping = tasks.create_task(reap_orphans())
                await asyncio.wait((running, ending), return_when=asyncio.FIRST_COMPLETED)
                for task in (running, ending, reaping):
                    task.cancel()
        finally:
            listening.close()
            _forget(self._folder)

    async def _run_lab(self, listening: socket.socket) -> None:
        wire = self._network.topology
        wires = "one wire" if len(wire.subnets) == 1 else f"{len(wire.subnets)} subnets"
        self._progress(progress=f"network: {len(wire.hosts)} hosts on {wires}")
        await asyncio.to_thread(self._network.build)
        self._progress(progress=f"control plane: {self._settings.control_plane}")
        plane = await start_control_plane(self._settings.control_plane, self._folder, self._network)
        children = [*plane.children]
        if self._settings.ecmp:
            self._progress(progress="router: FRR")
            children += await start_frr(self._folder, self._network, self._settings.bfd_interval)
        async with contextlib.AsyncExitStack() as stack:
            kube = await stack.enter_async_context(Kube(plane.kubeconfig, user_agent=USER_AGENT))
            cluster = Cluster(kube)
            authority = Authority(await asyncio.to_thread(certificate_authority, plane.kubeconfig))
            images = Path(self._settings.images) if self._settings.images else None
            shared = Surroundings(cluster, self._network, self._folder, authority, images)
            kubelet = Kubelet(shared)
            server = KubeletServer(cluster, self._folder, kubelet.container, plane.kubelets)
            await stack.enter_async_context(server)
            nodes = Nodes(cluster, self._network.topology, self._settings.node_grace, (NAME, server.port))
            proxies = self._make_proxies(cluster)
            controllers: list[Controller] = [
                Workloads(cluster),
                Scheduler(cluster),
                NamespaceDefaults(cluster, authority),
                EndpointSlices(cluster),
                Disruptions(cluster),
            ]
            if self._settings.control_plane == "envtest":
                controllers.append(NamespaceEnd(cluster))
            node_faults = NodeFaults(self._network, kubelet, nodes, proxies, self._folder)
            cluster_faults = ClusterFaults(cluster, self._folder)
            wire_faults = WireFaults(self._network)
            rotation = Rotation(plane, cluster, kubelet, authority, self._folder)
            api_faults = ServerFaults(plane, rotation, cluster, self._folder)
            faults = Faults(self._network, node_faults, wire_faults, cluster_faults, api_faults)
            desk = Desk(self._network, cluster, faults, self._user_namespace, self._end)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(cluster.run())
                await nodes.register()
                for part in (*controllers, nodes, kubelet, proxies):
                    tasks.create_task(part.run())
                for child in children:
                    tasks.create_task(_tell_end(child))
                if plane.forward is not None:
                    tasks.create_task(plane.forward.run())
                await cluster.wait_synced()
                tasks.create_task(control.serve(listening, desk.handle))
                log.info("ready")
                self._progress(ready={"kubeconfig": str(plane.kubeconfig), "nodes": len(wire.nodes)})

    def _make_proxies(self, cluster: Cluster) -> Proxies:
        program, mode = os.environ.get(VARIABLE), Mode(self._settings.proxy_mode)
        if not program:
            return StandIns(cluster, self._network, mode)
        return RealProxies(program, self._network, self._folder, self._folder / WIRE_KUBECONFIG, mode)


async def _tell_end(child: Child) -> None:
    code = await child.wait()
    log.error("%s ended with exit code %d; see %s", child.program.name, code, child.program.log)


def _clear(folder: Path) -> None:
    """Remove what an earlier lab in this folder left behind."""
    _forget(folder)
    shutil.rmtree(folder / "logs", ignore_errors=True)
    (folder / "logs").mkdir(parents=True)


def _forget(folder: Path) -> None:
    """Remove what is of no use without the lab; logs stay."""
    tenants = [file.name for file in folder.glob("tenant-*.kubeconfig")]
    for name in ("lab.sock", "kubeconfig", WIRE_KUBECONFIG, FAULTS_FILE, *tenants):
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()
    for name in ("pods", "control-plane", "nodes", "router"):
        shutil.rmtree(folder / name, ignore_errors=True)


if __name__ == "__main__":
    main()
