"""The modes of kube-proxy that a lab can have. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

from lab.kubeproxy.services import Address, ServicePort

IPVS_LINK: Final = "kube-ipvs0"


class Mode(Enum):
    """As `--proxy-mode` of purelb-lab names them."""

    NFTABLES = "nftables"
    IPVS = "ipvs"
    """strictARP off, as kube-proxy has it by default: a node answers on any NIC for what is on any other link."""
    IPVS_STRICT = "ipvs-strict-arp"

    @property
    def binds_addresses(self) -> bool:
        """Whether every node has every Service's addresses, on a link of kube-proxy's own."""
        return self is not Mode.NFTABLES


def bound_addresses(ports: Iterable[ServicePort]) -> frozenset[Address]:
    """What mode ipvs has on kube-ipvs0 (pkg/proxy/ipvs): the addresses of all Services, with or without endpoints."""
    return frozenset(
        address for port in ports for address in (port.cluster_ip, *port.load_balancer_ips, *port.external_ips)
    )
