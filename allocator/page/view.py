"""The view model: from what an allocator knows to what the page shows, and what has changed in it. Pure.

A view is a head and four tables of rows by their keys. ``snapshot`` is all of it as JSON's values, ``delta`` what
another one has otherwise. Times that are shown are seconds since 1970, all others monotonic seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from allocator.page.facts import Facts
from allocator.page.places import Place, Places, State
from allocator.page.pools import Pools
from allocator.page.rows import Head, MoveRow, NodeRow, PoolRow, Trouble, VipRow, legible
from allocator.page.timeline import Timeline
from purelb.addresses import listed
from purelb.membership import MOST_NODES, MemberNode, Standing

MOST_TROUBLES: Final = 20
"""That are named."""
NAMED: Final = 8
"""Services of an address that are named."""
ABSENT: Final = "Absent"
"""Of a Node whose agent takes no part."""
_SUBNETS: Final = 8

Table: TypeAlias = Mapping[str, PoolRow] | Mapping[str, VipRow] | Mapping[str, NodeRow] | Mapping[str, MoveRow]
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """What is shown at a moment."""

    head: Head
    pools: Mapping[str, PoolRow] = field(default_factory=dict)
    vips: Mapping[str, VipRow] = field(default_factory=dict)
    nodes: Mapping[str, NodeRow] = field(default_factory=dict)
    moves: Mapping[str, MoveRow] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, Table]:
        """By the names that the page has for them."""
        return {"pools": self.pools, "vips": self.vips, "nodes": self.nodes, "moves": self.moves}


class Teller(NamedTuple):
    """Which allocator tells it."""

    identity: str
    version: str
    begun: float
    """Seconds since 1970."""
    default_announcer: bool
    """Whether Services without a class are PureLB's."""


class Viewer:
    """Give it each moment's facts; what hasn't changed costs little."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._pools = Pools()
        self._places = Places(default_announcer=teller.default_announcer)
        self._timeline = Timeline()
        self._vips: dict[str, tuple[Place, VipRow]] = {}

    def see(self, facts: Facts, now: float, wall: float) -> View:
        """The view of a moment."""
        self._pools.see(facts.groups)
        places = self._places.see(facts, self._pools.served)
        self._timeline.see(places, facts.members, facts.reasons, now, wall)
        pools, nodes = self._pools.rows, _nodes(facts, places)
        return View(
            _head(self._teller, facts, places, pools), pools, self._vip_rows(places), nodes, self._timeline.rows()
        )

    def _vip_rows(self, places: Mapping[str, Place]) -> dict[str, VipRow]:
        known: dict[str, tuple[Place, VipRow]] = {}
        for key, place in places.items():
            before = self._vips.get(key)
            known[key] = before if before is not None and before[0] is place else (place, _vip(key, place))
        self._vips = known
        return {key: row for key, (_, row) in known.items()}


def _vip(key: str, place: Place) -> VipRow:
    return VipRow(
        key=legible(key, 512),
        address=str(place.address) if place.address is not None else "",
        services=tuple(legible(str(one), 512) for one in place.services[:NAMED]),
        more=max(0, len(place.services) - NAMED),
        pool=legible(place.pool),
        state=place.state.value,
        node=legible(place.node),
        interface=legible(place.interface),
        since=place.since,
        next=None if place.heir is None else legible(place.heir),
        why=legible(place.why, 512),
    )


def _nodes(facts: Facts, places: Mapping[str, Place]) -> dict[str, NodeRow]:
    members: Mapping[str, MemberNode] = facts.members or {}
    vips = Counter(place.node for place in places.values() if place.state is State.ANNOUNCED)
    there = sorted(members.keys() | facts.nodes)[:MOST_NODES]
    return {name: _node(name, members.get(name), vips[name]) for name in there}


def _node(name: str, member: MemberNode | None, vips: int) -> NodeRow:
    key = shown = legible(name)
    if member is None:
        return NodeRow(key, shown, ABSENT, "its agent takes no part in the gossip", (), vips, 1, "", is_behind=False)
    subnets = sorted(member.subnets, key=lambda one: (one.version, one))
    return NodeRow(
        key,
        shown,
        member.standing.value,
        legible(member.reason),
        tuple(str(one) for one in subnets[:_SUBNETS]),
        vips,
        member.weight,
        legible(member.version or ("" if member.speaks else "another make")),
        member.is_behind,
    )


def _head(teller: Teller, facts: Facts, places: Mapping[str, Place], pools: Mapping[str, PoolRow]) -> Head:
    members: Mapping[str, MemberNode] = facts.members or {}
    troubles = list(_troubles(facts, places, pools))
    states = Counter(place.state.value for place in places.values())
    return Head(
        version=teller.version,
        identity=legible(teller.identity),
        leads=facts.leads,
        begun=teller.begun,
        states={state.value: states[state.value] for state in State},
        serving=sum(node.standing is Standing.SERVING for node in members.values()),
        members=len(members),
        troubles=tuple(troubles[:MOST_TROUBLES]),
        more=max(0, len(troubles) - MOST_TROUBLES),
    )


def _troubles(facts: Facts, places: Mapping[str, Place], pools: Mapping[str, PoolRow]) -> Iterable[Trouble]:
    """What isn't well, the causes before what follows from them. What an operator has decided is no trouble."""
    if facts.trouble:
        yield Trouble("This allocator", legible(facts.trouble, 512))
    if facts.members is None:
        yield Trouble("Nodes", "no agent says which nodes take part")
    elif not facts.is_current:
        yield Trouble("Nodes", "no agent has said for a while which nodes take part: what is shown may be old")
    for node in (facts.members or {}).values():
        if node.standing is Standing.FAILING:
            yield Trouble(f"Node {legible(node.name)}", legible(node.reason or "its data path doesn't work"))
        if node.is_behind:
            yield Trouble(f"Node {legible(node.name)}", "its agent doesn't hear what becomes of Services")
    for pool in pools.values():
        if pool.is_served is False:
            yield Trouble(f"Pool {pool.name}", pool.trouble or "the allocator doesn't serve it")
    nowhere: dict[str, list[str]] = {}
    waiting = []
    for place in places.values():
        if place.state is State.NOWHERE:
            nowhere.setdefault(place.why, []).append(str(place.address))
        elif place.state is State.PENDING:
            waiting.append(legible(str(place.services[0])))
    for why, addresses in nowhere.items():
        yield _of_several(addresses, "address", "addresses", why)
    if waiting:
        yield _of_several(waiting, "Service", "Services", "no address yet")


def _of_several(names: list[str], one: str, more: str, why: str) -> Trouble:
    """What is the same with all of them."""
    if len(names) == 1:
        return Trouble(f"{one.capitalize()} {names[0]}", why)
    return Trouble(f"{len(names)} {more}", f"{why}: {listed(names, NAMED)}")


def snapshot(view: View) -> Json:
    """All of a view, as JSON's values."""
    tables = {name: [row._asdict() for row in table.values()] for name, table in view.tables.items()}
    return {"head": _head_values(view.head), "set": tables}


def delta(before: View, after: View) -> Json | None:
    """What ``after`` has otherwise; None: nothing."""
    said: Json = {}
    if before.head != after.head:
        said["head"] = _head_values(after.head)
    for name, table in after.tables.items():
        known = before.tables[name]
        news = [row._asdict() for key, row in table.items() if known.get(key) != row]
        gone = [row.key for key, row in known.items() if key not in table]
        if news:
            said.setdefault("set", {})[name] = news
        if gone:
            said.setdefault("drop", {})[name] = gone
    return said or None


def _head_values(head: Head) -> Json:
    return {**head._asdict(), "troubles": [one._asdict() for one in head.troubles]}
