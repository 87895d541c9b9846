"""An agent that is replaced by another one: its addresses stay where they are, as long as its node serves them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lbnodeagent.gate.looks import Look
from purelb.addresses import IPAddress
from purelb.election import ranking
from tests.lbnodeagent.stage import world as stage
from tests.lbnodeagent.stage.topology import ROUTED4, VIP4, VIP6, one_subnet
from tests.lbnodeagent.stage.world import WITHIN, World

NODES = ("n1", "n2", "n3")
OWNER, HEIR, LAST = ranking(NODES, VIP4)
ROUTED = ROUTED4[0]


def cluster(size: int = 3) -> World:
    """Each VIP on its owner; from now on nobody may be without an answer, unless a test says so."""
    world = World(1, size, is_planned=True, of=one_subnet(size))
    for vip in world.topology.vips:
        world.api.want(vip)
    world.begin()
    world.run(6.0)
    world.laws.guard(world.topology.vips, world.now)
    return world


def places(world: World) -> dict[str, set[str]]:
    return {str(vip): world.holders(vip) for vip in world.topology.vips}


def watched(world: World, seconds: float) -> list[set[str]]:
    """Who has VIP4 at each moment."""
    holders: list[set[str]] = []
    for _ in range(round(seconds / 0.05)):
        world.run(0.05)
        if not holders or holders[-1] != world.holders(VIP4):
            holders.append(world.holders(VIP4))
    return holders


@pytest.mark.parametrize("size", [2, 3])
def test_every_address_stays_where_it_is_and_neighbours_are_told_of_nothing(size: int) -> None:
    world = cluster(size)
    before, believed = places(world), dict(world.wire.believed)
    for name in world.nodes:
        world.replace_agent(name)
        for _ in range(60):
            world.run(0.1)
            assert places(world) == before
        world.start_again(name)
        for _ in range(80):
            world.run(0.1)
            assert places(world) == before

    assert world.wire.believed == believed
    assert not any(node.agent.takeovers for node in world.nodes.values() if node.agent is not None)
    assert world.laws.at_rest() == []


def test_one_that_does_not_come_back_in_time_has_an_heir_before_its_address_expires() -> None:
    world = cluster()
    world.replace_agent(OWNER)

    assert watched(world, WITHIN + 8.0) == [{OWNER}, {OWNER, HEIR}, {HEIR}]
    world.run(20.0)
    assert world.laws.at_rest() == []


def test_a_node_that_dies_meanwhile_is_succeeded_as_soon_as_ever() -> None:
    world = cluster()
    world.replace_agent(OWNER)
    world.run(5.0)
    world.laws.guarded.clear()  # nobody has planned that

    world.cut_power(OWNER)
    world.run(0.25)

    assert world.holders(VIP4) == {HEIR}


def test_many_addresses_of_a_node_that_dies_meanwhile_wait_for_no_turn_of_their_own() -> None:
    world = World(1, 2, of=one_subnet(2))
    vips = [ip_address("10.31.188.64") + number for number in range(180)]
    for vip in vips:
        world.api.want(vip)
    world.begin()
    world.run(8.0)
    world.replace_agent("n1")
    world.run(4.0)
    world.cut_power("n1")
    world.run(0.6)

    assert all(world.holders(vip) == {"n2"} for vip in vips)


def test_an_address_that_somebody_takes_away_meanwhile_is_taken_by_its_heir_and_goes_back() -> None:
    world = cluster()
    world.replace_agent(OWNER)
    world.run(5.0)
    world.laws.guarded.clear()  # nobody has planned that
    kernel = world.nodes[OWNER].kernel
    kernel.delete(next(key for key, one in kernel.addresses.items() if one.address == VIP4))

    world.run(0.25)
    assert world.holders(VIP4) == {HEIR}

    world.start_again(OWNER)
    world.run(8.0)
    assert world.holders(VIP4) == {OWNER}
    assert world.laws.at_rest() == []


def test_when_its_heir_dies_too_the_next_one_leaves_it_where_it_is() -> None:
    world = cluster()
    world.replace_agent(OWNER)
    world.run(4.0)
    world.cut_power(HEIR)
    world.laws.guarded &= {VIP4}

    assert watched(world, 6.0) == [{OWNER}]
    world.start_again(OWNER)
    assert watched(world, 8.0) == [{OWNER}]


@pytest.mark.parametrize("meta", [b""], ids=["PureLB's own"])
def test_beside_an_agent_that_would_take_them_it_hands_over(meta: bytes) -> None:
    world = cluster()
    world.simulation.add("purelb", meta=meta)
    world.simulation.join("purelb", OWNER)
    world.run(5.0)
    agent = world.nodes[OWNER].agent
    assert agent is not None

    assert not agent.core.may_pause


def test_one_that_comes_back_and_does_not_serve_hands_over() -> None:
    world = cluster()
    world.replace_agent(OWNER)
    world.run(5.0)
    world.proxies[OWNER] = Look.SAYS_NO
    world.start_again(OWNER)
    world.run(15.0)

    assert world.holders(VIP4) == {HEIR}
    assert world.laws.at_rest() == []


def test_a_plan_that_moves_an_address_meanwhile_is_followed_when_its_node_is_back() -> None:
    world = cluster()
    world.replace_agent(OWNER)
    world.run(4.0)
    world.api.plan(VIP4, [LAST])
    assert watched(world, 3.0) == [{OWNER}]

    world.start_again(OWNER)
    world.run(10.0)
    assert world.holders(VIP4) == {LAST}
    assert world.laws.at_rest() == []


def test_what_it_was_about_to_hand_over_goes_to_its_new_owner_first() -> None:
    world = cluster()
    world.api.plan(VIP4, [HEIR])
    world.run(0.02)
    world.replace_agent(OWNER)
    world.run(6.0)

    assert world.holders(VIP4) == {HEIR}


def test_a_service_that_is_deleted_meanwhile_leaves_nothing_behind() -> None:
    world = cluster()
    world.replace_agent(OWNER)
    world.run(4.0)
    world.laws.guarded.discard(VIP4)
    world.api.unwant(VIP4)
    world.run(2.0)
    world.start_again(OWNER)
    world.run(6.0)

    assert world.holders(VIP4) == set()
    assert world.laws.at_rest() == []


@pytest.mark.parametrize("lifetime", [0, 60])
def test_whatever_its_lifetime_an_address_lives_until_the_next_agent_and_then_as_ever(lifetime: int) -> None:
    world = cluster()
    world.api.configure("default", {"addressConfig": {"localInterface": {"validLifetime": lifetime}}})
    world.run(3.0)
    world.replace_agent(OWNER)
    world.run(4.0)
    there = next(one for one in world.nodes[OWNER].kernel.addresses.values() if one.address == VIP4)
    assert WITHIN - 4.0 < there.expires - world.now < WITHIN + 4.0

    world.start_again(OWNER)
    world.run(8.0)
    there = next(one for one in world.nodes[OWNER].kernel.addresses.values() if one.address == VIP4)
    assert there.expires - world.now > WITHIN + 4.0
    assert world.holders(VIP4) == {OWNER}
    assert VIP6 in world.api.wanted


@pytest.mark.parametrize("pause", [0.0, 0.3, 1.0])
def test_all_agents_at_once_find_what_they_left(pause: float) -> None:
    world = cluster()
    before, believed = places(world), dict(world.wire.believed)
    for name in world.nodes:
        world.replace_agent(name)
    world.run(4.0)
    for name in world.nodes:
        world.start_again(name)
        for _ in range(max(1, round(pause / 0.05))):
            world.run(0.05)
            assert places(world) == before
    for _ in range(200):
        world.run(0.05)
        assert places(world) == before

    assert world.wire.believed == believed
    assert world.laws.at_rest() == []


@pytest.mark.parametrize("vip", [VIP4, VIP6], ids=["IPv4", "IPv6"])
def test_a_new_address_does_not_wait_because_agents_have_just_started(vip: IPAddress) -> None:
    world = World(1, 3, of=one_subnet(3))
    world.begin()
    world.run(2.5)

    world.api.want(vip)
    world.run(0.5)

    assert len(world.holders(vip)) == 1 or any(
        there.address == vip and there.dad == "running"
        for node in world.nodes.values()
        for there in node.kernel.addresses.values()
    )


def test_one_that_goes_for_good_before_it_heard_anybody_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    world = cluster()
    monkeypatch.setattr(stage, "GOSSIPS", (5.0, 5.0))
    world.laws.guarded.clear()  # nobody has planned that
    world.kill_agent(OWNER)
    world.start_agent(OWNER)
    agent = world.nodes[OWNER].agent
    assert agent is not None
    world.run(0.3)
    assert agent.control.is_synced
    assert OWNER in world.holders(VIP4)

    agent.leave()
    world.run(0.1)

    assert not agent.has_gossip
    assert OWNER not in world.holders(VIP4)
