"""The rules on the bridges that keep nodes apart, as nft's text. Pure.

Owns what a partition, a closed gossip port and a dead switch port drop. Nodes on one subnet are kept apart by their
ports; between subnets frames pass the router's ports, and only their addresses say whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.wire.topology import Host, Topology
from purelb.names import GOSSIP_PORT

TABLE = "table bridge lab"


@dataclass(frozen=True, slots=True)
class Closure:
    """The gossip's port is closed one way, as a firewall's rule would do it."""

    node: str
    is_inward: bool
    """Whether no gossip reaches the node; else none leaves it."""
    peer: str | None = None
    """The one node whose gossip it is; None: everybody's."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """What the bridges don't let pass."""

    partitioned: frozenset[str] = frozenset()
    """Nodes that reach no other node, by name."""
    dead: frozenset[str] = frozenset()
    """Hosts whose switch ports are up and pass nothing."""
    closed: frozenset[Closure] = frozenset()


def ruleset(topology: Topology, blocks: Blocks) -> str:
    """Input for `nft -f`: these frames are dropped, all others pass.

    One transaction: there is no moment without the rules that stay.
    """
    rules: list[str] = []
    for node in topology.nodes:
        others = [other for other in topology.nodes if other is not node]
        if node.name in blocks.dead:
            rules += [f"iifname {_ports([node])} drop", f"oifname {_ports([node])} drop"]
        if node.name in blocks.partitioned and others:
            rules += _apart(_ports([node]), _ports(others))
            if len(topology.subnets) > 1:
                rules += _strangers(node, others)
    for closure in sorted(blocks.closed, key=str):
        rules += _closed(topology, closure)
    chain = "\n".join(["type filter hook forward priority 0;", *rules])
    return f"{TABLE}\ndelete {TABLE}\n{TABLE} {{\nchain forward {{\n{chain}\n}}\n}}\n"


def _apart(ones: str, others: str) -> list[str]:
    return [f"iifname {ones} oifname {others} drop", f"iifname {others} oifname {ones} drop"]


def _strangers(node: Host, others: list[Host]) -> list[str]:
    rules = []
    for family, version in (("ip", 4), ("ip6", 6)):
        addresses = _addresses(others, version)
        if not addresses:
            continue
        pods = [str(net) for other in others for net in other.pods if net.version == version]
        theirs = ", ".join([*pods, *addresses])
        rules.append(f"oifname {_ports([node])} {family} saddr {{ {theirs} }} drop")
        rules.append(f"iifname {_ports([node])} {family} daddr {{ {theirs} }} drop")
    return rules


def _closed(topology: Topology, closure: Closure) -> list[str]:
    """Both of TCP's ways are dropped in one direction: an answer to a connection from the node comes from that port."""
    way, whose = ("oifname", "saddr") if closure.is_inward else ("iifname", "daddr")
    ports = f"{way} {_ports([topology.find(closure.node)])}"
    matches = [f"{ports} ether type {{ ip, ip6 }}"]
    if closure.peer is not None:
        peer = [topology.find(closure.peer)]
        matches = [
            f"{ports} {family} {whose} {{ {', '.join(theirs)} }}"
            for family, version in (("ip", 4), ("ip6", 6))
            if (theirs := _addresses(peer, version))
        ]
    return [
        f"{match} meta l4proto {{ tcp, udp }} th {port} {GOSSIP_PORT} drop"
        for match in matches
        for port in ("dport", "sport")
    ]


def _addresses(hosts: Iterable[Host], version: int) -> list[str]:
    return [str(ip) for host in hosts for nic in host.nics if (ip := nic.ip(version)) is not None]


def _ports(hosts: Iterable[Host]) -> str:
    ports = ", ".join(f'"{port}"' for host in hosts for nic in host.nics for port in nic.ports)
    return f"{{ {ports} }}"
