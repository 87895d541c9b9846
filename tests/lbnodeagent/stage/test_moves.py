"""What moves the VIPs of three nodes, one thing at a time: deaths, cordons, endpoints, configurations, NICs."""

from __future__ import annotations

import pytest

from lbnodeagent.gate.failures import Failure
from lbnodeagent.gate.looks import Look
from lbnodeagent.kubernetes.nodefeed import EXCLUDE_LABEL
from lbnodeagent.tables import FOREVER, Mac
from purelb import names
from purelb.addresses import IPAddress
from purelb.election import ranking
from tests.lbnodeagent.stage.topology import ETH0, ROUTED4, VIP4, VIP6, one_subnet
from tests.lbnodeagent.stage.world import World

NODES = ("n1", "n2", "n3")
OWNER, HEIR, LAST = ranking(NODES, VIP4)
ROUTED = ROUTED4[0]


@pytest.fixture
def world() -> World:
    """Each VIP on its owner; from now on nobody may be without an answer, unless a test says so."""
    world = World(1, 3, is_planned=True, of=one_subnet(3))
    for vip in world.topology.vips:
        world.api.want(vip)
    world.begin()
    world.run(6.0)
    world.laws.guard(world.topology.vips, world.now)
    return world


def expires(world: World, node: str, vip: IPAddress) -> float:
    """Seconds until the kernel takes an address away."""
    there = next(one for one in world.nodes[node].kernel.addresses.values() if one.address == vip)
    return there.expires - world.now


def test_a_vip_is_on_one_node_and_a_routed_one_on_all(world: World) -> None:
    assert world.holders(VIP4) == {OWNER}
    assert world.holders(ROUTED) == {*NODES}


def test_after_a_partition_the_address_is_on_one_node_again(world: World) -> None:
    world.simulation.part([OWNER], [HEIR, LAST])
    world.run(8.0)
    assert world.holders(VIP4) == {OWNER, HEIR}  # each side serves

    world.simulation.heal()
    world.run(8.0)
    assert world.holders(VIP4) == {OWNER}


def test_a_frozen_agent_is_replaced_and_has_its_address_alone_again_when_it_goes_on(world: World) -> None:
    world.laws.guarded.clear()  # nobody has planned that
    world.freeze_agent(OWNER, 5.6)
    world.run(5.3)
    assert world.holders(VIP4) == {OWNER, HEIR}

    world.run(8.0)
    assert world.holders(VIP4) == {OWNER}
    assert world.laws.at_rest() == []


def test_an_agent_that_stays_dead_leaves_no_address_on_its_nic_after_10_seconds(world: World) -> None:
    world.kill_agent(OWNER)
    world.run(5.3)
    assert world.holders(VIP4) == {OWNER, HEIR}

    world.run(4.7)
    assert world.holders(VIP4) == {HEIR}


@pytest.mark.parametrize("is_cordon", [True, False], ids=["cordoned", "labelled"])
def test_an_excluded_node_gives_its_addresses_away_and_gets_them_back(world: World, is_cordon: bool) -> None:
    def exclude(*, is_excluded: bool) -> None:
        if is_cordon:
            world.api.node(OWNER, is_cordoned=is_excluded)
        else:
            world.api.label(OWNER, EXCLUDE_LABEL, is_there=is_excluded)

    exclude(is_excluded=True)
    world.run(8.0)
    assert world.holders(VIP4) == {HEIR}
    assert world.holders(ROUTED) == {HEIR, LAST}

    exclude(is_excluded=False)
    world.run(8.0)
    assert world.holders(VIP4) == {OWNER}
    assert world.holders(ROUTED) == {*NODES}
    assert world.laws.at_rest() == []


def test_with_all_nodes_cordoned_every_address_stays(world: World) -> None:
    for name in NODES:
        world.api.node(name, is_cordoned=True)
    world.run(10.0)

    assert world.holders(VIP4) == {OWNER}
    assert world.holders(ROUTED) == {*NODES}
    assert world.laws.at_rest() == []


def test_with_policy_local_a_routed_address_follows_the_endpoints(world: World) -> None:
    world.api.endpoints(ROUTED, frozenset({"n2"}))
    world.api.want(ROUTED, policy="Local")
    world.run(3.0)
    assert world.holders(ROUTED) == {"n2"}

    world.api.endpoints(ROUTED, frozenset({"n1", "n3"}))
    world.run(3.0)
    assert world.holders(ROUTED) == {"n1", "n3"}
    assert world.laws.at_rest() == []


def test_with_policy_local_a_cordoned_node_keeps_what_it_alone_has_endpoints_for(world: World) -> None:
    world.api.endpoints(ROUTED, frozenset({"n2"}))
    world.api.want(ROUTED, policy="Local")
    world.api.node("n2", is_cordoned=True)
    world.run(8.0)

    assert world.holders(ROUTED) == {"n2"}
    assert world.laws.at_rest() == []


def test_with_policy_local_the_owner_is_a_node_with_an_endpoint(world: World) -> None:
    world.api.endpoints(VIP4, frozenset({LAST}))
    world.run(0.1)  # a policy that is heard of before the endpoints leaves nobody
    world.api.want(VIP4, policy="Local")
    world.run(3.0)
    assert world.holders(VIP4) == {LAST}

    world.api.endpoints(VIP4, frozenset({HEIR}))
    world.run(3.0)
    assert world.holders(VIP4) == {HEIR}
    assert world.laws.at_rest() == []


def test_with_node_affinity_the_owner_is_a_node_with_an_endpoint_while_there_is_one(world: World) -> None:
    world.api.endpoints(VIP4, frozenset({LAST}))
    world.api.want(VIP4, annotations={names.NODE_AFFINITY: "service-endpoints"})
    world.run(3.0)
    assert world.holders(VIP4) == {LAST}

    world.api.endpoints(VIP4, frozenset())
    world.run(3.0)
    assert world.holders(VIP4) == {OWNER}
    assert world.laws.at_rest() == []


def test_a_changed_configuration_takes_effect_without_a_restart(world: World) -> None:
    world.api.configure("default", {"addressConfig": {"localInterface": {"validLifetime": 0}}})
    world.run(1.0)
    assert expires(world, OWNER, VIP4) == FOREVER

    world.api.configure("default", {"localInterface": "default"})
    world.run(1.0)
    assert 0 < expires(world, OWNER, VIP4) <= 20
    assert world.laws.at_rest() == []


def test_a_planned_address_is_where_it_is_planned_and_moves_with_the_plan(world: World) -> None:
    world.api.plan(VIP4, [LAST, OWNER])
    world.run(3.0)
    assert world.holders(VIP4) == {LAST}

    world.api.plan(VIP4, [HEIR])
    world.run(3.0)
    assert world.holders(VIP4) == {HEIR}

    world.api.plan(VIP4, [])
    world.run(3.0)
    assert world.holders(VIP4) == {OWNER}
    assert world.laws.at_rest() == []


def test_after_a_death_the_planned_stand_in_has_the_address_without_the_api(world: World) -> None:
    world.api.plan(VIP4, [OWNER, LAST])
    world.run(1.0)
    world.laws.guarded.clear()  # nobody has planned that
    world.api.go_away()

    world.cut_power(OWNER)
    world.run(8.0)
    assert world.holders(VIP4) == {LAST}


def test_while_agents_read_different_plans_somebody_has_the_address_and_then_one_alone(world: World) -> None:
    world.lateness[LAST] = 8.0
    world.api.plan(VIP4, [LAST])
    world.run(7.0)
    assert world.holders(VIP4) == {OWNER}

    world.run(3.0)
    assert world.holders(VIP4) == {LAST}
    assert world.laws.at_rest() == []


def test_an_agent_that_does_not_hear_of_a_new_plan_for_long_leaves_the_address_where_it_is(world: World) -> None:
    world.lateness[LAST] = 60.0
    world.api.plan(VIP4, [LAST])
    world.run(55.0)
    assert world.holders(VIP4) == {OWNER}

    world.run(10.0)
    assert world.holders(VIP4) == {LAST}
    assert world.laws.at_rest() == []


@pytest.mark.parametrize(("late", "heir"), [(OWNER, LAST), (LAST, OWNER), (OWNER, HEIR), (HEIR, LAST), (LAST, HEIR)])
def test_an_owner_that_does_not_hear_of_a_new_plan_for_long_shares_no_address(
    world: World, late: str, heir: str
) -> None:
    world.api.plan(VIP4, [late])
    world.run(3.0)
    world.lateness[late] = 60.0
    world.api.plan(VIP4, [heir])
    world.run(16.0)
    for _ in range(18):
        world.run(2.0)
        assert len(world.holders(VIP4)) == 1

    world.run(15.0)
    assert world.holders(VIP4) == {heir}
    assert world.laws.at_rest() == []


@pytest.mark.parametrize("late", [OWNER, HEIR])
def test_two_that_have_an_address_and_each_take_the_other_for_its_owner_agree_on_one(world: World, late: str) -> None:
    world.api.plan(VIP4, [HEIR] if late == OWNER else [OWNER])
    world.run(3.0)
    world.simulation.part([OWNER], [HEIR, LAST])
    world.run(16.0)
    assert world.holders(VIP4) == {OWNER, HEIR}

    world.lateness[late] = 60.0
    world.api.plan(VIP4, [OWNER] if late == OWNER else [HEIR])
    world.run(1.0)
    world.simulation.heal()
    world.run(8.0)
    assert len(world.holders(VIP4)) == 1
    world.run(60.0)
    assert world.holders(VIP4) == ({OWNER} if late == OWNER else {HEIR})
    assert world.laws.at_rest() == []


def test_while_an_agent_of_purelbs_is_in_the_gossip_nobody_goes_by_plans(world: World) -> None:
    purelb = next(name for name in map("purelb-{}".format, range(99)) if ranking((*NODES, name), VIP4)[0] == OWNER)
    world.api.plan(VIP4, [LAST])
    world.run(3.0)
    assert world.holders(VIP4) == {LAST}

    world.simulation.add(purelb, meta=b"")
    world.simulation.join(purelb, OWNER)
    world.run(5.0)
    assert world.holders(VIP4) == {OWNER}

    world.simulation.crash(purelb)
    world.run(8.0)
    assert world.holders(VIP4) == {LAST}


@pytest.mark.parametrize("look", [Look.SILENT, Look.SAYS_NO, Look.REFUSED])
def test_a_node_whose_kube_proxy_fails_gives_its_addresses_away_and_gets_them_back(world: World, look: Look) -> None:
    world.proxies[OWNER] = look
    world.run(20.0)
    assert world.holders(VIP4) == {HEIR}
    assert world.holders(ROUTED) == {HEIR, LAST}

    world.proxies[OWNER] = Look.ANSWERS
    world.run(8.0)
    assert world.holders(VIP4) == {OWNER}
    assert world.laws.at_rest() == []


def test_where_no_node_serves_every_address_stays(world: World) -> None:
    for name in NODES:
        world.proxies[name] = Look.SILENT
        world.api.node(name, failure=Failure.NOT_READY)
    world.run(10.0)

    assert world.holders(VIP4) == {OWNER}
    assert world.holders(ROUTED) == {*NODES}


def test_a_node_that_boots_gets_nothing_before_its_kube_proxy_is_there(world: World) -> None:
    world.laws.guarded.clear()  # nobody has planned that
    world.cut_power(OWNER)
    world.proxies[OWNER] = Look.REFUSED
    world.run(5.0)

    world.restore_power(OWNER)
    for _ in range(20):
        world.run(1.0)
        assert world.holders(VIP4) == {HEIR}
    world.proxies[OWNER] = Look.ANSWERS
    world.run(8.0)
    assert world.holders(VIP4) == {OWNER}
    assert world.laws.at_rest() == []


@pytest.mark.parametrize("fault", ["set down", "without its address"])
def test_a_nic_that_is_no_use_gives_its_addresses_away_and_gets_them_back(world: World, fault: str) -> None:
    kernel = world.nodes[OWNER].kernel
    world.laws.guarded.clear()  # nobody has planned that

    if fault == "set down":
        kernel.set_link(ETH0, is_up=False)
    else:
        own = kernel.nics[0].own[0]
        kernel.delete((ETH0, own.ip, own.network.prefixlen))
    world.run(5.0)
    assert world.holders(VIP4) == {HEIR}

    kernel.set_link(ETH0, is_up=True)
    kernel.give_own()
    world.run(5.0)
    assert world.holders(VIP4) == {OWNER}
    assert len(world.holders(VIP6)) == 1


STRANGER = Mac(b"\x02\xaa\x00\x00\x00\x01")


def left_to_a_stranger(*, is_first: bool, is_heard: bool = True) -> World:
    """A stranger has VIP4, before a Service gets it or from when it has it on."""
    world = World(1, 3, of=one_subnet(3))
    if not is_heard:
        world.simulation.part(NODES[:2], NODES[2:])
    world.begin()
    world.run(20.0)
    if is_first:
        world.wire.strangers[VIP4] = STRANGER
    world.api.want(VIP4)
    world.run(1.0)
    if not is_first:
        world.wire.claim(VIP4, STRANGER)
    world.run(20.0)
    return world


def test_the_address_of_a_new_service_that_another_host_has_is_left_to_it_and_taken_when_that_goes() -> None:
    world = left_to_a_stranger(is_first=True)

    assert world.holders(VIP4) == set()
    assert VIP4 not in world.wire.believed, "nobody told the neighbours anything else"
    assert world.laws.at_rest() == []
    del world.wire.strangers[VIP4]
    world.run(30.0)
    assert world.holders(VIP4) == {OWNER}
    assert world.laws.at_rest() == []


def test_who_takes_an_address_later_takes_it_off_no_node() -> None:
    world = left_to_a_stranger(is_first=False)

    assert world.holders(VIP4) == {OWNER}
    assert world.wire.believed[VIP4][0] == OWNER


def test_a_node_that_dies_is_succeeded_without_a_question(world: World) -> None:
    world.wire.strangers[VIP4] = STRANGER

    world.kill_agent(OWNER)
    world.run(8.0)

    assert HEIR in world.holders(VIP4)


def test_while_an_agent_is_not_heard_an_answer_may_be_its_own() -> None:
    world = left_to_a_stranger(is_first=True, is_heard=False)

    assert world.holders(VIP4)


def test_who_keeps_taking_the_nodes_own_address_and_all_vips_with_it_is_told_of(world: World) -> None:
    node = world.nodes[OWNER]
    own = node.kernel.nics[0].own[0]
    for _ in range(3):
        node.kernel.delete((ETH0, own.ip, own.network.prefixlen))
        world.run(2.0)
        node.kernel.give_own()
        world.run(8.0)

    assert node.agent is not None
    told = [(one.vip, one.interface, one.times) for one in node.agent.removals if one.is_nodes_own]
    assert told == [(own.ip, "eth0", 3)]


def test_one_that_goes_from_a_nic_for_which_no_vip_is_wanted_is_no_business_of_ours() -> None:
    world = World(1, 3, of=one_subnet(3))
    world.begin()
    world.run(6.0)
    node = world.nodes[OWNER]
    own = node.kernel.nics[0].own[0]
    for _ in range(3):
        node.kernel.delete((ETH0, own.ip, own.network.prefixlen))
        node.kernel.give_own()
        world.run(2.0)

    assert node.agent is not None
    assert node.agent.removals == []


def test_an_address_that_is_given_again_before_it_was_withdrawn_is_not_new(world: World) -> None:
    """A Service that is deleted and made anew in one breath: nobody was asked, and who comes later isn't first."""
    world.api.unwant(VIP4)
    world.api.want(VIP4)
    world.run(30.0)
    assert world.holders(VIP4) == {OWNER}

    world.wire.claim(VIP4, STRANGER)
    world.run(5.0)

    assert world.holders(VIP4) == {OWNER}


@pytest.mark.parametrize("seconds", [1.0, 400.0])
def test_who_comes_after_the_question_was_answered_by_nobody_takes_nothing(seconds: float) -> None:
    world = World(1, 3, of=one_subnet(3))
    world.begin()
    world.run(20.0)
    world.api.want(VIP4)
    world.run(seconds)

    world.wire.claim(VIP4, STRANGER)
    world.run(20.0)

    assert world.holders(VIP4) == {OWNER}


def test_an_agent_that_starts_leaves_routed_addresses_until_it_knows_where_their_endpoints_are() -> None:
    world = World(1, 3, of=one_subnet(3))
    world.api.endpoints(ROUTED, frozenset({"n1"}))
    world.api.want(ROUTED, policy="Local")
    world.begin()
    world.run(6.0)
    for _ in range(4):
        world.kill_agent("n1")
        world.run(1.0)
        world.start_agent("n1")
        for _ in range(500):
            world.run(0.01)
            assert world.holders(ROUTED) == {"n1"}
