"""Brings up the API server that the lab uses, reachable from the root namespace and from the wire.

Owns sockets, kubeconfigs and readiness of the control plane; which server it is, embedded or real, ends here.
The lab's control plane is a host of its own on the wire (10.31.254.10:6443), so that no fault of a node takes
it away; nobody but it has that address, and the root namespace sees it on a free port of loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.errors import StartFailed
from lab.kubeclient import ApiError, open_client
from lab.netns import Network
from lab.pods import log_folder
from lab.processes import REPOSITORY, Child, Program, start
from lab.topology import API_PORT

_READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane. `forward` is what has to run beside it, if anything."""

    kubeconfig: Path
    children: tuple[Child, ...]
    forward: Coroutine[Any, Any, None] | None = None


async def start_control_plane(kind: str, folder: Path, network: Network) -> ControlPlane:
    """Start `embedded` or `envtest` and wait until it is ready. Raises StartFailed."""
    api = network.topology.api
    wire = [
        await asyncio.to_thread(network.listen, api, str(address), API_PORT) for address in (api.ipv4.ip, api.ipv6.ip)
    ]
    starter = {"embedded": _start_embedded}[kind]
    plane = await starter(folder, network, wire)
    await asyncio.to_thread(_write_wire_kubeconfig, folder, f"https://{api.ipv4.ip}:{API_PORT}")
    await _wait_ready(plane)
    return plane


async def _start_embedded(folder: Path, network: Network, wire: list[socket.socket]) -> ControlPlane:
    root = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = root.getsockname()[1]
    listening = [root, *wire]
    fds = tuple(one.fileno() for one in listening)
    api = network.topology.api
    argv = [sys.executable, "-m", "lab.apiserver"]
    for fd in fds:
        argv += ["--listen-fd", str(fd)]
    for name in (str(api.ipv4.ip), str(api.ipv6.ip)):
        argv += ["--san", name]
    kubeconfig = folder / "kubeconfig"
    argv += ["--kubeconfig", str(kubeconfig), "--server", f"https://127.0.0.1:{port}"]
    argv += ["--tls-dir", str(folder / "control-plane" / "tls"), "--pod-logs", str(log_folder(folder))]
    program = Program(
        name="apiserver",
        argv=tuple(argv),
        log=folder / "logs" / "apiserver.log",
        environment={"PYTHONPATH": str(REPOSITORY)},
        pass_fds=fds,
    )
    child = await start(program)
    for one in listening:
        one.close()
    await _wait_for_file(kubeconfig, child)
    return ControlPlane(kubeconfig, (child,))


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
    async with open_client(plane.kubeconfig) as client:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while True:
                    with contextlib.suppress(ApiError):
                        await client.list("/api/v1/namespaces")
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
    target = folder / "wire.kubeconfig"
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(config))
