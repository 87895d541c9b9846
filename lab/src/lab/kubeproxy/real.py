"""The real kube-proxy on every node: a process in each node's network, started anew when it ends.

Owns its command line, its log and what a fault does to it. Which of both kinds a lab has is the supervisor's to choose:
the variable KUBE_PROXY names the program.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import FaultRefused
from lab.kubeproxy.health import PORT
from lab.kubeproxy.mode import Mode
from lab.kubeproxy.standin import FROZEN, LATE
from lab.machine.processes import Child, Program, start
from lab.wire.network import Network
from lab.wire.topology import PODS4, PODS6, Host

log = logging.getLogger("lab.kubeproxy")

VARIABLE: Final = "KUBE_PROXY"
_RESTART: Final = 1.0  # seconds after an end that nobody asked for


@dataclass(slots=True)
class _Running:
    healed: asyncio.Event
    child: Child | None = None
    fault: str | None = None


class RealProxies:
    """kube-proxy on every node; `run` works for ever. For its mode ipvs it needs ip_vs and ipset."""

    def __init__(self, program: str, network: Network, folder: Path, kubeconfig: Path, mode: Mode) -> None:
        self._program = program
        self._mode = mode
        self._network = network
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._nodes = {node.name: _Running(asyncio.Event()) for node in network.topology.nodes}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for node in self._network.topology.nodes:
                tasks.create_task(self._keep(node))

    async def _keep(self, node: Host) -> None:
        own = self._nodes[node.name]
        while True:
            own.child = await start(self._make(node))
            try:
                code = await own.child.wait()
            finally:
                own.child.kill()
            if own.fault is not None:
                own.healed.clear()
                await own.healed.wait()
            else:
                log.error("kube-proxy on %s ended with exit code %d; see %s", node.name, code, own.child.program.log)
                await asyncio.sleep(_RESTART)

    def _make(self, node: Host) -> Program:
        options = {
            "kubeconfig": self._kubeconfig,
            "master": self._network.topology.api_url(node),  # nodes of one family may need another than the others
            "hostname-override": node.name,
            "proxy-mode": "ipvs" if self._mode.binds_addresses else "nftables",
            "ipvs-strict-arp": str(self._mode is Mode.IPVS_STRICT).lower(),
            "cluster-cidr": f"{PODS4},{PODS6}",
            "healthz-bind-address": f"[::]:{PORT}",
            "metrics-bind-address": "127.0.0.1:10249",
            # The machine's own settings are none of a lab's.
            "conntrack-max-per-core": 0,
            "conntrack-tcp-timeout-established": "0s",
            "conntrack-tcp-timeout-close-wait": "0s",
        }
        return Program(
            name=f"kube-proxy on {node.name}",
            argv=(self._program, *(f"--{name}={value}" for name, value in options.items())),
            log=self._folder / "logs" / f"kube-proxy-{node.name}.log",
            netns=self._network.netns(node),
        )

    # --- faults ---

    def set_reachable(self, node: str, reachable: bool) -> None:
        """It finds out by itself."""

    def fail(self, node: str, kind: str) -> str:
        """Begin a fault; returns what happens. Raises FaultRefused."""
        own = self._nodes[node]
        if kind == LATE:
            raise FaultRefused("a real kube-proxy can't be made late")
        if own.fault is not None:
            raise FaultRefused(f"kube-proxy on {node} has a fault already: {own.fault}")
        if own.child is None or not own.child.is_running:
            raise FaultRefused(f"kube-proxy on {node} isn't running at the moment: try again")
        own.fault = kind
        number = signal.SIGSTOP if kind == FROZEN else signal.SIGKILL
        own.child.signal(number)
        return f"{number.name} to kube-proxy; its rules stay as they are"

    def heal(self, node: str) -> None:
        own = self._nodes[node]
        if own.fault == FROZEN and own.child is not None:
            own.child.signal(signal.SIGCONT)
        own.fault = None
        own.healed.set()

    def fault(self, node: str) -> str | None:
        return self._nodes[node].fault
