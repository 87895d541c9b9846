"""What the doctor looks at beside PureLB's own objects, as values. Pure; lenient, as anybody may have written them."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from kubectl_purelb.cluster import environment_of
from purelb import names
from purelb.addresses import AddressRange, IPAddress, parse_address, parse_network
from purelb.checks import Finding, read_findings
from purelb.errors import AddressError
from purelb.nodefacts import NodeFacts, read_facts
from purelb.services import ServiceKey, parse_time

Json: TypeAlias = Mapping[str, Any]

_CNI_ADDRESSES: Final = (
    "projectcalico.org/IPv4Address",
    "projectcalico.org/IPv6Address",
    "flannel.alpha.coreos.com/public-ip",
    "flannel.alpha.coreos.com/public-ipv6",
)
"""Annotations of a Node in which CNIs keep what they take for its address; some with a prefix length."""
PROXY_CONFIGS: Final = {"kube-proxy": "config.conf", "kube-proxy-config": "config"}
"""ConfigMaps of kube-system with kube-proxy's configuration, and by which key: kubeadm's, and EKS's."""
LONGEST: Final = 64 * 1024
"""Characters of it that are read."""
_SERVICELB: Final = "svccontroller.k3s.cattle.io/svcname"
"""The label of the DaemonSets that k3s's servicelb makes, one for each Service."""
_SERVICELB_NAMESPACE: Final = "svccontroller.k3s.cattle.io/svcnamespace"


@dataclass(frozen=True, slots=True)
class NodeView:
    """A Node."""

    name: str
    addresses: frozenset[IPAddress] = frozenset()
    """By which it is reached, as kubelet says or its CNI."""
    pods: tuple[tuple[str, AddressRange], ...] = ()
    """The networks of its pods."""


@dataclass(frozen=True, slots=True)
class NodeWord:
    """What the agent of a node says in its Lease."""

    node: str
    findings: tuple[Finding, ...] | None = None
    """None: it says nothing of that."""
    facts: NodeFacts = field(default_factory=NodeFacts)
    said: datetime.datetime | None = None
    """When, by the node's clock."""
    heard: datetime.datetime | None = None
    """When the API server had that, by its own clock; None: it doesn't say."""


@dataclass(frozen=True, slots=True)
class Controller:
    """Another program that gives Services addresses, and takes those without a class for its own."""

    name: str
    where: str
    """Its workload: ``DaemonSet kube-system/kube-vip``."""
    service: ServiceKey | None = None
    """The one Service for which it is there; None: all."""


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """kube-proxy's configuration, for the next time that it starts."""

    where: str
    """The object, as kubectl takes it: ``configmap kube-proxy -n kube-system``."""
    mode: str
    is_strict: bool
    """strictARP."""

    @property
    def is_ipvs(self) -> bool:
        return self.mode == "ipvs"

    @property
    def is_loose(self) -> bool:
        """Whether nodes answer ARP for every address that they have on ``kube-ipvs0``."""
        return self.is_ipvs and not self.is_strict


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All of it."""

    nodes: tuple[NodeView, ...] = ()
    words: Mapping[str, NodeWord] = field(default_factory=dict)
    controllers: tuple[Controller, ...] = ()
    cluster_ips: tuple[tuple[str, AddressRange], ...] = ()
    """The ranges of ClusterIPs; none where the server doesn't tell."""
    homes: frozenset[str] = frozenset()
    """The namespaces where agents of PureLB's are, ours included."""
    version: tuple[int, int] | None = None
    """Of Kubernetes."""
    proxy: ProxyConfig | None = None
    """None: there is no such ConfigMap, or none that may be read."""


def view_node(body: Json) -> NodeView:
    """Read a Node."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    said = [
        entry.get("address")
        for entry in (body.get("status") or {}).get("addresses") or ()
        if entry.get("type") in ("InternalIP", "ExternalIP")
    ]
    annotations = metadata.get("annotations") or {}
    said += [str(annotations[key]).partition("/")[0] for key in _CNI_ADDRESSES if key in annotations]
    networks = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return NodeView(metadata["name"], frozenset(_addresses(said)), tuple(_networks(networks)))


def view_word(body: Json) -> NodeWord | None:
    """Read a Lease of an agent; None of another's."""
    metadata = body["metadata"]
    name = metadata["name"]
    if not name.startswith(names.NODE_LEASE):
        return None
    node, annotations = name.removeprefix(names.NODE_LEASE), metadata.get("annotations") or {}
    told = annotations.get(names.LEASE_FINDINGS)
    times = [
        entry.get("time")
        for entry in metadata.get("managedFields") or ()
        if entry.get("manager") == names.AGENT_COMPONENT and entry.get("time")
    ]
    renewed = (body.get("spec") or {}).get("renewTime")
    return NodeWord(
        node,
        read_findings(told, f"node {node}") if told is not None else None,
        read_facts(annotations.get(names.LEASE_FACTS) or ""),
        parse_time(renewed) if renewed else None,
        parse_time(max(times)) if times else None,
    )


def view_controller(body: Json) -> Controller | None:
    """Read a Deployment or a DaemonSet; None of one that leaves Services alone, as far as that can be seen."""
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    where = f"{body.get('kind', 'workload')} {metadata.get('namespace', '')}/{metadata['name']}"
    if _SERVICELB in labels:
        of = ServiceKey(labels.get(_SERVICELB_NAMESPACE, metadata.get("namespace", "")), labels[_SERVICELB])
        return Controller("servicelb (k3s)", where, of)
    for container in _containers(body):
        image, environment = str(container.get("image") or ""), environment_of(container)
        words = [*map(str, container.get("command") or ()), *map(str, container.get("args") or ())]
        if "metallb/controller" in image and not any(word.startswith("--lb-class") for word in words):
            return Controller("MetalLB", where)
        is_kube_vip = "kube-vip/kube-vip" in image and "cloud-provider" not in image
        if is_kube_vip and environment.get("svc_enable") == "true" and environment.get("lb_class_only") != "true":
            return Controller("kube-vip", where)
        if "openelb" in image and "manager" in metadata["name"]:
            return Controller("OpenELB", where)
    return None


def view_cluster_ips(body: Json) -> Iterator[tuple[str, AddressRange]]:
    """Read a ServiceCIDR."""
    yield from _networks((body.get("spec") or {}).get("cidrs") or ())


def view_proxy(body: Json) -> ProxyConfig | None:
    """Read kube-proxy's ConfigMap, as kubeadm or EKS write it; None where it isn't one (KubeProxyConfiguration)."""
    name, data = body["metadata"]["name"], body.get("data") or {}
    try:
        # BaseLoader takes texts for texts, and puts in no merge keys, whose size an enemy could choose.
        found = yaml.BaseLoader(str(data.get(PROXY_CONFIGS.get(name, "")) or "")[:LONGEST]).get_single_data()
    except (yaml.YAMLError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("kind") != "KubeProxyConfiguration":
        return None
    ipvs = found.get("ipvs")
    strict = ipvs.get("strictARP") if isinstance(ipvs, dict) else None
    mode = found.get("mode")
    return ProxyConfig(
        f"configmap {name} -n kube-system",
        mode if isinstance(mode, str) and mode else "iptables",
        isinstance(strict, str) and strict.lower() == "true",
    )


def view_version(body: Json) -> tuple[int, int] | None:
    """Read what ``/version`` says: ``1.31``, or ``1.31+`` of some distributions."""
    major, minor = (str(body.get(key) or "") for key in ("major", "minor"))
    minor = minor.rstrip("+")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def _containers(body: Json) -> Iterable[Json]:
    found: Iterable[Json] = (((body.get("spec") or {}).get("template") or {}).get("spec") or {}).get("containers") or ()
    return found


def _addresses(texts: Iterable[Any]) -> Iterator[IPAddress]:
    for text in texts:
        with contextlib.suppress(AddressError):
            yield parse_address(str(text))


def _networks(texts: Iterable[Any]) -> Iterator[tuple[str, AddressRange]]:
    for text in texts:
        with contextlib.suppress(AddressError):
            network = parse_network(str(text))
            yield str(network), AddressRange(network.network_address, network.broadcast_address)
