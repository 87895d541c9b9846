"""Six VIPs on three nodes, by the planner itself: all serve, one dies, it comes back. Who has them, and who would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

from allocator.placement.balance import Balance
from allocator.placement.planner import Planner
from allocator.placement.values import Node, Vip
from docs.drawings.svg import Point, band, box, lines, picture, rule, text
from purelb.tempo import Tempo

NAMES = ("w11", "w12", "w13")
DEAD = "w12"
FIRST = IPv4Address("192.168.1.64")
VIPS = 6
LAN = frozenset({IPv4Network("192.168.1.0/24")})
WIDTH, ROW, LEFT, COLUMN = 760, 132, 150, 200

Plan = Mapping[int, tuple[str, ...]]
"""The last part of each VIP to its nodes."""


def plans() -> list[tuple[str, tuple[str, ...], Plan]]:
    """What happens, in two lines divided by a slash, which nodes are dead then, and the plan."""
    tempo = Tempo()
    planner = Planner(tempo)
    balance = Balance(planner)
    everybody = [Node(name, subnets=LAN) for name in NAMES]
    for number in range(VIPS):
        planner.want(Vip(FIRST + number, is_new=True), 0.0)
    planner.see(everybody, 0.0)
    found: list[tuple[str, tuple[str, ...], Plan]] = [("all serve/", (), _shown(planner))]
    planner.see([node for node in everybody if node.name != DEAD], 0.0)
    found.append((f"{DEAD} dies/at once", (DEAD,), _shown(planner)))
    planner.see(everybody, tempo.give_up)
    now = tempo.give_up
    while (due := balance.due(now)) is not None:
        balance.step(due)
        now = due
    found.append((f"{DEAD} is back/{tempo.hold_down:g} s later", (), _shown(planner)))
    return found


def _shown(planner: Planner) -> Plan:
    vips = (FIRST + number for number in range(VIPS))
    return {int(vip) & 0xFF: planner.placement(vip) or () for vip in vips}


def draw() -> str:
    states = plans()
    height = 70 + ROW * len(states) + 44
    elements = [text((20, 32), "Owners and stand-ins of 192.168.1.64 to .69", "head")]
    for number, (what, dead, plan) in enumerate(states):
        top = 56 + ROW * number
        if number % 2:
            elements.append(band(1, top, WIDTH - 2, ROW))
        title, _, when = what.partition("/")
        elements += [text((20, top + 50), title, "head"), text((20, top + 68), when, "faint")]
        for column, name in enumerate(NAMES):
            elements += _node((LEFT + COLUMN * column + 90, top + 30), name, plan, is_dead=name in dead)
    elements.append(rule((20, height - 46), (WIDTH - 20, height - 46)))
    elements.append(
        text(
            (20, height - 22),
            "Who dies leaves its VIPs to nodes that are even then, before anybody plans again.",
            "faint",
        )
    )
    return picture(WIDTH, height, "Six VIPs on three nodes before and after a death, and after the return", elements)


def _node(at: Point, name: str, plan: Plan, *, is_dead: bool) -> Iterator[str]:
    x, y = at
    yield from box((x, y), 170, 30, name)
    if is_dead:
        yield text((x, y + 42), "dead; its place is kept", "bad", anchor="middle")
        return
    owned = [f".{vip}" for vip, nodes in plan.items() if nodes[:1] == (name,)]
    stood = [f".{vip}" for vip, nodes in plan.items() if name in nodes[1:]]
    yield text((x, y + 42), f"has {' '.join(owned) or 'none'}", "good", anchor="middle")
    yield from lines((x, y + 64), ("stands in for", " ".join(stood) or "none"), "faint small", anchor="middle")
