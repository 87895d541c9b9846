"""Who is on the lab's wire: subnets, hosts, their NICs and addresses; by default those of the article. Pure.

Owns every address of the lab. The first three nodes, the client and the router are those of the article whose
walkthrough the demo runs; further nodes continue its scheme. Other topologies come from files: see `topologyfile`.
Must not touch the kernel.

IPv6 goes beside IPv4 by one rule: 10.31.A.B is fd00:10:31::A:B, the decimal digits read as hex groups.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TypeAlias

from lab.errors import UnknownHost
from lab.wire.links import Cable, Layer, tagged

WIRE4 = IPv4Network("10.31.0.0/16")
WIRE6 = IPv6Network("fd00:10:31::/64")
# What the article hands out for BGP, and its IPv6 counterpart: routed to the nodes, on no host's subnet.
ROUTED4 = IPv4Network("10.189.0.0/16")
ROUTED6 = IPv6Network("fd00:10:189::/64")
PODS4 = IPv4Network("10.0.0.0/16")
PODS6 = IPv6Network("fd00:10:0::/48")
UPSTREAM = IPv4Address("10.31.254.254")  # the router's own default gateway; nobody answers there
API_PORT = 6443
MAX_NODES = 200
MAIN_TABLE = 254  # RT_TABLE_MAIN, rtnetlink(7)

DOMAIN = ".k8s.tcinternal"
"""At the end of the article's node names."""

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"

# The article's `ip addr show eth0`, one per node.
_ARTICLE_MACS = {1: "52:54:00:69:0a:ab", 11: "52:54:00:3c:88:cb", 12: "52:54:00:32:a7:42"}


Address: TypeAlias = IPv4Address | IPv6Address
Interface: TypeAlias = IPv4Interface | IPv6Interface
Network: TypeAlias = IPv4Network | IPv6Network


class Role(Enum):
    MASTER = "control-plane"
    WORKER = "worker"
    CLIENT = "client"
    ROUTER = "router"
    API = "api"


@dataclass(frozen=True, slots=True)
class Subnet:
    """One bridge, with what is on it."""

    name: str
    """Of the bridge too: at most 15 characters (IFNAMSIZ)."""
    ipv4: IPv4Network | None
    ipv6: IPv6Network | None
    """None: the family isn't there. One of them is."""

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(net for net in (self.ipv4, self.ipv6) if net is not None)


@dataclass(frozen=True, slots=True)
class Nic:
    """A host's link to a subnet."""

    cables: tuple[Cable, ...]
    """Two of a bond, else one; a VLAN may share another NIC's."""
    subnet: Subnet
    ipv4: IPv4Interface | None
    ipv6: IPv6Interface | None
    """None: it has no address of that family, but of the other."""
    layers: tuple[Layer, ...] = ()
    """What is on top of the cables, upwards; the last one has the addresses."""

    @property
    def name(self) -> str:
        """Of the link that has the addresses."""
        return self.layers[-1].name if self.layers else self.cables[0].link

    @property
    def mac(self) -> str:
        return self.cables[0].mac

    @property
    def tag(self) -> int | None:
        """The VLAN that its frames are of; None: they have no tag."""
        return next((layer.tag for layer in self.layers if layer.tag is not None), None)

    @property
    def ports(self) -> tuple[str, ...]:
        """Its other ends, on the subnet's bridge."""
        return tuple(cable.port if self.tag is None else tagged(cable.port, self.tag) for cable in self.cables)

    @property
    def addresses(self) -> tuple[Interface, ...]:
        """One per family, IPv4 first."""
        return tuple(one for one in (self.ipv4, self.ipv6) if one is not None)

    def ip(self, version: int) -> Address | None:
        """Its address of that IP version."""
        return next((one.ip for one in self.addresses if one.version == version), None)

    @property
    def is_alone(self) -> bool:
        """Whether the host takes nobody for its neighbour but the gateway: a /32, as many providers give out."""
        return all(one.network.prefixlen == one.max_prefixlen for one in self.addresses)


@dataclass(frozen=True, slots=True)
class Host:
    """One network namespace on the wire."""

    name: str
    role: Role
    nics: tuple[Nic, ...]
    """The first one holds the address that the cluster knows the node by, and the way to the router."""
    index: int = 0  # of a node: which pod network is its own
    default_table: int | None = MAIN_TABLE
    """Which routing table has the default route; None: there is none."""
    is_tainted: bool = False
    """Whether it takes only pods that tolerate a control plane."""
    is_excluded: bool = False
    """Whether it asks load balancers to leave it out, as kubeadm has each of its control planes do."""
    sysctls: tuple[tuple[str, int], ...] = ()
    """`dad_transmits`, `rp_filter`, `arp_ignore` where they differ from the lab's own."""

    @property
    def is_node(self) -> bool:
        return self.role in (Role.MASTER, Role.WORKER)

    @property
    def mac(self) -> str:
        return self.nics[0].mac

    @property
    def cables(self) -> tuple[Cable, ...]:
        return tuple(dict.fromkeys(cable for nic in self.nics for cable in nic.cables))

    @property
    def ipv4(self) -> IPv4Interface | None:
        return self.nics[0].ipv4

    @property
    def ipv6(self) -> IPv6Interface | None:
        return self.nics[0].ipv6

    @property
    def ips(self) -> tuple[Address, ...]:
        """The addresses that it is known by, IPv4 first."""
        return tuple(one.ip for one in self.nics[0].addresses)

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions that it is known by, which are those of its pods."""
        return tuple(ip.version for ip in self.ips)

    @property
    def pods4(self) -> IPv4Network:
        """The node's pod network: 10.0.N.0/24 (the article's allocator runs at 10.0.2.140)."""
        return IPv4Network((int(PODS4.network_address) + (self.index << 8), 24))

    @property
    def pods6(self) -> IPv6Network:
        return IPv6Network((int(PODS6.network_address) + (self.index << 64), 64))

    @property
    def pods(self) -> tuple[Network, ...]:
        """Its pod networks of the families that it has."""
        return tuple(net for net in (self.pods4, self.pods6) if net.version in self.versions)

    def pod_ips(self, number: int) -> tuple[Address, ...]:
        """The addresses of its pod of that number: 40 is 10.0.N.40 and fd00:10:0:N::40."""
        return tuple(net[number if net.version == 4 else int(str(number), 16)] for net in self.pods)

    def nic_on(self, subnet: Subnet) -> Nic | None:
        return next((nic for nic in self.nics if nic.subnet == subnet), None)


@dataclass(frozen=True, slots=True)
class Topology:
    """All hosts of one lab, in the order in which they come up."""

    subnets: tuple[Subnet, ...]
    nodes: tuple[Host, ...]
    client: Host
    router: Host
    """On every subnet."""
    api: Host

    @property
    def hosts(self) -> tuple[Host, ...]:
        return (self.api, self.router, self.client, *self.nodes)

    def api_ip(self, *hosts: Host) -> Address:
        """The API server's address by which all these hosts reach it; its first one if there is no such family."""
        common = (ip for ip in self.api.ips if all(ip.version in host.versions for host in hosts))
        return next(common, self.api.ips[0])

    def api_url(self, *hosts: Host) -> str:
        """Where all these hosts reach the API server."""
        ip = self.api_ip(*hosts)
        return f"https://{ip}:{API_PORT}" if ip.version == 4 else f"https://[{ip}]:{API_PORT}"

    @property
    def routed_nodes(self) -> tuple[Host, ...]:
        """Next hops of the router's routes to ROUTED4/6: the workers, as in the article, else the master."""
        return tuple(node for node in self.nodes if node.role is Role.WORKER) or self.nodes

    def find(self, text: str) -> Host:
        """Host by name, unique part of the name, role (`client`, `router`, `master`) or address.

        Raises UnknownHost.
        """
        aliases = {"client": self.client, "router": self.router, "master": self.nodes[0], "api": self.api}
        if text in aliases:
            return aliases[text]
        for host in self.hosts:
            if text == host.name or any(text == str(one.ip) for nic in host.nics for one in nic.addresses):
                return host
        # A short name such as worker-188-11 or worker-11, never a part of a number: 188-1 is not 188-11.
        short = [host for host in self.hosts if _matches_short(host.name.split(".")[0], text)]
        if len(short) == 1:
            return short[0]
        known = ", ".join(host.name for host in self.hosts if host.role is not Role.API)
        raise UnknownHost(f"no host {text!r} in this lab; there are: {known}")


def _matches_short(hostname: str, text: str) -> bool:
    parts, wanted = hostname.split("-"), text.split("-")
    if parts[-len(wanted) :] == wanted:
        return True
    return len(wanted) == 2 and parts[-1] == wanted[1] and wanted[0] in parts


def topology(nodes: int, *, is_kubeadm: bool = False) -> Topology:
    """The lab with this many nodes (1 to MAX_NODES): one master, the rest workers.

    The master is tainted beside workers, and with `is_kubeadm` excluded too. Raises ValueError for any other number.
    """
    if not 1 <= nodes <= MAX_NODES:
        raise ValueError(f"a lab has 1 to {MAX_NODES} nodes, not {nodes}")
    wire = Subnet("wire", WIRE4, WIRE6)
    master = _host(wire, f"tiny-cilium-master-188-1{DOMAIN}", Role.MASTER, 188, 1, 0)
    members = [replace(master, is_tainted=nodes > 1, is_excluded=is_kubeadm)]
    for k in range(1, nodes):
        third, fourth = _worker_address(k)
        name = f"tiny-cilium-worker-{third}-{fourth}{DOMAIN}"
        members.append(_host(wire, name, Role.WORKER, third, fourth, k))
    return Topology(
        subnets=(wire,),
        nodes=tuple(members),
        client=_host(wire, "tiny-centos7-100-2", Role.CLIENT, 100, 2, 0),
        router=_host(wire, "tiny-openwrt-plus", Role.ROUTER, 254, 251, 0),
        api=_host(wire, "control-plane", Role.API, 254, 10, 0),
    )


def _worker_address(k: int) -> tuple[int, int]:
    """Last two bytes of worker k's address: 188.11 up to 188.63 (below the article's pool), then 187.x."""
    return (188, 10 + k) if k <= 53 else (187, k)


def _host(wire: Subnet, name: str, role: Role, third: int, fourth: int, index: int) -> Host:
    mac = _ARTICLE_MACS.get(fourth) if third == 188 else None
    nic = Nic(
        cables=(Cable("eth0", f"port-{third}-{fourth}", mac or f"52:54:00:1f:{third:02x}:{fourth:02x}"),),
        subnet=wire,
        ipv4=IPv4Interface(f"10.31.{third}.{fourth}/{WIRE4.prefixlen}"),
        ipv6=IPv6Interface((IPv6Address(f"fd00:10:31::{third}:{fourth}"), WIRE6.prefixlen)),
    )
    return Host(name, role, (nic,), index)
