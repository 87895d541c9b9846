"""The stand-in for kube-proxy on one node: loads its rules, has its health ports, and fails on demand.

In mode ipvs it has every Service's addresses on a link too, and the same rules: that link is what others meet.

Owns when rules are loaded and what a fault does to it; which rules there are is `rules`'. It is a task of the lab's
supervisor rather than a process: what it stands for is what it does to the node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from lab.errors import FaultRefused, NftFailed, StartFailed
from lab.kubeproxy.health import HealthPorts, Listen, LocalEndpoints
from lab.kubeproxy.mode import bound_addresses
from lab.kubeproxy.rules import NodeView, ruleset
from lab.kubeproxy.services import Address, ServicePort
from lab.machine.gates import open_gate

log = logging.getLogger("lab.kubeproxy")

LATE_SECONDS: Final = 10.0
LATE, FROZEN, DEAD = "proxy-late", "proxy-frozen", "proxy-dead"
_RETRY: Final = 1.0  # seconds after rules that could not be loaded
_REST: Final = 4.0  # times what loading took: the rest of the machine is for others


class StandIn:
    """kube-proxy on one node; `run` works for ever."""

    def __init__(
        self,
        node: NodeView,
        load: Callable[[str], None],
        listen: Listen,
        ports: Callable[[], Sequence[ServicePort]],
        reachable: asyncio.Event,
        bind: Callable[[frozenset[Address]], None] | None = None,
    ) -> None:
        self._node = node
        self._load = load  # nft's text into the node's kernel; blocks; raises NftFailed
        self._bind = bind  # have exactly these on its link; blocks; raises StartFailed; None: the mode has no link
        self._ports = ports  # of all Services, as of now
        self._reachable = reachable  # set while the node reaches the API server
        self._news = open_gate()
        self._awake = open_gate()
        self._fault: str | None = None
        self._trouble: str | None = None
        self._loaded = ""
        self._bound: frozenset[Address] = frozenset()
        self._health = HealthPorts(listen, self._awake)

    @property
    def fault(self) -> str | None:
        """What it suffers from: a fault that was asked for, else why it can't load its rules."""
        return self._fault or self._trouble

    def tell(self) -> None:
        """Something about Services or endpoints has changed."""
        self._news.set()

    def fail(self, kind: str) -> str:
        """Begin a fault; returns what happens. Rules that are loaded stay loaded. Raises FaultRefused."""
        if self._fault is not None:
            raise FaultRefused(f"kube-proxy on {self._node.name} has a fault already: {self._fault}")
        self._fault = kind
        if kind == LATE:
            return f"kube-proxy follows {LATE_SECONDS:g} s late"
        self._awake.clear()
        if kind == DEAD:
            self._health.close()
            return "kube-proxy is dead; its rules stay as they are"
        return "kube-proxy is frozen; its rules stay as they are"

    def heal(self) -> None:
        if self._fault == DEAD:
            self._loaded = ""  # one that starts loads all its rules, whatever the kernel has
        self._fault = None
        self._health.open()
        self._awake.set()
        self._news.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            if self._fault == LATE:
                await asyncio.sleep(LATE_SECONDS)
            while not (self._reachable.is_set() and self._awake.is_set()):
                await self._reachable.wait()
                await self._awake.wait()
            self._news.clear()
            began = loop.time()
            self._trouble = await self._pass()
            if self._trouble is not None:
                self._news.set()
            await asyncio.sleep(_RETRY if self._trouble is not None else _REST * (loop.time() - began))

    async def _pass(self) -> str | None:
        """Have the rules and the health ports of what there is now; why that failed, or None."""
        try:
            ports = self._ports()
            trouble = await self._have(ports)
            await self._health.show(health_ports(ports, self._node.name), trouble is None)
        except Exception as failure:
            # The guard at this task's edge: what goes wrong with one node's rules must not end a whole lab.
            if self._trouble is None:
                log.exception("kube-proxy on %s", self._node.name)
            return f"kube-proxy: {type(failure).__name__}: {failure}"
        return trouble

    async def _have(self, ports: Sequence[ServicePort]) -> str | None:
        """Load the rules if they aren't those that are loaded, and likewise addresses; why that failed, or None."""

        def work() -> None:
            script = "".join(ruleset(version, ports, self._node) for version in (4, 6))
            if script != self._loaded:
                self._load(script)
                self._loaded = script
            addresses = bound_addresses(ports)
            if self._bind is not None and addresses != self._bound:
                self._bind(addresses)
                self._bound = addresses

        try:
            await asyncio.to_thread(work)
        except (NftFailed, StartFailed) as failure:
            if self._trouble is None:
                log.error("kube-proxy on %s: %s", self._node.name, failure)
            return f"kube-proxy: {failure}"
        return None


def health_ports(ports: Sequence[ServicePort], node: str) -> dict[int, LocalEndpoints]:
    """By healthCheckNodePort, how many ready pods of the Service run on the node. Pure."""
    found: dict[int, LocalEndpoints] = {}
    for port in ports:
        if port.health_check_port is not None:
            count = len({one.address for one in port.endpoints if one.is_ready and one.node == node})
            known = found.get(port.health_check_port)
            found[port.health_check_port] = LocalEndpoints(
                port.namespace, port.name, max(count, known.count if known is not None else 0)
            )
    return found
