"""What kube-proxy makes of Services and EndpointSlices: one value per port of a Service. Pure.

Source: KEP-1669 (terminating endpoints), KEP-2086 (internal traffic policy), and the Service API of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Any, Final, TypeAlias

Json: TypeAlias = Mapping[str, Any]
Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

SERVICE_NAME: Final = "kubernetes.io/service-name"
AFFINITY: Final = 10800
"""Seconds for which ClientIP affinity holds, unless the Service says otherwise."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod's port that may be sent to."""

    address: Address
    port: int
    node: str
    is_ready: bool
    """False: it terminates and still serves, and counts only where no ready one is left."""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service, in one IP family."""

    namespace: str
    name: str
    port_name: str
    protocol: str
    """``tcp``, ``udp`` or ``sctp``."""
    port: int
    cluster_ip: Address
    load_balancer_ips: tuple[Address, ...] = ()
    external_ips: tuple[Address, ...] = ()
    source_ranges: tuple[Network, ...] = ()
    """Whom the load balancer's addresses serve: ``loadBalancerSourceRanges``, none within another; empty: everybody."""
    node_port: int | None = None
    health_check_port: int | None = None
    is_local: bool = False
    """``externalTrafficPolicy: Local``."""
    is_internal_local: bool = False
    affinity: int | None = None
    """Seconds of ClientIP affinity; None: none."""
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def version(self) -> int:
        """The IP version."""
        return self.cluster_ip.version

    @property
    def usable(self) -> tuple[Endpoint, ...]:
        """The ready endpoints; while there is none at all, those that terminate and still serve."""
        return tuple(one for one in self.endpoints if one.is_ready) or self.endpoints

    def usable_on(self, node: str) -> tuple[Endpoint, ...]:
        """Likewise of those on one node."""
        here = tuple(one for one in self.endpoints if one.node == node)
        return tuple(one for one in here if one.is_ready) or here


def service_ports(services: Iterable[Json], slices: Iterable[Json]) -> list[ServicePort]:
    """The ports of all Services that have a cluster IP, in a stable order."""
    by_service: dict[tuple[str, str], list[Json]] = {}
    for one in slices:
        metadata = one["metadata"]
        name = (metadata.get("labels") or {}).get(SERVICE_NAME)
        if name:
            by_service.setdefault((metadata["namespace"], name), []).append(one)
    found: list[ServicePort] = []
    for body in services:
        metadata, spec = body["metadata"], body.get("spec") or {}
        its_slices = by_service.get((metadata["namespace"], metadata["name"]), [])
        for text in spec.get("clusterIPs") or filter(None, [spec.get("clusterIP")]):
            cluster_ip = _address(text)
            if cluster_ip is None:  # "None": a headless Service
                continue
            found += [_port(body, port, cluster_ip, its_slices) for port in spec.get("ports") or ()]
    return sorted(found, key=lambda one: (one.namespace, one.name, one.version, one.protocol, one.port))


def _port(body: Json, port: Json, cluster_ip: Address, slices: Iterable[Json]) -> ServicePort:
    metadata, spec = body["metadata"], body["spec"]
    ingress = ((body.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    # ipMode Proxy (KEP-1860): the load balancer hands packets over with the node's address, not its own.
    vips = _addresses(one.get("ip") for one in ingress if one.get("ipMode") != "Proxy")
    others = _addresses(spec.get("externalIPs") or ())
    client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    is_local = spec.get("externalTrafficPolicy") == "Local"
    return ServicePort(
        namespace=metadata["namespace"],
        name=metadata["name"],
        port_name=port.get("name", ""),
        protocol=port.get("protocol", "TCP").lower(),
        port=port["port"],
        cluster_ip=cluster_ip,
        load_balancer_ips=tuple(vip for vip in vips if vip.version == cluster_ip.version),
        external_ips=tuple(ip for ip in others if ip.version == cluster_ip.version),
        source_ranges=_source_ranges(spec.get("loadBalancerSourceRanges") or (), cluster_ip.version),
        node_port=port.get("nodePort") or None,
        health_check_port=spec.get("healthCheckNodePort") or None if is_local else None,
        is_local=is_local,
        is_internal_local=spec.get("internalTrafficPolicy") == "Local",
        affinity=client_ip.get("timeoutSeconds", AFFINITY) if spec.get("sessionAffinity") == "ClientIP" else None,
        endpoints=tuple(_endpoints(port.get("name", ""), cluster_ip.version, slices)),
    )


def _source_ranges(texts: Iterable[str], version: int) -> tuple[Network, ...]:
    """Those of one family. One that has only ranges of the other family keeps nobody off, as with kube-proxy."""
    found: list[Any] = []
    for text in texts:
        try:
            network = ip_network(text.strip(), strict=False)
        except ValueError:  # the API refuses it, but may once not have
            continue
        if network.version == version:
            found.append(network)
    return tuple(collapse_addresses(found))


def _endpoints(port_name: str, version: int, slices: Iterable[Json]) -> list[Endpoint]:
    found: set[Endpoint] = set()
    for one in slices:
        if one.get("addressType") != f"IPv{version}":
            continue
        number = next((port["port"] for port in one.get("ports") or () if port.get("name", "") == port_name), None)
        if number is None:
            continue
        for endpoint in one.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            is_ready = conditions.get("ready") is not False and not conditions.get("terminating")
            if is_ready or (conditions.get("terminating") and conditions.get("serving")):
                for address in _addresses(endpoint.get("addresses") or ()):
                    found.add(Endpoint(address, number, endpoint.get("nodeName") or "", is_ready))
    return sorted(found, key=lambda one: (int(one.address), one.port))


def _addresses(texts: Iterable[str | None]) -> list[Address]:
    """Those that are addresses: whoever may write a status writes what he likes."""
    return [address for text in texts if (address := _address(text)) is not None]


def _address(text: str | None) -> Address | None:
    """None for what is none to kube-proxy either, as one with a zone (RFC 4007), which may hold any text."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    return None if address.version == 6 and address.scope_id is not None else address
