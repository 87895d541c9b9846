"""Opens the sources of ServiceGroups when they are first needed. Most clusters need none, and pay for none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from allocator.sources.source import Source, SourceError
from purelb.errors import KubeError
from purelb.kube import Kube, core_path
from purelb.metrics import AllocatorMetrics
from purelb.servicegroups import AddressSource, NetboxSource, SidecarSource

if TYPE_CHECKING:
    from allocator.sources import sidecar


class SourceFactory:
    """Knows what a source needs to be opened."""

    def __init__(
        self, kube: Kube, netbox_token: str | None, metrics: AllocatorMetrics, clock: Callable[[], float]
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._netbox_token = netbox_token
        self._metrics = metrics
        self._connections: dict[str, sidecar.Connection] = {}
        self._cluster = ""

    async def open(self, group: str, spec: AddressSource) -> Source:
        """The source of a group. Raises SourceError."""
        try:
            match spec:
                case NetboxSource(url, tenant):
                    from allocator.sources import netbox

                    if not self._netbox_token:
                        raise SourceError("NETBOX_USER_TOKEN not set, can't connect to Netbox")
                    return netbox.NetboxSource(url, self._netbox_token, tenant, await self._identify(), self._clock)
                case SidecarSource(_, socket, _):
                    from allocator.sources import sidecar

                    if socket not in self._connections:
                        self._connections[socket] = sidecar.Connection(socket, self._metrics)
                    return sidecar.SidecarSource(self._connections[socket], group)
                case _:
                    raise AssertionError("pools are nobody else's")
        except ImportError as error:
            raise SourceError(f'this needs "pip install purelb[ipam]": {error}') from error

    async def _identify(self) -> str:
        """What tells this cluster from others that use the same NetBox: it outlives PureLB's own objects."""
        if not self._cluster:
            try:
                body = await self._kube.get(core_path("namespaces", None, "kube-system"))
            except KubeError as error:
                raise SourceError(
                    f"the cluster's identity can't be read: {error}", retry_after=error.retry_after
                ) from error
            self._cluster = str(body["metadata"]["uid"])
        return self._cluster

    async def close(self) -> None:
        """Close what sources share."""
        for connection in self._connections.values():
            await connection.close()
