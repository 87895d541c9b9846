"""All faults of a running lab, by whom they befall: `purelb-lab fault TARGET KIND`, and `heal TARGET`.

Owns who is meant: a node, all of them, the wire, the cluster. What befalls each is told by its own table: `nodefaults`,
`wirefaults`, `clusterfaults`; of a real API server by `serverfaults`. Those of the embedded one don't come by here: see
`apifaults`.
"""

from __future__ import annotations

from lab.command.clusterfaults import ClusterFaults
from lab.command.nodefaults import NodeFaults
from lab.command.serverfaults import ServerFaults
from lab.command.wirefaults import WireFaults
from lab.errors import FaultRefused
from lab.settings import ALL, API, CLUSTER, WIRE
from lab.wire.network import Network
from lab.wire.topology import Host


class Faults:
    """What can go wrong in one lab."""

    def __init__(
        self, network: Network, nodes: NodeFaults, wire: WireFaults, cluster: ClusterFaults, api: ServerFaults
    ) -> None:
        self._network = network
        self._nodes = nodes
        self._wire = wire
        self._cluster = cluster
        self._api = api

    async def begin(self, target: str, kind: str, subject: str | None = None) -> str:
        """Begin a fault; sentences about it, one a line. Raises LabError and KubeError."""
        if target == ALL:
            return "\n".join([await self._begin_on(node, kind, subject) for node in self._network.topology.nodes])
        if target == WIRE:
            return await self._wire.begin(kind, subject)
        if target == CLUSTER:
            return await self._cluster.begin(kind, subject)
        if target == API:
            return await self._api.begin(kind, subject)
        return await self._begin_on(self._node(target), kind, subject)

    async def end(self, target: str, kind: str | None = None) -> str:
        """End all faults of a target, or one kind; sentences about it. Raises LabError and KubeError."""
        if target == ALL:
            return "\n".join([await self._nodes.end(node, kind) for node in self._network.topology.nodes])
        if target == WIRE:
            if kind is not None:
                raise FaultRefused(f"strangers leave together: purelb-lab heal {WIRE}")
            return await self._wire.end()
        if target == CLUSTER:
            return await self._cluster.end(kind)
        if target == API:
            return await self._api.end()
        return await self._nodes.end(self._node(target), kind)

    def active(self, host: Host) -> list[str]:
        """What a host suffers from."""
        return self._nodes.active(host) if host.is_node else []

    def others(self) -> dict[str, list[str]]:
        """What lasts beside the faults of hosts, by target."""
        return {WIRE: self._wire.active(), CLUSTER: self._cluster.active(), API: self._api.active()}

    async def _begin_on(self, node: Host, kind: str, subject: str | None) -> str:
        return await self._nodes.begin(node, kind, self._node(subject) if subject is not None else None)

    def _node(self, text: str) -> Host:
        host = self._network.topology.find(text)
        if not host.is_node:
            raise FaultRefused(f"{host.name} is no node: faults befall nodes")
        return host
