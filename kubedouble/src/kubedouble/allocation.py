"""What a Service draws from the cluster: cluster IPs, node ports, health check node ports.

Owns which of them are taken; kept in step with the store by its commits, so that nothing leaks. Must not touch: how a
Service is validated (`services.py`), HTTP.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from .errors import JsonObject

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SERVICE_V4: Final = IPv4Network("10.188.0.0/18")
SERVICE_V6: Final = IPv6Network("fd00:10:188::/112")
NODE_PORTS: Final = range(30000, 32768)


class RefusedError(Exception):
    """The wish can't be granted; the text goes into the field's error."""


class ServicePool:
    """Free and taken addresses and ports. `choose_*` never book: a committed Service does."""

    def __init__(self, networks: Iterable[Network] = (SERVICE_V4, SERVICE_V6)) -> None:
        self.networks = {"IPv4" if network.version == 4 else "IPv6": network for network in networks}
        self._addresses: dict[Address, str] = {}
        self._ports: dict[int, str] = {}
        self._random = random.Random()

    def follow(self, before: JsonObject | None, after: JsonObject | None) -> None:
        """A Service changed from `before` to `after`."""
        if before is not None:
            for address in _addresses(before):
                self._addresses.pop(address, None)
            for port in _ports(before):
                self._ports.pop(port, None)
        if after is not None:
            uid = after["metadata"]["uid"]
            for address in _addresses(after):
                self._addresses[address] = uid
            for port in _ports(after):
                self._ports[port] = uid

    def choose_address(self, family: str) -> str:
        network = self.networks[family]
        # The lower part of the range is for static assignment (KEP-3070): min(max(16, size/16), 256) addresses.
        size = network.num_addresses
        reserved = min(max(16, size // 16), 256)
        for _ in range(64):
            address = network[self._random.randrange(reserved, size - 1)]
            if address not in self._addresses:
                return str(address)
        for at in range(1, size - 1):
            if network[at] not in self._addresses:
                return str(network[at])
        raise RefusedError("failed to allocate a serviceIP: range is full")

    def check_address(self, text: str, uid: str) -> None:
        """Raises RefusedError when `text` is out of range or another Service's."""
        address = ip_address(text)
        network = self.networks.get("IPv4" if address.version == 4 else "IPv6")
        if network is None or address not in network:
            shown = ", ".join(str(known) for known in self.networks.values())
            why = f"provided IP is not in the valid range. The range of valid IPs is {network or shown}"
            raise RefusedError(f"failed to allocate IP {text}: {why}")
        if self._addresses.get(address, uid) != uid:
            raise RefusedError(f"failed to allocate IP {text}: provided IP is already allocated")

    def choose_port(self, also_taken: set[int]) -> int:
        for _ in range(64):
            port = self._random.choice(NODE_PORTS)
            if port not in self._ports and port not in also_taken:
                return port
        for port in NODE_PORTS:
            if port not in self._ports and port not in also_taken:
                return port
        raise RefusedError("failed to allocate a nodePort: range is full")

    def check_port(self, port: int, uid: str) -> None:
        if port not in NODE_PORTS:
            shown = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
            raise RefusedError(f"provided port is not in the valid range. The range of valid ports is {shown}")
        if self._ports.get(port, uid) != uid:
            raise RefusedError("provided port is already allocated")


def _addresses(service: JsonObject) -> Iterator[Address]:
    for text in service.get("spec", {}).get("clusterIPs") or []:
        if text != "None":
            yield ip_address(text)


def _ports(service: JsonObject) -> Iterator[int]:
    spec = service.get("spec", {})
    for port in spec.get("ports") or []:
        if port.get("nodePort"):
            yield port["nodePort"]
    if spec.get("healthCheckNodePort"):
        yield spec["healthCheckNodePort"]
