"""Nodes and VIPs for the planner's tests, and what a plan comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from allocator.placement.balance import Balance
from allocator.placement.planner import Planner
from allocator.placement.values import Node, Reason, Vip
from purelb.addresses import IPAddress
from purelb.membership import Standing
from purelb.preferences import Preference
from purelb.tempo import Tempo

LAN = ip_network("10.0.0.0/16")
TEMPO = Tempo()


def node(name: str, standing: Standing = Standing.SERVING, *, subnets: Iterable[str] = (), **more: object) -> Node:
    """A node on the LAN, or on these subnets."""
    networks = frozenset(ip_network(text) for text in subnets) or frozenset({LAN})
    return Node(name, standing, networks, **more)  # type: ignore[arg-type]


def nodes(count: int) -> list[Node]:
    """n0, n1 and so on."""
    return [node(f"n{number}") for number in range(count)]


def vip(number: int, **more: object) -> Vip:
    """A new VIP, 10.0.1.0 and following."""
    return Vip(address(number), **{"is_new": True, **more})  # type: ignore[arg-type]


def address(number: int) -> IPAddress:
    """Of a VIP."""
    return ip_address(int(ip_address("10.0.1.0")) + number)


def prefer(*names: str) -> Preference:
    return Preference(nodes=frozenset(names))


class Plan:
    """A planner and its clock."""

    def __init__(self, there: Iterable[Node] = (), vips: Iterable[Vip] = (), tempo: Tempo = TEMPO) -> None:
        self.planner = Planner(tempo)
        self.balance = Balance(self.planner)
        self.now = 1000.0
        for one in vips:
            self.want(one)
        self.see(there)

    def see(self, there: Iterable[Node]) -> set[IPAddress]:
        """Who is there now; the VIPs that move at once."""
        before = self.owners()
        self.planner.see(there, self.now)
        return self._moved(before)

    def want(self, one: Vip) -> None:
        self.planner.want(one, self.now)

    def step(self) -> set[IPAddress]:
        """Wait until the next step is due, and take it; the VIPs that move."""
        due = self.balance.due(self.now)
        assert due is not None
        self.now = due
        before = self.owners()
        self.balance.step(self.now)
        return self._moved(before)

    def settle(self, until: float = float("inf")) -> list[set[IPAddress]]:
        """Take all steps that are due until then; what moved with each."""
        moves: list[set[IPAddress]] = []
        for _ in range(10_000):
            due = self.balance.due(self.now)
            if due is None or due > until:
                return moves
            moves.append(self.step())
        raise AssertionError("it never settles")

    def wait(self, seconds: float) -> None:
        self.settle(self.now + seconds)
        self.now += seconds

    def placement(self, number: int) -> tuple[str, ...] | None:
        return self.planner.placement(address(number))

    def owners(self) -> dict[IPAddress, str | None]:
        return {one: place.owner for one, place in self.planner.places.items()}

    @property
    def moves(self) -> Counter[Reason]:
        """How many VIPs were given another owner, and why."""
        return Counter(move.reason for move in self.planner.moves)

    def counts(self, *, without: str = "") -> Counter[str]:
        """VIPs of each node that is there, as agents elect by the plan when one is dead."""
        there = self.planner.eligibility.nodes
        found = Counter({name: 0 for name in there if name != without})
        for place in self.planner.places.values():
            elected = next((name for name in (place.owner, place.heir) if name in there and name != without), None)
            if elected is not None:
                found[elected] += 1
        return found

    def unevenness(self, *, without: str = "") -> int:
        """The most VIPs of a node less the fewest."""
        counts = self.counts(without=without).values()
        return max(counts) - min(counts)

    def _moved(self, before: dict[IPAddress, str | None]) -> set[IPAddress]:
        return {one for one, owner in self.owners().items() if before.get(one) != owner}
