"""The NAT rules of one node and IP family, as kube-proxy's nftables mode has them. Pure: values in, nft's text out.

One table, made anew as a whole in one transaction: packets see the old rules or the new ones. What each packet meets:
destination NAT to a random endpoint (or the one that this client had, with affinity), masquerade for what comes from
outside under policy Cluster and for a pod that reaches itself, a drop without a local endpoint under policy Local, a
rejection without any endpoint; before all that, a drop for whom a Service's ``loadBalancerSourceRanges`` don't name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from lab.kubeproxy.services import Address, Endpoint, ServicePort

TABLE: Final = "kube-proxy"
MASQUERADE: Final = 0x4000
"""The bit of a packet's mark that says: masquerade it."""


@dataclass(frozen=True, slots=True)
class NodeView:
    """Whose rules they are."""

    name: str
    addresses: tuple[Address, ...]
    """On which node ports answer, and which count as local sources."""
    pods: tuple[IPv4Network | IPv6Network, ...]
    """The cluster's pod networks: what comes from there isn't from outside."""


def empty(version: int) -> str:
    """Have the table, without a rule."""
    family = _family(version)
    return f"table {family} {TABLE}\ndelete table {family} {TABLE}\ntable {family} {TABLE} {{}}\n"


def ruleset(version: int, ports: Iterable[ServicePort], node: NodeView) -> str:
    """All rules of an IP version, as input for ``nft -f``."""
    mine = [port for port in ports if port.version == version]
    family = where = _family(version)
    address = "ipv4_addr" if version == 4 else "ipv6_addr"
    services: list[str] = []
    node_ports: list[str] = []
    silent: list[str] = []
    silent_ports: list[str] = []
    guarded: list[str] = []
    chains: list[str] = []
    for number, port in enumerate(mine):
        outside = (*port.load_balancer_ips, *port.external_ips)
        if port.endpoints:
            chains += _chains(number, port, node)
            services.append(_element(port.cluster_ip, port, f"goto {_internal(number)}"))
            services += [_element(vip, port, f"goto external-{number}") for vip in dict.fromkeys(outside)]
            if port.node_port is not None:
                node_ports.append(f"{port.protocol} . {port.node_port} : goto external-{number}")
        if port.source_ranges and port.load_balancer_ips:
            chains.append(_chain(f"firewall-{number}", [f"{where} saddr != {{ {_friends(port, node)} }} drop"]))
            guarded += [_element(vip, port, f"goto firewall-{number}") for vip in dict.fromkeys(port.load_balancer_ips)]
        inner, outer = _verdicts_without_endpoints(port, node)
        if inner:
            silent.append(_element(port.cluster_ip, port, inner))
        if outer:
            silent += [_element(vip, port, outer) for vip in dict.fromkeys(outside)]
            if port.node_port is not None:
                silent_ports.append(f"{port.protocol} . {port.node_port} : {outer}")
    here = ", ".join(str(one) for one in node.addresses if one.version == version)
    key = f"{where} daddr . meta l4proto . th dport"
    node_key = f"{where} daddr {{ {here} }} meta l4proto . th dport" if here else None
    lines = [
        _map("service-ips", f"{address} . inet_proto . inet_service", services),
        _map("no-endpoint-services", f"{address} . inet_proto . inet_service", silent),
        _map("service-nodeports", "inet_proto . inet_service", node_ports),
        _map("no-endpoint-nodeports", "inet_proto . inet_service", silent_ports),
        _map("firewall-ips", f"{address} . inet_proto . inet_service", guarded),
        *(
            _affinity(number, endpoint, port, address)
            for number, port in enumerate(mine)
            if port.affinity is not None
            for endpoint in port.endpoints
        ),
        _chain("mark-for-masquerade", [f"meta mark set meta mark or {hex(MASQUERADE)}"]),
        _chain("reject-chain", ["reject"]),
        *chains,
        _chain(
            "services", [f"{key} vmap @service-ips", *([f"{node_key} vmap @service-nodeports"] if node_key else [])]
        ),
        _chain(
            "endpoints-check",
            [
                f"ct state new {key} vmap @no-endpoint-services",
                *(f"ct state new {rule}" for rule in _of(node_key, "vmap @no-endpoint-nodeports")),
            ],
        ),
        *(
            _chain(f"filter-{hook}", [f"type filter hook {hook} priority filter", "jump endpoints-check"])
            for hook in ("input", "forward", "output")
        ),
        _chain("firewall-check", [f"ct state new {key} vmap @firewall-ips"]),
        *(
            # Before the destination is translated: it is then the Service's own.
            _chain(f"filter-{hook}-pre-dnat", [f"type filter hook {hook} priority -110", "jump firewall-check"])
            for hook in ("prerouting", "output")
        ),
        _chain("nat-prerouting", ["type nat hook prerouting priority dstnat", "jump services"]),
        _chain("nat-output", ["type nat hook output priority -100", "jump services"]),
        _chain(
            "nat-postrouting",
            [
                "type nat hook postrouting priority srcnat",
                f"meta mark and {hex(MASQUERADE)} == 0 return",
                f"meta mark set meta mark xor {hex(MASQUERADE)}",
                "masquerade fully-random",
            ],
        ),
    ]
    body = "\n".join(lines)
    return f"table {family} {TABLE}\ndelete table {family} {TABLE}\ntable {family} {TABLE} {{\n{body}\n}}\n"


def _of(match: str | None, verdict: str) -> list[str]:
    return [f"{match} {verdict}"] if match else []


def _family(version: int) -> str:
    return "ip" if version == 4 else "ip6"


def _element(address: Address, port: ServicePort, verdict: str) -> str:
    return f"{address} . {port.protocol} . {port.port} : {verdict}"


def _map(name: str, key: str, elements: Sequence[str]) -> str:
    unique = {element.partition(" : ")[0]: element for element in reversed(elements)}.values()  # the first one counts
    body = f" elements = {{ {', '.join(unique)} }}" if unique else ""
    return f"map {name} {{ type {key} : verdict;{body} }}"


def _chain(name: str, rules: Iterable[str]) -> str:
    return f"chain {name} {{\n" + "\n".join(f"  {rule};" for rule in rules) + "\n}"


def _affinity(number: int, endpoint: Endpoint, port: ServicePort, address: str) -> str:
    """The clients that this endpoint has served lately."""
    name = _affinity_set(number, endpoint)
    return f"set {name} {{ type {address}; flags dynamic, timeout; timeout {port.affinity}s; }}"


def _affinity_set(number: int, endpoint: Endpoint) -> str:
    return f"affinity-{number}-{int(endpoint.address):x}-{endpoint.port}"


def _friends(port: ServicePort, node: NodeView) -> str:
    """Whom the load balancer's addresses serve: the Service's ranges.

    Where they hold the node, its addresses of the Service too: the node may be its own client by them.
    """
    friends = [str(one) for one in port.source_ranges]
    if any(address in one for address in node.addresses for one in port.source_ranges):
        held = [vip for vip in port.load_balancer_ips if not any(vip in one for one in port.source_ranges)]
        friends += map(str, dict.fromkeys(held))
    return ", ".join(friends)


def _internal(number: int) -> str:
    return f"internal-{number}"


def _chains(number: int, port: ServicePort, node: NodeView) -> list[str]:
    """Of one port: for its cluster IP, for addresses from outside, per endpoint."""
    where = "ip" if port.version == 4 else "ip6"
    inside = port.usable_on(node.name) if port.is_internal_local else port.usable
    chains = [_endpoint_chain(number, endpoint, port) for endpoint in port.endpoints]
    chains.append(_chain(_internal(number), _balance(number, inside, port)))
    pods = ", ".join(str(one) for one in node.pods if one.version == port.version)
    if not port.is_local:
        outer = ["jump mark-for-masquerade", *_balance(number, port.usable, port)]
    else:
        everywhere = f"goto everywhere-{number}"
        chains.append(_chain(f"everywhere-{number}", _balance(number, port.usable, port)))
        outer = [
            # A pod or the node itself that asks a Service's outer address is not from outside: any endpoint serves it.
            *([f"{where} saddr {{ {pods} }} {everywhere}"] if pods else []),
            "fib saddr type local jump mark-for-masquerade",
            f"fib saddr type local {everywhere}",
            *_balance(number, port.usable_on(node.name), port),
        ]
    chains.append(_chain(f"external-{number}", outer))
    return chains


def _balance(number: int, endpoints: Sequence[Endpoint], port: ServicePort) -> list[str]:
    """To the endpoint that this client had, else to a random one."""
    if not endpoints:
        return ["return"]
    where = "ip" if port.version == 4 else "ip6"
    rules = []
    if port.affinity is not None:
        rules = [f"{where} saddr @{_affinity_set(number, one)} goto {_endpoint_name(number, one)}" for one in endpoints]
    choices = ", ".join(f"{index} : goto {_endpoint_name(number, one)}" for index, one in enumerate(endpoints))
    return [*rules, f"numgen random mod {len(endpoints)} vmap {{ {choices} }}"]


def _endpoint_name(number: int, endpoint: Endpoint) -> str:
    return f"endpoint-{number}-{int(endpoint.address):x}-{endpoint.port}"


def _endpoint_chain(number: int, endpoint: Endpoint, port: ServicePort) -> str:
    where = "ip" if port.version == 4 else "ip6"
    target = f"{endpoint.address}:{endpoint.port}" if port.version == 4 else f"[{endpoint.address}]:{endpoint.port}"
    rules = [f"{where} saddr {endpoint.address} jump mark-for-masquerade"]  # a pod that reaches itself
    if port.affinity is not None:
        rules.append(f"update @{_affinity_set(number, endpoint)} {{ {where} saddr }}")
    rules.append(f"meta l4proto {port.protocol} dnat to {target}")
    return _chain(_endpoint_name(number, endpoint), rules)


def _verdicts_without_endpoints(port: ServicePort, node: NodeView) -> tuple[str, str]:
    """What becomes of packets to the cluster IP and to outer addresses that nobody serves; "": they are served."""
    if not port.usable:
        return "goto reject-chain", "goto reject-chain"
    inner = "drop" if port.is_internal_local and not port.usable_on(node.name) else ""
    outer = "drop" if port.is_local and not port.usable_on(node.name) else ""
    return inner, outer
