"""The kube-proxies of all nodes: what they are told, and the faults that befall them.

Owns which node has one, and the look at Services and EndpointSlices that they share. What one does is `standin`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from lab.api.cluster import Cluster
from lab.kubeproxy.mode import IPVS_LINK, Mode
from lab.kubeproxy.rules import NodeView
from lab.kubeproxy.services import ServicePort, service_ports
from lab.kubeproxy.standin import StandIn
from lab.machine import nft
from lab.machine.gates import open_gate
from lab.wire.network import Network
from lab.wire.topology import PODS4, PODS6, Host


class Proxies(Protocol):
    """The kube-proxies of a lab, stand-ins or real ones."""

    async def run(self) -> None: ...

    def set_reachable(self, node: str, reachable: bool) -> None: ...

    def fail(self, node: str, kind: str) -> str: ...

    def heal(self, node: str) -> None: ...

    def fault(self, node: str) -> str | None: ...


class StandIns:
    """A stand-in on every node; `run` works for ever."""

    def __init__(self, cluster: Cluster, network: Network, mode: Mode) -> None:
        self._cluster = cluster
        self._network = network
        self._mode = mode
        self._known: Sequence[ServicePort] | None = None
        nodes = network.topology.nodes
        self._reachable = {node.name: open_gate() for node in nodes}
        self._proxies = {node.name: self._make(node) for node in nodes}
        for plural in ("services", "endpointslices"):
            cluster.on_change(plural, lambda _: self._tell())

    def _make(self, node: Host) -> StandIn:
        return StandIn(
            NodeView(node.name, node.ips, (PODS4, PODS6)),
            load=partial(nft.load, self._network.netns(node)),
            listen=partial(self._network.listen, node, "::"),
            ports=self._ports,
            reachable=self._reachable[node.name],
            bind=partial(self._network.bind, node, IPVS_LINK) if self._mode.binds_addresses else None,
        )

    async def run(self) -> None:
        await self._cluster.wait_synced()
        async with asyncio.TaskGroup() as tasks:
            for proxy in self._proxies.values():
                tasks.create_task(proxy.run())

    def _tell(self) -> None:
        self._known = None
        for proxy in self._proxies.values():
            proxy.tell()

    def _ports(self) -> Sequence[ServicePort]:
        if self._known is None:
            self._known = service_ports(self._cluster.caches["services"], self._cluster.caches["endpointslices"])
        return self._known

    # --- faults ---

    def set_reachable(self, node: str, reachable: bool) -> None:
        """Tell that the node's kube-proxy can or can't reach the API server."""
        if reachable:
            self._reachable[node].set()
        else:
            self._reachable[node].clear()

    def fail(self, node: str, kind: str) -> str:
        """Begin a fault; returns what happens. Raises FaultRefused."""
        return self._proxies[node].fail(kind)

    def heal(self, node: str) -> None:
        self._proxies[node].heal()

    def fault(self, node: str) -> str | None:
        return self._proxies[node].fault
