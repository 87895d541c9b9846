"""What the article's walkthrough applies and what it must lead to, for IPv4, IPv6 and both. Pure but for reading YAML.

Owns the expected addresses; the owners follow from the election's hash rule, which for IPv4 gives the
article's own. Must not run anything.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import yaml

from lab.machine.processes import REPOSITORY
from purelb.addresses import IPAddress, parse_address
from purelb.election import owner

Object = dict[str, Any]

SAMPLES = REPOSITORY / "manifests" / "samples"
NAMESPACE = "nginx-quic"
LAYER2, BGP = "layer2-ippool", "bgp-ippool"
GROUP_LAYER2 = "01-servicegroup-layer2.yaml"
SERVICES_LAYER2 = "02-services-layer2.yaml"
SERVICE_FIXED = "03-service-fixed-ip.yaml"
GROUP_BGP = "04-servicegroup-bgp.yaml"
SERVICES_BGP = "05-services-bgp.yaml"

# The article has IPv4 only; its IPv6 counterpart continues the lab's rule (10.31.A.B is fd00:10:31::A:B).
_POOLS6 = {
    LAYER2: {
        "subnet": "fd00:10:31::/64",
        "pool": "fd00:10:31::188:64-fd00:10:31::188:126",
        "aggregation": "/128",
    },
    BGP: {"subnet": "fd00:10:189::/64", "pool": "fd00:10:189::-fd00:10:189::ffff:fffe", "aggregation": "/128"},
}
_PINNED6 = {"10.31.188.100": "fd00:10:31::188:100", "10.189.100.100": "fd00:10:189::100:100"}


class Families(Enum):
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    DUAL = "dual"


@dataclass(frozen=True, slots=True)
class Expected:
    """One Service of the walkthrough and the addresses that it must get, in this order."""

    service: str
    group: str
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """The walkthrough over some families."""

    families: Families
    layer2: tuple[Expected, ...]
    fixed: Expected
    bgp: tuple[Expected, ...]

    @property
    def everything(self) -> tuple[Expected, ...]:
        return (*self.layer2, self.fixed, *self.bgp)

    def layer2_vips(self) -> list[IPAddress]:
        return [vip for one in (*self.layer2, self.fixed) for vip in one.addresses]

    def bgp_vips(self) -> list[IPAddress]:
        return [vip for one in self.bgp for vip in one.addresses]

    def manifest(self, name: str) -> str:
        """A sample as it is to be applied: untouched for IPv4, else with pools and families added."""
        text = (SAMPLES / name).read_text()
        if self.families is Families.IPV4:
            return text
        documents = [adapt(document, self.families) for document in yaml.safe_load_all(text) if document]
        return yaml.safe_dump_all(documents, sort_keys=False)


def scenario(families: Families) -> Scenario:
    """What the walkthrough must lead to over these families."""

    def expect(service: str, group: str, ipv4: str, ipv6: str, *, pinned: bool = False) -> Expected:
        match families:
            case Families.IPV4:
                texts = [ipv4]
            case Families.IPV6:
                texts = [ipv6]
            case Families.DUAL:
                # spec.loadBalancerIP holds one address: a Service that pins one stays single-stack.
                texts = [ipv4] if pinned else [ipv4, ipv6]
        return Expected(service, group, tuple(parse_address(text) for text in texts))

    return Scenario(
        families,
        layer2=(
            expect("nginx-lb-service", LAYER2, "10.31.188.64", "fd00:10:31::188:64"),
            expect("nginx-lb2-service", LAYER2, "10.31.188.65", "fd00:10:31::188:65"),
            expect("nginx-lb3-service", LAYER2, "10.31.188.66", "fd00:10:31::188:66"),
        ),
        fixed=expect("nginx-lb4-service", LAYER2, "10.31.188.100", "fd00:10:31::188:100", pinned=True),
        bgp=(
            expect("nginx-lb5-service", BGP, "10.189.0.0", "fd00:10:189::"),
            expect("nginx-lb6-service", BGP, "10.189.100.100", "fd00:10:189::100:100", pinned=True),
        ),
    )


def adapt(document: Object, families: Families) -> Object:
    """A sample document for IPv6 or both families."""
    adapted = copy.deepcopy(document)
    if adapted["kind"] == "ServiceGroup":
        local = adapted["spec"]["local"]
        local["v6pool"] = _POOLS6[adapted["metadata"]["name"]]
        if families is Families.IPV6:
            del local["v4pool"]
    if adapted["kind"] == "Service":
        spec = adapted["spec"]
        pinned = spec.get("loadBalancerIP")
        if families is Families.IPV6:
            spec.update(ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"])
            if pinned:
                spec["loadBalancerIP"] = _PINNED6[pinned]
        elif not pinned:
            spec.update(ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv4", "IPv6"])
    return adapted


def owners(vips: Iterable[IPAddress], nodes: Iterable[str]) -> dict[IPAddress, str]:
    """Which of these nodes has to answer for each VIP."""
    candidates = list(nodes)
    return {vip: chosen for vip in vips if (chosen := owner(candidates, vip)) is not None}
