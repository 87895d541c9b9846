"""The election rule: PureLB's winners, and the laws of the table that follows changes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from purelb.election import Election, digest, owner, ranking

M1 = "tiny-cilium-master-188-1.k8s.tcinternal"
W11 = "tiny-cilium-worker-188-11.k8s.tcinternal"
W12 = "tiny-cilium-worker-188-12.k8s.tcinternal"
ARTICLE = (M1, W11, W12)
ABC = ("node-a", "node-b", "node-c")


@pytest.mark.parametrize(
    ("nodes", "key", "order", "start"),
    [
        (("test-node0", "test-node1", "test-node2"), "test-key", ("test-node0", "test-node1", "test-node2"), ""),
        (("test-node0", "test-node1", "test-node2"), "test-key-nodeXX", ("test-node1", "test-node0", "test-node2"), ""),
        (("test-node0", "test-node1", "test-node2"), "test-key-foo", ("test-node2", "test-node0", "test-node1"), ""),
        (ARTICLE, "10.31.188.64", (W11, W12, M1), "6560f754ea9e81cb"),
        (ARTICLE, "10.31.188.65", (M1, W12, W11), "12e2b80b1b150716"),
        (ARTICLE, "10.31.188.66", (W11, M1, W12), "6a692b5b89313946"),
        (ARTICLE, "10.31.188.100", (W12, W11, M1), "0641dc28f373ed8a"),
        (ABC, "192.168.1.100", ("node-c", "node-b", "node-a"), "561beaa0f8030471"),
        (ABC, "192.168.1.103", ("node-b", "node-c", "node-a"), "64e4369ffb44bf60"),
        (ABC, "fd53:9ef0:8683::1", ("node-c", "node-a", "node-b"), "09e8d7368945358c"),
    ],
)
def test_the_ranking_is_purelbs(nodes: tuple[str, ...], key: str, order: tuple[str, ...], start: str) -> None:
    assert tuple(ranking(nodes, key)) == order
    assert owner(nodes, key) == order[0]
    assert digest(order[0], key).hex().startswith(start)


def test_nobody_owns_a_vip_without_candidates() -> None:
    assert owner((), ip_address("10.0.0.1")) is None


def test_a_node_that_does_not_reach_the_subnet_is_no_candidate() -> None:
    election = Election()
    lan = IPv4Network("192.168.1.0/24")
    for node in ("node-a", "node-b"):
        election.set_candidate(node, frozenset({lan}))
    election.set_candidate("node-c", frozenset({IPv4Network("10.0.0.0/8")}))

    election.set_vip(IPv4Address("192.168.1.101"))

    assert election.owner(IPv4Address("192.168.1.101")) == "node-a"


def test_after_the_loss_of_a_node_only_its_vips_move() -> None:
    election = Election()
    for node in ARTICLE:
        election.set_candidate(node, None)
    vips = [IPv4Address(f"10.31.188.{last}") for last in (64, 65, 66, 100)]
    for vip in vips:
        election.set_vip(vip)

    moved = election.remove_candidate(W11)

    assert moved == {vips[0], vips[2]}
    assert [election.owner(vip) for vip in vips] == [W12, M1, M1, W12]


def test_the_successor_is_who_owns_it_without_the_owner() -> None:
    election = Election()
    for node in ARTICLE:
        election.set_candidate(node, None)
    vip = IPv4Address("10.31.188.64")
    election.set_vip(vip)

    assert election.successor(vip, without=W11) == W12
    assert election.owner(vip) == W11


VIPS = [IPv4Address(f"10.0.{third}.1") for third in range(12)]
NODES = [f"node-{index}" for index in range(5)]
SUBNETS = [IPv4Network(f"10.0.{third}.0/30") for third in range(12)]
reaches = st.one_of(st.none(), st.frozensets(st.sampled_from(SUBNETS)))


class ElectionFollowsChanges(RuleBasedStateMachine):
    """Whatever comes and goes, in whatever order: the table says what a fresh election would."""

    def __init__(self) -> None:
        super().__init__()
        self.election = Election()
        self.reach: dict[str, frozenset[IPv4Network] | None] = {}
        self.only: dict[IPv4Address, frozenset[str] | None] = {}

    def fresh(self) -> dict[IPv4Address, str | None]:
        return {vip: owner((n for n in self.reach if self.eligible(n, vip)), vip) for vip in self.only}

    def eligible(self, node: str, vip: IPv4Address) -> bool:
        only, reach = self.only[vip], self.reach[node]
        return (only is None or node in only) and (reach is None or any(vip in subnet for subnet in reach))

    def changed(self, before: dict[IPv4Address, str | None]) -> set[IPv4Address]:
        return {vip for vip, won in self.fresh().items() if before.get(vip) != won}

    @rule(node=st.sampled_from(NODES), reach=reaches)
    def a_node_comes_or_changes(self, node: str, reach: frozenset[IPv4Network] | None) -> None:
        before = self.fresh()
        self.reach[node] = reach
        assert self.election.set_candidate(node, reach) == self.changed(before)

    @rule(node=st.sampled_from(NODES))
    def a_node_goes(self, node: str) -> None:
        before = self.fresh()
        self.reach.pop(node, None)
        assert self.election.remove_candidate(node) == self.changed(before)

    @rule(vip=st.sampled_from(VIPS), only=st.one_of(st.none(), st.frozensets(st.sampled_from(NODES))))
    def a_vip_comes_or_changes(self, vip: IPv4Address, only: frozenset[str] | None) -> None:
        before = self.fresh()
        self.only[vip] = only
        assert self.election.set_vip(vip, only) == (before.get(vip) != self.fresh()[vip])

    @rule(vip=st.sampled_from(VIPS))
    def a_vip_goes(self, vip: IPv4Address) -> None:
        self.only.pop(vip, None)
        self.election.remove_vip(vip)

    @invariant()
    def the_table_is_what_a_fresh_election_says(self) -> None:
        assert self.election.owners() == self.fresh()


TestElectionFollowsChanges = ElectionFollowsChanges.TestCase


@given(st.sets(st.text(min_size=1), min_size=2), st.ip_addresses(v=4), st.data())
def test_removing_a_loser_never_moves_a_vip(nodes: set[str], vip: IPv4Address, data: st.DataObject) -> None:
    won = owner(nodes, vip)
    loser = data.draw(st.sampled_from(sorted(nodes - {won or ""})))

    assert owner(nodes - {loser}, vip) == won


def test_preferred_nodes_come_first_and_without_any_the_others_serve() -> None:
    election, vip = Election(), ip_address("10.31.188.64")
    nodes = ranking(["a", "b", "c", "d"], vip)
    for node in nodes:
        election.set_candidate(node, None)
    election.set_vip(vip, None, frozenset({nodes[2], nodes[3]}))

    assert election.owner(vip) == nodes[2]
    assert election.successor(vip, without=nodes[2]) == nodes[3]
    assert election.remove_candidate(nodes[2]) == {vip}
    assert election.owner(vip) == nodes[3]
    assert election.remove_candidate(nodes[3]) == {vip}
    assert election.owner(vip) == nodes[0]
    assert election.set_candidate(nodes[3], None) == {vip}
    assert election.owner(vip) == nodes[3]
    assert election.set_vip(vip, None, None)
    assert election.owner(vip) == nodes[0]


def test_a_node_that_is_not_preferred_takes_nothing_by_its_digest() -> None:
    election, vip = Election(), ip_address("10.31.188.64")
    nodes = ranking(["a", "b"], vip)
    election.set_candidate(nodes[1], None)
    election.set_vip(vip, None, frozenset({nodes[1]}))

    assert election.set_candidate(nodes[0], None) == set()
    assert election.owner(vip) == nodes[1]


def test_a_node_of_a_worse_rank_owns_only_what_nobody_else_can() -> None:
    lan, rack = frozenset({ip_network("10.0.0.0/24")}), frozenset({ip_network("10.0.1.0/24")})
    here, there = ip_address("10.0.0.1"), ip_address("10.0.1.1")
    election = Election()
    election.set_vip(here)
    election.set_vip(there)
    election.set_candidate("drained", lan | rack, 1)
    assert election.owners() == {here: "drained", there: "drained"}

    assert election.set_candidate("other", lan) == {here}
    assert election.owners() == {here: "other", there: "drained"}

    election.set_candidate("drained", lan | rack)
    assert election.owner(here) == owner(["drained", "other"], here)
