"""What the router's FRR says of routes and neighbours, read from vtysh's JSON. Pure.

Owns the names of its fields. A next hop is told as the node that it is, whichever of its addresses FRR prefers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_interface, ip_network
from typing import Any

from purelb.addresses import IPNetwork


@dataclass(frozen=True, slots=True)
class NodeAddresses:
    """By which addresses the router may know the nodes."""

    by_address: Mapping[str, str]

    @classmethod
    def of(cls, hosts: Iterable[Mapping[str, Any]]) -> NodeAddresses:
        """From the hosts that `status` lists: `name`, `ipv4`, `ipv6`, `mac`."""
        found = {}
        for host in hosts:
            for text in (str(ip_interface(host["ipv4"]).ip), str(ip_interface(host["ipv6"]).ip)):
                found[text] = host["name"]
            found[str(link_local(host["mac"]))] = host["name"]
        return cls(found)

    def name(self, address: str) -> str:
        """The node's name, or the address itself if it's nobody's."""
        return self.by_address.get(address, address)


def link_local(mac: str) -> IPv6Address:
    """The address that a host gives itself from its MAC (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + identifier)


def show_route(prefix: IPNetwork) -> str:
    """The command that asks for one route."""
    return f"show {'ip' if prefix.version == 4 else 'ipv6'} route {prefix} json"


def next_hops(answer: str, prefix: IPNetwork, nodes: NodeAddresses) -> set[str]:
    """The nodes over which the kernel of the router balances; none when there is no such route."""
    return routes(answer, nodes).get(prefix, set())


def routes(answer: str, nodes: NodeAddresses) -> dict[IPNetwork, set[str]]:
    """All BGP routes of a `show … route … json` that are in the router's kernel, each with its nodes."""
    found: dict[IPNetwork, set[str]] = {}
    for text, entries in (json.loads(answer or "{}")).items():
        for entry in entries:
            if entry.get("protocol") == "bgp" and entry.get("installed"):
                hops = (hop for hop in entry["nexthops"] if hop.get("fib") and hop.get("active"))
                found[ip_network(text)] = {nodes.name(hop["ip"]) for hop in hops if "ip" in hop}
    return found


def established(answer: str, nodes: NodeAddresses) -> set[str]:
    """The nodes with an established session, from `show bgp ipv4 unicast summary json`."""
    parsed = json.loads(answer)
    peers = parsed.get("peers") or parsed.get("ipv4Unicast", {}).get("peers", {})
    return {nodes.name(address) for address, peer in peers.items() if peer["state"] == "Established"}


def updates_received(answer: str, nodes: NodeAddresses) -> dict[str, int]:
    """BGP UPDATE messages per node since the session was configured, from `show bgp neighbors json`."""
    return {
        nodes.name(address): int(peer["messageStats"]["updatesRecv"])
        for address, peer in json.loads(answer).items()
        if isinstance(peer, dict) and "messageStats" in peer
    }


def sessions_lost(answer: str, nodes: NodeAddresses) -> dict[str, int]:
    """How often each node's session has ended, whatever the reason, from `show bgp neighbors json`."""
    return {
        nodes.name(address): int(peer["connectionsDropped"])
        for address, peer in json.loads(answer).items()
        if isinstance(peer, dict) and "connectionsDropped" in peer
    }
