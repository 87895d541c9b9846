"""The rules on the bridges that keep nodes apart, as nft's text. Pure.

Owns what a partition drops. Nodes on one subnet are kept apart by their ports; between subnets frames pass the router's
ports, and only their addresses say whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.wire.topology import Host, Topology

TABLE = "table bridge lab"


def ruleset(topology: Topology, partitioned: Iterable[str]) -> str:
    """Input for `nft -f`: no frame passes between these nodes and the other ones, all else does.

    One transaction: there is no moment without the rules that stay.
    """
    names = set(partitioned)
    rules: list[str] = []
    for node in topology.nodes:
        others = [other for other in topology.nodes if other is not node]
        if node.name in names and others:
            rules += _apart(_ports([node]), _ports(others))
            if len(topology.subnets) > 1:
                rules += _strangers(node, others)
    chain = "\n".join(["type filter hook forward priority 0;", *rules])
    return f"{TABLE}\ndelete {TABLE}\n{TABLE} {{\nchain forward {{\n{chain}\n}}\n}}\n"


def _apart(ones: str, others: str) -> list[str]:
    return [f"iifname {ones} oifname {others} drop", f"iifname {others} oifname {ones} drop"]


def _strangers(node: Host, others: list[Host]) -> list[str]:
    rules = []
    for family, version in (("ip", 4), ("ip6", 6)):
        pods = [net for other in others for net in other.pods if net.version == version]
        addresses = [ip for other in others for nic in other.nics if (ip := nic.ip(version)) is not None]
        if not addresses:
            continue
        theirs = ", ".join(map(str, [*pods, *addresses]))
        rules.append(f"oifname {_ports([node])} {family} saddr {{ {theirs} }} drop")
        rules.append(f"iifname {_ports([node])} {family} daddr {{ {theirs} }} drop")
    return rules


def _ports(hosts: Iterable[Host]) -> str:
    ports = ", ".join(f'"{nic.port}"' for host in hosts for nic in host.nics)
    return f"{{ {ports} }}"
