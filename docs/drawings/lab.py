"""The lab of the demo: whose network namespaces they are, on which wire, with which addresses."""

from __future__ import annotations

from docs.drawings.svg import Point, band, box, lines, picture, text
from lab.wire.topology import DOMAIN, ROUTED4, WIRE4, Host, Topology, topology

WIDTH, HEIGHT = 960, 340
_WIRE, _NODES = 150.0, 214.0


def draw() -> str:
    """Client, router and API server above the wire, three nodes below it."""
    hosts = topology(3)
    title = (
        f"The lab: client, router, API server and {len(hosts.nodes)} nodes, each a network namespace, on one bridge "
        f"with the subnet {WIRE4}"
    )
    return picture(WIDTH, HEIGHT, title, [*_wire(), *_above(hosts), *_below(hosts)])


def _wire() -> list[str]:
    return [
        band(60, _WIRE, WIDTH - 120, 24),
        text((WIDTH / 2, _WIRE + 16), f"a bridge: {WIRE4}; each host is a network namespace", "small", anchor="middle"),
    ]


def _above(hosts: Topology) -> list[str]:
    told = {
        "client": (hosts.client, "whom you let ask: ping, curl"),
        "router": (hosts.router, f"the way to {ROUTED4}; FRR with --ecmp"),
        "API server": (hosts.api, "what kubectl talks to"),
    }
    elements: list[str] = []
    for x, (name, (host, words)) in zip(_places(), told.items(), strict=True):
        elements += [*box((x, 44), 180, 30, name), *lines((x, 78), (_address(host), words), "small", anchor="middle")]
        elements.append(_cable((x, 100), (x, _WIRE)))
    return elements


def _below(hosts: Topology) -> list[str]:
    elements: list[str] = []
    for x, node in zip(_places(), hosts.nodes, strict=True):
        name = node.name.removesuffix(DOMAIN)
        elements += [_cable((x, _WIRE + 24), (x, _NODES - 18)), *box((x, _NODES), 240, 34, name)]
        below = (f"eth0: {_address(node)}", "kubelet, kube-proxy, PureLB's agent", f"pods: {node.pods4}")
        elements += lines((x, _NODES + 36), below, "small", anchor="middle")
    foot = f"Layer 2: an address of {WIRE4} on one node's eth0. ECMP: one of {ROUTED4} on kube-lb0 of every node."
    return [*elements, text((WIDTH / 2, HEIGHT - 22), foot, "small faint", anchor="middle")]


def _places() -> list[float]:
    return [WIDTH / 2 - 300, WIDTH / 2, WIDTH / 2 + 300]


def _address(host: Host) -> str:
    return str(host.ips[0])


def _cable(start: Point, end: Point) -> str:
    return f'<path class="line" d="M{start[0]:g} {start[1]:g}L{end[0]:g} {end[1]:g}"/>'
