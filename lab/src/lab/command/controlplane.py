"""Brings up the API server that the lab uses, reachable from the root namespace and from the wire.

Owns sockets, kubeconfigs and readiness of the control plane; which server it is, embedded or real, ends here.
The lab's control plane is a host of its own on the wire (10.31.254.10:6443), so that no fault of a node takes
it away; nobody but it has that address, and the root namespace sees it on a free port of loopback.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from kubedouble import Tls, make_mutual_tls
from kubedouble.envtest import VARIABLE, NotStarted, assets, free_port
from kubedouble.envtest import ControlPlane as RealControlPlane
from lab.errors import StartFailed
from lab.kubelet.programs import log_folder
from lab.kubelet.server import NAME
from lab.machine.processes import Child, Program, python_path, start
from lab.settings import FAULTS_FILE
from lab.wire.forward import Forwarder
from lab.wire.network import Network
from lab.wire.topology import API_PORT
from purelb.errors import KubeError
from purelb.kube import Kube

USER_AGENT = "lab"
"""Not a part of the programs' own, so that faults can be theirs alone."""
WIRE_KUBECONFIG = "wire.kubeconfig"
_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane. `forward` is what has to run beside it, if anything; `real` is a real one's handle.

    `kubelets` is what the kubelets serve with: they let in nobody but it.
    """

    kubeconfig: Path
    children: tuple[Child, ...]
    kubelets: Tls
    forward: Forwarder | None = None
    real: RealControlPlane | None = None


async def start_control_plane(kind: str, folder: Path, network: Network) -> ControlPlane:
    """Start `embedded` or `envtest` and wait until it is ready. Raises StartFailed."""
    api = network.topology.api
    wire = [await asyncio.to_thread(network.listen, api, str(address), API_PORT) for address in api.ips]
    starter = _start_envtest if kind == "envtest" else _start_embedded
    plane = await starter(folder, network, wire)
    server = network.topology.api_url(*network.topology.nodes)
    await asyncio.to_thread(_write_wire_kubeconfig, folder, server)
    await _wait_ready(plane)
    return plane


async def _start_embedded(folder: Path, network: Network, wire: list[socket.socket]) -> ControlPlane:
    root = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = root.getsockname()[1]
    listening = [root, *wire]
    fds = tuple(one.fileno() for one in listening)
    api = network.topology.api
    argv = [sys.executable, "-m", "kubedouble"]
    for fd in fds:
        argv += ["--listen-fd", str(fd)]
    for name in map(str, api.ips):
        argv += ["--san", name]
    kubeconfig = folder / "kubeconfig"
    argv += ["--kubeconfig", str(kubeconfig), "--server", f"https://127.0.0.1:{port}"]
    faults = free_port()
    argv += ["--admin", f"127.0.0.1:{faults}"]
    argv += ["--tls-dir", str(folder / "control-plane" / "tls"), "--pod-logs", str(log_folder(folder))]
    kubelets = make_mutual_tls([NAME])
    await asyncio.to_thread(kubelets.client.write, folder / "control-plane" / "kubelets")
    argv += ["--kubelet-tls", str(folder / "control-plane" / "kubelets")]
    program = Program(
        name="apiserver",
        argv=tuple(argv),
        log=folder / "logs" / "apiserver.log",
        environment=python_path(),
        pass_fds=fds,
    )
    child = await start(program)
    for one in listening:
        one.close()
    await _wait_for_file(kubeconfig, child)
    # Where tests ask the API server to fail: see kubedouble/src/kubedouble/admin.py.
    await asyncio.to_thread((folder / FAULTS_FILE).write_text, f"http://127.0.0.1:{faults}\n")
    return ControlPlane(kubeconfig, (child,), kubelets.server)


async def _start_envtest(folder: Path, network: Network, wire: list[socket.socket]) -> ControlPlane:
    """A real etcd and kube-apiserver on loopback of the root namespace; the wire reaches them through us."""
    api = network.topology.api
    hosts = ("127.0.0.1", *map(str, api.ips))
    kubelets = make_mutual_tls([NAME])
    try:
        programs = assets()
        if programs is None:
            raise StartFailed(f"--control-plane envtest needs {VARIABLE}: a folder with etcd and kube-apiserver")
        server = RealControlPlane(folder / "control-plane", programs, hosts=hosts, kubelets=kubelets.client)
        await server.start()
    except NotStarted as failure:
        raise StartFailed(str(failure)) from failure
    kubeconfig = folder / "kubeconfig"
    await asyncio.to_thread(_write_private, kubeconfig, yaml.safe_dump(server.kubeconfig()))
    port = int(server.url.rpartition(":")[2])
    return ControlPlane(kubeconfig, (), kubelets.server, Forwarder(wire, "127.0.0.1", port), server)


def certificate_authority(kubeconfig: Path) -> str:
    """The CA certificate that a kubeconfig of ours trusts, PEM; empty for plain HTTP."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    return base64.b64decode(cluster.get("certificate-authority-data", "")).decode()


async def _wait_for_file(file: Path, child: Child) -> None:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            while not await asyncio.to_thread(_has_content, file):
                if not child.is_running:
                    raise StartFailed(f"{child.program.name} ended at once; see {child.program.log}")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise StartFailed(f"{child.program.name} writes no {file.name}; see {child.program.log}") from None


def _has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


async def _wait_ready(plane: ControlPlane) -> None:
    async with Kube(plane.kubeconfig, user_agent=USER_AGENT) as kube:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while True:
                    with contextlib.suppress(KubeError):
                        await kube.list("/api/v1/namespaces")
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            logs = ", ".join(str(child.program.log) for child in plane.children)
            raise StartFailed(f"the API server does not become ready; see {logs}") from None


def _write_wire_kubeconfig(folder: Path, server: str) -> None:
    """The same access from the nodes, for `purelb-lab exec NODE -- kubectl`."""
    config = yaml.safe_load((folder / "kubeconfig").read_text())
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = server
    _write_private(folder / WIRE_KUBECONFIG, yaml.safe_dump(config))


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
