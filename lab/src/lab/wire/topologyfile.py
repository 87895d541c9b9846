"""A topology from a YAML file, for `purelb-lab up --topology FILE`: what it may say and what follows from it.

Owns the file's words and the addresses that it leaves to us. docs/lab.md describes it; lab/topologies has samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_address, ip_interface
from pathlib import Path
from typing import Any, Final

import yaml

from lab.errors import BadTopology
from lab.wire.links import Cable, Kind, Layer, tagged
from lab.wire.sysctls import CHOICES
from lab.wire.topology import MAIN_TABLE, MAX_NODES, Address, Host, Interface, Network, Nic, Role, Subnet, Topology

_FIRST_NODE: Final = 11
_CLIENT, _API, _ROUTER = 252, 253, 254  # host numbers on a subnet
_LEAST_BITS: Final = {4: 8, 6: 16}  # of host numbers: they are read as hex digits in IPv6
_NONE: Final = "none"
_TOP: Final = {"subnets", "nodes", "client", "sysctls"}
_NODE: Final = {"name", "control-plane", "taint", "nics", "default-route", "sysctls"}
_NIC: Final = {"subnet", "ipv4", "ipv6", "on-link-gateway", "bond", "vlan", "over", "bridge"}
FIELDS: Final = (_TOP, _NODE, _NIC)
"""What the file, a node and a NIC may say."""
_TAGS: Final = 4095
_LONGEST_NAME: Final = 15  # IFNAMSIZ, with its final zero


def load(file: Path) -> Topology:
    """The topology of that file. Raises BadTopology."""
    try:
        return parse(yaml.safe_load(file.read_text()))
    except OSError as failure:
        raise BadTopology(f"topology {file}: {failure.strerror}") from failure
    except (BadTopology, ValueError, yaml.YAMLError) as failure:
        raise BadTopology(f"topology {file}: {' '.join(str(failure).split())}") from failure


def parse(content: Any) -> Topology:
    """The topology of a file's content. Raises BadTopology, or ValueError for what is no address."""
    top = _mapping(content, "the file", _TOP)
    subnets = {name: _subnet(name, one) for name, one in _mapping(top.get("subnets"), "subnets").items()}
    if not subnets:
        raise BadTopology("`subnets` names none")
    listed = top.get("nodes")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_NODES:
        raise BadTopology(f"`nodes` is a list of 1 to {MAX_NODES}")
    plan = _Plan(subnets)
    first, client = next(iter(subnets.values())), plan.subnet(top.get("client"), "`client`")
    router = [plan.nic(one, _ROUTER, (plan.cable(f"eth{k}"),)) for k, one in enumerate(subnets.values())]
    api = Host("control-plane", Role.API, (plan.nic(first, _API, (plan.cable("eth0"),)),))
    asking = plan.nic(client, _CLIENT, (plan.cable("eth0"),))
    common = _sysctls(top.get("sysctls"))
    nodes = tuple(_node(plan, index, one, common, is_only=len(listed) == 1) for index, one in enumerate(listed))
    hosts = [node.name for node in nodes]
    for name in hosts:
        if hosts.count(name) > 1:
            raise BadTopology(f"two nodes are called {name!r}")
    for node in nodes:
        if not set(node.versions) & {ip.version for ip in api.ips}:
            raise BadTopology(f"node {node.name} can't reach the API server on {first.name}: they share no IP family")
    return Topology(
        subnets=tuple(subnets.values()),
        nodes=nodes,
        client=Host("client", Role.CLIENT, (asking,)),
        router=Host("router", Role.ROUTER, tuple(router)),
        api=api,
    )


@dataclass(slots=True)
class _Plan:
    """Which addresses, MACs and ports are given out."""

    subnets: Mapping[str, Subnet]
    _taken: set[Address] = field(default_factory=set)
    _count: int = 0

    def subnet(self, name: Any, where: str) -> Subnet:
        """The subnet of that name; without one the first."""
        if name is None:
            return next(iter(self.subnets.values()))
        if name not in self.subnets:
            raise BadTopology(f"{where} is on {name!r}, but `subnets` has {', '.join(self.subnets)}")
        return self.subnets[name]

    def free_number(self, subnet: Subnet) -> int:
        return next(n for n in range(_FIRST_NODE, _CLIENT) if self._taken.isdisjoint(_numbered(subnet, n)))

    def cable(self, link: str) -> Cable:
        self._count += 1
        return Cable(link, f"port-{self._count}", f"52:54:00:20:{self._count >> 8:02x}:{self._count & 0xFF:02x}")

    def nic(
        self,
        subnet: Subnet,
        number: int,
        cables: tuple[Cable, ...],
        layers: tuple[Layer, ...] = (),
        ipv4: str | None = None,
        ipv6: str | None = None,
        *,
        is_alone: bool = False,
    ) -> Nic:
        """A NIC with these addresses, else with those of that host number; "none": none of that family."""
        found: dict[int, Interface] = {}
        for version, text in ((4, ipv4), (6, ipv6)):
            network = next((net for net in subnet.networks if net.version == version), None)
            if network is None and text not in (None, _NONE):
                raise BadTopology(f"{text} isn't on {subnet.name}, which has no IPv{version}")
            if network is None or text == _NONE:
                continue
            address = ip_address(text) if text is not None else _number(network, number)
            if address not in network:
                raise BadTopology(f"{address} isn't on {subnet.name} ({network})")
            if address in self._taken:
                raise BadTopology(f"two hosts have {address}")
            self._taken.add(address)
            found[version] = ip_interface((address, network.max_prefixlen if is_alone else network.prefixlen))
        if not found:
            raise BadTopology(f"a NIC on {subnet.name} has no address")
        return Nic(
            cables=cables,
            subnet=subnet,
            ipv4=four if isinstance(four := found.get(4), IPv4Interface) else None,
            ipv6=six if isinstance(six := found.get(6), IPv6Interface) else None,
            layers=layers,
        )


@dataclass(slots=True)
class _Links:
    """Which links one node has."""

    plan: _Plan
    _cables: dict[str, tuple[Cable, ...]] = field(default_factory=dict)  # below each link without a tag
    _names: Counter[str] = field(default_factory=Counter)

    def stack(self, nic: Mapping[str, Any], where: str) -> tuple[tuple[Cable, ...], tuple[Layer, ...]]:
        """The cables of a NIC and what is on top of them: a bond, on it a VLAN, on that a bridge."""
        is_bond, is_bridge = (_flag(nic, name, where) for name in ("bond", "bridge"))
        over, tag = nic.get("over"), nic.get("vlan")
        if tag is not None and not (type(tag) is int and 0 < tag < _TAGS):
            raise BadTopology(f"{where}: `vlan` is a number from 1 to {_TAGS - 1}, not {tag!r}")
        if over is not None and (tag is None or is_bond):
            raise BadTopology(f"{where}: `over` is for a VLAN that shares the cable of another NIC")
        if over is not None and over not in self._cables:
            raise BadTopology(
                f"{where} is over {over!r}, but before it there is {', '.join(self._cables) or 'nothing'}"
            )
        cables = self._cables[over] if over is not None else tuple(self._cable() for _ in range(2 if is_bond else 1))
        top: str = over if over is not None else cables[0].link
        layers: list[Layer] = []
        if is_bond:
            layers.append(Layer(Kind.BOND, self._name("bond"), tuple(cable.link for cable in cables)))
            top = layers[-1].name
            self._cables[top] = cables
        if tag is not None:
            layers.append(Layer(Kind.VLAN, tagged(top, tag), (top,), tag))
            top = layers[-1].name
            if self._names[top]:
                raise BadTopology(f"{where} has two NICs {top}")
            self._names[top] += 1
        if is_bridge:
            layers.append(Layer(Kind.BRIDGE, self._name("br"), (top,)))
        return cables, tuple(layers)

    def _cable(self) -> Cable:
        made = self.plan.cable(self._name("eth"))
        self._cables[made.link] = (made,)
        return made

    def _name(self, kind: str) -> str:
        """eth0, eth1, bond0, br0 and so on."""
        self._names[kind] += 1
        return f"{kind}{self._names[kind] - 1}"


def _numbered(subnet: Subnet, number: int) -> list[Address]:
    return [_number(net, number) for net in subnet.networks]


def _number(network: Network, number: int) -> Address:
    """Host 11 of a subnet: .11, and ::11."""
    return network.network_address + (number if network.version == 4 else int(str(number), 16))


def _subnet(name: str, content: Any) -> Subnet:
    one = _mapping(content, f"subnet {name}", {"ipv4", "ipv6"})
    if not 0 < len(str(name)) <= _LONGEST_NAME or not str(name).replace("-", "").isalnum():
        raise BadTopology(f"subnet {name!r}: its bridge has its name, of at most {_LONGEST_NAME} letters and digits")
    if not one:
        raise BadTopology(f"subnet {name} needs `ipv4`, `ipv6` or both")
    subnet = Subnet(
        str(name),
        IPv4Network(one["ipv4"]) if "ipv4" in one else None,
        IPv6Network(one["ipv6"]) if "ipv6" in one else None,
    )
    if any(net.max_prefixlen - net.prefixlen < _LEAST_BITS[net.version] for net in subnet.networks):
        raise BadTopology(f"subnet {name} is too small: at least a /24 and a /112")
    return subnet


def _node(plan: _Plan, index: int, content: Any, common: Mapping[str, int], *, is_only: bool) -> Host:
    one = _mapping(content, "a node", _NODE)
    name = one.get("name", f"node-{index + 1}")
    is_master, is_excluded = _control_plane(one.get("control-plane", index == 0), f"node {name}")
    is_tainted = one.get("taint", is_master and not is_only)
    if not isinstance(is_tainted, bool) or (is_tainted and not is_master):
        raise BadTopology(f"node {name}: `taint` is true or false, and true for control planes alone")
    links = _Links(plan)
    nics = one.get("nics") or [None]
    sysctls = {**common, **_sysctls(one.get("sysctls"))}
    return Host(
        name=str(name),
        role=Role.MASTER if is_master else Role.WORKER,
        nics=tuple(_nic(plan, links, nic, f"node {name}") for nic in nics),
        index=index,
        is_tainted=is_tainted,
        is_excluded=is_excluded,
        default_table=_table(one.get("default-route", "main"), f"node {name}"),
        sysctls=tuple(sorted(sysctls.items())),
    )


def _nic(plan: _Plan, links: _Links, content: Any, where: str) -> Nic:
    """`SUBNET`, or a mapping."""
    if content is None or isinstance(content, str):
        content = {"subnet": content}
    one = _mapping(content, f"a NIC of {where}", _NIC)
    subnet = plan.subnet(one.get("subnet"), where)
    is_alone = bool(one.get("on-link-gateway"))
    cables, layers = links.stack(one, where)
    number = plan.free_number(subnet)
    return plan.nic(subnet, number, cables, layers, one.get("ipv4"), one.get("ipv6"), is_alone=is_alone)


def _control_plane(content: Any, where: str) -> tuple[bool, bool]:
    """Whether the node is one, and whether load balancers are asked to leave it out."""
    match content:
        case bool():
            return content, False
        case "kubeadm":
            return True, True
    raise BadTopology(f"{where}: `control-plane` is true, false or kubeadm, not {content!r}")


def _table(content: Any, where: str) -> int | None:
    match content:
        case "main":
            return MAIN_TABLE
        case "none":
            return None
        case int() if 0 < content < 253:
            return content
    raise BadTopology(f"{where}: `default-route` is main, none, or the number of a table, not {content!r}")


def _sysctls(content: Any) -> dict[str, int]:
    found = _mapping(content, "`sysctls`", CHOICES) if content is not None else {}
    for name, value in found.items():
        if not isinstance(value, int):
            raise BadTopology(f"`{name}` is a number, not {value!r}")
    return dict(found)


def _flag(one: Mapping[str, Any], name: str, where: str) -> bool:
    value = one.get(name, False)
    if not isinstance(value, bool):
        raise BadTopology(f"{where}: `{name}` is true or false, not {value!r}")
    return value


def _mapping(content: Any, where: str, known: Iterable[str] | None = None) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise BadTopology(f"{where} is no mapping")
    unknown = sorted(str(key) for key in content if known is not None and key not in known)
    if unknown and known is not None:
        raise BadTopology(f"{where} knows no `{unknown[0]}`, but {', '.join(sorted(known))}")
    return content
