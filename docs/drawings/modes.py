"""The two ways in which an address is on the network: on one node's NIC, or on kube-lb0 of all behind a router."""

from __future__ import annotations

from collections.abc import Sequence

from docs.drawings.svg import Point, band, box, lines, picture, rule, straight, text

WIDTH, HEIGHT = 960, 330
VIP_LOCAL, VIP_ROUTED = "192.168.1.200", "10.189.0.7"
NODES: Sequence[str] = ("node 1", "node 2", "node 3")
_BOX = 112


def draw() -> str:
    """Both, side by side."""
    title = (
        "Layer 2: the address is on the NIC of one node. ECMP: it is on kube-lb0 of every node, and a router spreads."
    )
    return picture(WIDTH, HEIGHT, title, [*_layer2(240), rule((480, 24), (480, HEIGHT - 24)), *_ecmp(720)])


def _layer2(centre: float) -> list[str]:
    owner = 1
    elements = [
        text((centre, 36), "Layer 2: one node has it", "head", anchor="middle"),
        *box((centre, 76), 230, 30, "client on the same network"),
        text((centre - 8, 116), f"ARP: who has {VIP_LOCAL}?", "small faint", anchor="end"),
        straight((centre, 92), (centre, 152)),
        band(centre - 200, 152, 400, 8),
    ]
    for number, x in enumerate(_places(centre)):
        elements += _node((x, 216), NODES[number], (f"eth0: {VIP_LOCAL}",) if number == owner else (), number == owner)
        if number == owner:
            elements.append(straight((x, 160), (x, 200)))
    foot = (
        "The elected node answers, kube-proxy spreads over the pods.",
        "It dies: the next one answers within a third of a second.",
    )
    return [*elements, *lines((centre, 292), foot, "small faint", anchor="middle")]


def _ecmp(centre: float) -> list[str]:
    elements = [
        text((centre, 36), "ECMP: every node has it", "head", anchor="middle"),
        *box((centre, 76), 180, 30, "client anywhere"),
        straight((centre, 92), (centre, 112)),
        *box((centre, 128), 180, 30, "router: 3 next hops"),
    ]
    for number, x in enumerate(_places(centre)):
        elements += _node((x, 216), NODES[number], (f"kube-lb0: {VIP_ROUTED}",), True)
        elements.append(straight((centre + (x - centre) / 4, 144), (x, 200)))
    foot = (
        "BIRD or FRR on the nodes tells the router, by BGP or OSPF.",
        "A node dies: BFD tells, and only its own flows move.",
    )
    return [*elements, *lines((centre, 292), foot, "small faint", anchor="middle")]


def _places(centre: float) -> list[float]:
    return [centre - 145, centre, centre + 145]


def _node(centre: Point, name: str, addresses: Sequence[str], has_it: bool) -> list[str]:
    x, y = centre
    kind = "small good" if has_it else "small"
    return [*box(centre, _BOX, 32, name), *lines((x, y + 34), addresses, kind, anchor="middle")]
