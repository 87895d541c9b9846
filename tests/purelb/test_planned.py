"""The election by plan: its laws, and that it says what a naive one would, whatever comes and goes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from types import FrameType

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from purelb.election import digest, ranking
from purelb.membership import MemberNode, Standing
from purelb.planned import PlannedElection, stand

VIP = ip_address("10.31.188.64")
LAN = frozenset({ip_network("10.31.0.0/16")})
FIRST, SECOND, THIRD = ranking(["a", "b", "c"], VIP)


def among(*nodes: str, plan: tuple[str, ...] = ()) -> PlannedElection:
    election = PlannedElection()
    for node in nodes:
        election.set_candidate(node, LAN)
    election.set_vip(VIP, plan=plan)
    return election


def test_a_node_of_the_membership_stands_as_agents_rank_it() -> None:
    def owner(**standings: Standing) -> str | None:
        election = PlannedElection()
        for name, standing in standings.items():
            stand(election, MemberNode(name, standing, "", LAN))
        election.set_vip(VIP, plan=("a", "b", "c"))
        return election.owner(VIP)

    assert owner(a=Standing.FAILING, b=Standing.EXCLUDED, c=Standing.SERVING) == "c"
    assert owner(a=Standing.FAILING, b=Standing.EXCLUDED, c=Standing.LEAVING) == "b"
    assert owner(a=Standing.FAILING, b=Standing.STARTING) == "a"
    assert owner(a=Standing.STARTING, b=Standing.LEAVING) is None


def test_the_first_live_node_of_the_plan_is_the_owner() -> None:
    election = among(FIRST, SECOND, THIRD, plan=(THIRD, SECOND))

    assert election.owner(VIP) == THIRD
    assert election.remove_candidate(THIRD) == {VIP}
    assert election.owner(VIP) == SECOND


def test_where_the_plan_names_nobody_who_lives_the_hash_rule_decides() -> None:
    assert among(FIRST, SECOND, plan=(THIRD,)).owner(VIP) == FIRST


def test_a_node_that_comes_back_gets_what_is_planned_for_it() -> None:
    election = among(FIRST, SECOND, plan=(THIRD, SECOND))

    assert election.set_candidate(THIRD, LAN) == {VIP}
    assert election.owner(VIP) == THIRD


def test_a_plan_never_prefers_a_node_that_does_not_serve_to_one_that_does() -> None:
    election = among(FIRST, SECOND, THIRD, plan=(THIRD, SECOND))

    assert election.set_candidate(THIRD, LAN, 2) == {VIP}
    assert election.owner(VIP) == SECOND
    assert election.set_candidate(SECOND, LAN, 1) == {VIP}
    assert election.owner(VIP) == FIRST


def test_among_nodes_that_do_not_serve_the_plan_decides_again() -> None:
    election = among(FIRST, THIRD, plan=(THIRD,))
    election.set_candidate(THIRD, LAN, 2)

    assert election.set_candidate(FIRST, LAN, 2) == {VIP}
    assert election.owner(VIP) == THIRD


def test_preferred_nodes_come_before_planned_ones() -> None:
    election = among(FIRST, SECOND, THIRD)
    election.set_vip(VIP, None, frozenset({FIRST, SECOND}), (THIRD, SECOND))

    assert election.owner(VIP) == SECOND


def test_nobody_goes_by_the_plan_while_a_candidate_does_not_read_plans() -> None:
    election = among(FIRST, SECOND, THIRD, plan=(THIRD,))

    assert election.set_candidate(SECOND, LAN, reads_plans=False) == {VIP}
    assert election.owner(VIP) == FIRST
    assert election.remove_candidate(SECOND) == {VIP}
    assert election.owner(VIP) == THIRD


def test_one_that_does_not_read_plans_elsewhere_is_of_no_account() -> None:
    election = among(FIRST, SECOND, THIRD, plan=(THIRD,))

    assert election.set_candidate("purelb", frozenset({ip_network("192.168.0.0/24")}), reads_plans=False) == set()
    assert election.owner(VIP) == THIRD


def test_one_that_does_not_read_plans_and_reaches_all_stops_all_plans() -> None:
    election = among(FIRST, SECOND, THIRD, plan=(THIRD,))

    assert VIP in election.set_candidate("purelb", None, 3, reads_plans=False)
    assert election.owner(VIP) == FIRST


def test_an_owner_that_stays_is_no_news_when_its_rank_changes() -> None:
    election = among(FIRST)

    assert election.set_candidate(FIRST, LAN, 2) == set()


def test_what_is_said_once_more_of_a_node_costs_nothing_for_the_vips_that_name_it() -> None:
    election = among(FIRST, SECOND, THIRD)
    for number in range(100):
        election.set_vip(VIP + number, plan=(SECOND, FIRST))
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        election.set_candidate(SECOND, LAN)
    finally:
        sys.setprofile(None)

    assert calls < 5


VIPS = [IPv4Address(f"10.0.{third}.1") for third in range(8)]
NODES = [f"node-{index}" for index in range(5)]
SUBNETS = [IPv4Network(f"10.0.{third}.0/30") for third in range(8)]
some_nodes = st.one_of(st.none(), st.frozensets(st.sampled_from(NODES)))
plans = st.lists(st.sampled_from([*NODES, "unknown"]), max_size=4, unique=True).map(tuple)


@dataclass(frozen=True)
class Node:
    reach: frozenset[IPv4Network] | None
    rank: int
    reads_plans: bool

    def reaches(self, vip: IPv4Address) -> bool:
        return self.reach is None or any(vip in subnet for subnet in self.reach)


@dataclass(frozen=True)
class Vip:
    only: frozenset[str] | None
    preferred: frozenset[str] | None
    plan: tuple[str, ...]


class ThePlannedElectionFollowsChanges(RuleBasedStateMachine):
    """In whatever order: the table says what an election without a memory would."""

    def __init__(self) -> None:
        super().__init__()
        self.election = PlannedElection()
        self.nodes: dict[str, Node] = {}
        self.vips: dict[IPv4Address, Vip] = {}

    def fresh(self) -> dict[IPv4Address, str | None]:
        return {vip: self.owner(vip, wanted) for vip, wanted in self.vips.items()}

    def owner(self, vip: IPv4Address, wanted: Vip) -> str | None:
        reaching = {name: node for name, node in self.nodes.items() if node.reaches(vip)}
        plan = wanted.plan if all(node.reads_plans for node in reaching.values()) else ()
        able = {name: node for name, node in reaching.items() if wanted.only is None or name in wanted.only}

        def place(name: str) -> tuple[int, bool, int, bytes]:
            is_preferred = wanted.preferred is None or name in wanted.preferred
            position = plan.index(name) if name in plan else len(plan)
            return able[name].rank, not is_preferred, position, digest(name, vip)

        return min(able, key=place, default=None)

    def changed(self, before: dict[IPv4Address, str | None]) -> set[IPv4Address]:
        return {vip for vip, won in self.fresh().items() if before.get(vip) != won}

    @rule(
        name=st.sampled_from(NODES),
        node=st.builds(
            Node,
            st.one_of(st.none(), st.frozensets(st.sampled_from(SUBNETS))),
            st.integers(0, 3),
            st.sampled_from([True, True, True, False]),
        ),
    )
    def a_node_comes_or_changes(self, name: str, node: Node) -> None:
        before = self.fresh()
        self.nodes[name] = node
        told = self.election.set_candidate(name, node.reach, node.rank, reads_plans=node.reads_plans)
        assert told == self.changed(before)

    @rule(name=st.sampled_from(NODES))
    def a_node_goes(self, name: str) -> None:
        before = self.fresh()
        self.nodes.pop(name, None)
        assert self.election.remove_candidate(name) == self.changed(before)

    @rule(vip=st.sampled_from(VIPS), wanted=st.builds(Vip, some_nodes, some_nodes, plans))
    def a_vip_comes_or_changes(self, vip: IPv4Address, wanted: Vip) -> None:
        before = self.fresh()
        self.vips[vip] = wanted
        told = self.election.set_vip(vip, wanted.only, wanted.preferred, wanted.plan)
        assert told == (before.get(vip) != self.fresh()[vip])

    @rule(vip=st.sampled_from(VIPS))
    def a_vip_goes(self, vip: IPv4Address) -> None:
        self.vips.pop(vip, None)
        self.election.remove_vip(vip)

    @invariant()
    def the_table_is_what_a_fresh_election_says(self) -> None:
        assert self.election.owners() == self.fresh()


TestThePlannedElectionFollowsChanges = ThePlannedElectionFollowsChanges.TestCase
