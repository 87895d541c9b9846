"""How even VIPs are by the planner and by the hash rule, what a death and a return move, and how long planning takes.

The planner and the election rule are asked as the allocator and the agents ask them, with a clock of our own: it needs
no lab and no root. Prints JSON lines, each with what it must be; the hash rule's figure for the same VIPs and nodes
stands beside the planner's. Planning is timed in seconds of processor.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Final

from allocator.placement.balance import Balance
from allocator.placement.planner import Planner
from allocator.placement.values import Node, Vip
from bench.report import figure
from purelb.addresses import IPAddress
from purelb.election import owner as hash_owner
from purelb.membership import Standing
from purelb.tempo import Tempo

BENCH: Final = "placement"
LAN: Final = frozenset({IPv4Network("10.0.0.0/8")})
FIRST: Final = IPv4Address("10.1.0.0")
SIZES: Final = ((3, 3), (20, 5), (100, 7), (1000, 50))
SETS: Final = 500
"""Of VIPs, for the share of cases in which the hash rule is even."""
PEER: Final = "MetalLB, PureLB, kube-vip: by a hash, or whoever wins a Lease"


class World:
    """VIPs on nodes, by the planner, and a clock."""

    def __init__(self, vips: int, nodes: int, *, endpoints: int | None = None) -> None:
        """``endpoints``: of each VIP, on so many nodes by lot, which alone may have it (policy Local)."""
        chance = Random(1)
        self.there = [Node(f"worker-{number}", Standing.SERVING, LAN) for number in range(nodes)]
        self.vips = [FIRST + number for number in range(vips)]
        self.only = {
            vip: None if endpoints is None else frozenset(chance.sample(self.names, endpoints)) for vip in self.vips
        }
        self.planner = Planner(Tempo())
        self.balance = Balance(self.planner)
        self.now = 0.0

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.there]

    def plan(self) -> float:
        """Place all VIPs; the seconds of processor that it took."""
        begin = time.process_time()
        for vip in self.vips:
            self.planner.want(Vip(vip, is_new=True, only=self.only[vip]), self.now)
        self.planner.see(self.there, self.now)
        return time.process_time() - begin

    def see(self, there: Iterable[Node]) -> tuple[int, float]:
        """Other nodes: how many VIPs move at once, and the seconds of processor that it took."""
        before, begin = self.owners(), time.process_time()
        self.planner.see(there, self.now)
        seconds = time.process_time() - begin
        return self._moved(before), seconds

    def settle(self, until: float = math.inf) -> tuple[list[int], float]:
        """Take all steps that are due until then: the VIPs that each moved, and the seconds of the longest."""
        moves, longest = [], 0.0
        while (due := self.balance.due(self.now)) is not None and due <= until:
            before, self.now = self.owners(), due
            begin = time.process_time()
            self.balance.step(due)
            longest = max(longest, time.process_time() - begin)
            moves.append(self._moved(before))
        return moves, longest

    def owners(self) -> dict[IPAddress, str | None]:
        return {vip: place.owner for vip, place in self.planner.places.items()}

    def elected(self, alive: Collection[str]) -> list[str]:
        """Who has the VIPs while these live, as agents elect by the plan."""
        lists = (self.planner.placement(vip) or () for vip in self.vips)
        return [next(name for name in nodes if name in alive) for nodes in lists]

    def _moved(self, before: dict[IPAddress, str | None]) -> int:
        return sum(before[vip] != owner for vip, owner in self.owners().items())


def unevenness(elected: Iterable[str], alive: Collection[str]) -> int:
    """The VIPs of the node with the most, less those of the one with the fewest."""
    counts = Counter(dict.fromkeys(alive, 0))
    counts.update(elected)
    return max(counts.values()) - min(counts.values())


def after_a_death(elect: Callable[[set[str]], list[str]], names: Collection[str]) -> int:
    """The unevenness after the worst one."""
    return max(unevenness(elect(alive), alive) for dead in names if (alive := set(names) - {dead}))


def by_hash(vips: Iterable[IPAddress], alive: Collection[str]) -> list[str]:
    return [hash_owner(alive, vip) or "" for vip in vips]


def evenness() -> bool:
    holds = True
    for vips, nodes in SIZES:
        world = World(vips, nodes)
        world.plan()
        world.settle()
        names, what = world.names, f"{vips} VIPs on {nodes} nodes: most less fewest"
        value = unevenness(world.elected(names), names)
        hashed = unevenness(by_hash(world.vips, names), names)
        even = share_of_even(vips, nodes)
        more = {"hash_rule": hashed, "hash_rule_even_per_cent": even, "peer": PEER}
        holds &= bool(figure(BENCH, what, value, "VIPs", "<= 1", value <= 1, **more))
        value = after_a_death(world.elected, names)
        hashed = after_a_death(partial(by_hash, world.vips), names)
        what = f"{what}, after the worst death"
        holds &= bool(figure(BENCH, what, value, "VIPs", "<= 2", value <= 2, hash_rule=hashed))
    return holds


def share_of_even(vips: int, nodes: int) -> float | None:
    """Per cent of sets of VIPs that the hash rule has even; None where that is too much to count."""
    if vips * nodes > 1000:
        return None
    names = [f"worker-{number}" for number in range(nodes)]
    sets = ([FIRST + vips * one + number for number in range(vips)] for one in range(SETS))
    return round(100 * sum(unevenness(by_hash(one, names), names) <= 1 for one in sets) / SETS, 1)


def steadiness(vips: int, nodes: int) -> bool:
    """A node dies, comes back after two minutes; then one dies for good."""
    world, tempo = World(vips, nodes), Tempo()
    world.plan()
    world.settle()
    victim = world.there[1]
    its = sum(owner == victim.name for owner in world.owners().values())
    what = f"one of {nodes} nodes with {vips} VIPs"
    others = [node for node in world.there if node != victim]
    at_once, _ = world.see(others)
    later, _ = world.settle(world.now + 120.0)
    world.now += 120.0
    must = f"{its}: its own"
    holds = bool(figure(BENCH, f"{what} dies: VIPs that move at once", at_once, "VIPs", must, at_once == its))
    holds &= bool(figure(BENCH, "until it is back", sum(later), "VIPs", "0", not sum(later)))
    back = world.now
    at_once, _ = world.see(world.there)
    steps, _ = world.settle()
    share = math.ceil(vips / nodes)
    holds &= bool(figure(BENCH, "it comes back: VIPs that move at once", at_once, "VIPs", "0", not at_once))
    holds &= bool(
        figure(BENCH, "later", sum(steps), "VIPs", f"<= {share}: its share", sum(steps) <= share, a_step=max(steps))
    )
    figure(BENCH, "until all have", world.now - back, "s", "", None, hold_down_s=tempo.hold_down)
    world.see(others)
    steps, _ = world.settle()
    must = f"<= {share}"
    holds &= bool(figure(BENCH, "it is given up: VIPs that move", sum(steps), "VIPs", must, sum(steps) <= share))
    return holds


def speed(vips: int, nodes: int, *, endpoints: int | None = None) -> bool:
    world = World(vips, nodes, endpoints=endpoints)
    seconds = world.plan()
    what = f"planning {vips} VIPs on {nodes} nodes"
    if endpoints is not None:
        what = f"{what}, each with endpoints on {endpoints}"
    holds = bool(figure(BENCH, f"{what}: from scratch", seconds, "s", "<= 2", seconds <= 2.0))
    cordoned = Node(world.there[2].name, Standing.EXCLUDED, LAN)
    changes = {
        "a node dies": world.there[1:],
        "it comes back": world.there,
        "one is cordoned": [*world.there[:2], cordoned, *world.there[3:]],
    }
    for change, there in changes.items():
        moved, seconds = world.see(there)
        milliseconds = 1000 * seconds
        holds &= bool(figure(BENCH, f"{what}: {change}", milliseconds, "ms", "<= 50", seconds <= 0.05, moved=moved))
    _, longest = world.settle()
    figure(BENCH, f"{what}: the longest step afterwards", 1000 * longest, "ms", "", None)
    return holds


def main() -> int:
    """Exit code 1 when a figure isn't what it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 VIPs on 100 nodes for the planning's time")
    arguments = parser.parse_args()
    size = (1000, 100) if arguments.quick else (10_000, 1000)
    return 0 if all([evenness(), steadiness(100, 7), speed(*size), speed(*size, endpoints=3)]) else 1


if __name__ == "__main__":
    sys.exit(main())
