"""What the kernel of each host is told: forwarding, ARP, duplicate address detection. Pure.

Owns sysctls as mappings; who writes them is `network`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lab.wire.topology import Host, Role, Topology

_COMMON = {
    # Addresses serve at once: duplicates are the agents' business, and a lab has to start fast.
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.default.dad_transmits": "0",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    # Client, router and nodes share a subnet: redirects would teach the client a way past the router.
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.default.accept_redirects": "0",
    "net.ipv6.conf.all.accept_redirects": "0",
    "net.ipv6.conf.default.accept_redirects": "0",
}
_FORWARDING = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    # Layer 4 hash, as routers that balance by ECMP use; a next hop whose ARP fails is left out.
    "net.ipv4.fib_multipath_hash_policy": "1",
    "net.ipv6.fib_multipath_hash_policy": "1",
    "net.ipv4.fib_multipath_use_neigh": "1",
}
# What kube-proxy's strictARP sets.
_STRICT_ARP = {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
# Names in a topology file -> what they set.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "dad_transmits": ("net.ipv6.conf.default.dad_transmits",),
    "rp_filter": ("net.ipv4.conf.all.rp_filter", "net.ipv4.conf.default.rp_filter"),
    "arp_ignore": ("net.ipv4.conf.all.arp_ignore",),
    "arp_announce": ("net.ipv4.conf.all.arp_announce",),
}
_KERNELS_OWN = {"arp_ignore": 0, "arp_announce": 0}


def of_host(host: Host) -> dict[str, str]:
    """All settings of that host, its cables included: they copied what `default` was before. Later links copy these."""
    settings = dict(_COMMON)
    if host.is_node or host.role is Role.ROUTER:
        settings |= _FORWARDING
    if host.is_node:
        settings |= _STRICT_ARP
    for name, value in host.sysctls:
        settings |= dict.fromkeys(CHOICES[name], str(value))
        if name == "dad_transmits":
            settings |= dict.fromkeys(_accept_dad("all", "default"), str(min(value, 1)))
    return for_links(settings, [cable.link for cable in host.cables])


def without_strict_arp(topology: Topology) -> Topology:
    """The same hosts, with the kernel's own ARP on the nodes unless they say otherwise."""
    nodes = (replace(node, sysctls=tuple({**_KERNELS_OWN, **dict(node.sysctls)}.items())) for node in topology.nodes)
    return replace(topology, nodes=tuple(nodes))


def of_pod() -> dict[str, str]:
    """All settings of a pod's namespace."""
    return for_links(_COMMON, ["eth0"])


def for_links(settings: Mapping[str, str], links: list[str]) -> dict[str, str]:
    """The settings, and those for future links written for these links too."""
    found = dict(settings)
    for link in links:
        found |= {key.replace(".default.", f".{link}."): value for key, value in settings.items() if ".default." in key}
    return found


def _accept_dad(*where: str) -> list[str]:
    return [f"net.ipv6.conf.{one}.accept_dad" for one in where]
