"""What the agent does about VIPs, as lists of actions."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from lbnodeagent.dataplane.planner import (
    DUPLICATE,
    NO_SUBNET,
    Blocked,
    plan,
    plan_adopted,
    plan_links,
)
from lbnodeagent.dataplane.situation import Situation
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import (
    DUMMY_ALIAS,
    FOREVER,
    Action,
    CreateDummy,
    DeleteDummy,
    Place,
    PresentAddress,
    Remove,
    SetUp,
    Spot,
)
from purelb.addresses import Family, IPAddress, IPNetwork
from purelb.nodeagents import DUMMY_ADDRESSING, LOCAL_ADDRESSING, AddressConfig, NodeAgentConfig
from tests.lbnodeagent.scenes import (
    DUMMY,
    ETH0,
    ETH1,
    IPVS,
    NOW,
    ROUTED,
    VIP,
    VIP6,
    but,
    link,
    links_of,
    node,
    of,
    on_dummy,
    own,
    placed,
    situation,
    wanted,
)

WIRE = frozenset[IPNetwork]({ip_network("10.31.0.0/16")})
RACK = frozenset[IPNetwork]({ip_network("10.189.0.0/16")})
ON_ETH0 = Spot(ETH0, "eth0", 16, True, LOCAL_ADDRESSING)


def planned(scene: Situation, *vips: IPAddress) -> list[Action]:
    return plan(of(scene, *(vips or (VIP,))))[0]


def test_the_owner_places_a_vip_of_its_subnet_on_its_nic_with_the_subnets_prefix() -> None:
    assert planned(situation(node(), wanted(VIP), owners={VIP: "w11"})) == [Place(VIP, ON_ETH0)]


def test_an_ipv6_vip_takes_the_prefix_of_the_nics_ipv6_subnet() -> None:
    actions = planned(situation(node(), wanted(VIP6), owners={VIP6: "w11"}), VIP6)

    assert actions == [Place(VIP6, Spot(ETH0, "eth0", 64, True, LOCAL_ADDRESSING))]


def test_a_new_ipv6_vip_is_placed_with_duplicate_address_detection() -> None:
    scene = but(situation(node(), wanted(VIP6), owners={VIP6: "w11"}), VIP6, is_new=True)

    assert planned(scene, VIP6) == [
        Place(VIP6, Spot(ETH0, "eth0", 64, True, LOCAL_ADDRESSING), detects_duplicates=True)
    ]


def test_a_new_vip_on_kube_lb0_has_no_wire_to_ask() -> None:
    scene = but(situation(node(), wanted(ROUTED)), ROUTED, is_new=True)

    assert [
        action for action in planned(scene, ROUTED) if isinstance(action, Place) and action.detects_duplicates
    ] == []


def test_an_address_of_a_v2_local_pool_is_never_routed_and_one_node_says_so() -> None:
    scene = of(situation(node(), replace(wanted(ROUTED), onlink_only=True)), ROUTED)

    assert plan(scene) == ([], [Blocked(ROUTED, "default", NO_SUBNET)])
    assert plan(replace(scene, is_spokesman=False)) == ([], [])
    assert plan(replace(scene, onlink=RACK)) == ([], [])


def test_a_vip_that_another_host_has_is_blocked_and_what_is_left_of_it_removed() -> None:
    failed = replace(placed(ETH0, f"{VIP6}/64"), dad="failed")
    scene = but(situation(node(failed), wanted(VIP6), owners={VIP6: "w11"}), VIP6, is_duplicate=True)

    assert plan(of(scene, VIP6)) == ([Remove(VIP6, ETH0, "eth0", 64)], [Blocked(VIP6, "eth0", DUPLICATE)])


def test_another_nodes_vip_is_not_placed() -> None:
    assert planned(situation(node(), wanted(VIP), owners={VIP: "w12"})) == []


def test_a_vip_without_an_owner_is_not_placed() -> None:
    assert planned(situation(node(), wanted(VIP), onlink=WIRE)) == []


def test_what_is_placed_rightly_is_left_alone() -> None:
    assert planned(situation(node(placed(ETH0, "10.31.188.64/16")), wanted(VIP), owners={VIP: "w11"})) == []


def test_a_vip_that_was_lost_is_removed() -> None:
    scene = situation(node(placed(ETH0, "10.31.188.64/16")), wanted(VIP), owners={VIP: "w12"})

    assert planned(scene) == [Remove(VIP, ETH0, "eth0", 16)]


def test_a_vip_that_was_lost_stays_while_its_new_owner_has_it_not() -> None:
    present = node(placed(ETH0, "10.31.188.64/16"))

    assert planned(situation(present, wanted(VIP), owners={VIP: "w12"}, held=[VIP])) == []


def test_a_vip_that_nobody_wants_is_removed_even_from_its_owner() -> None:
    assert planned(situation(node(placed(ETH0, "10.31.188.64/16")), owners={VIP: "w11"})) == [
        Remove(VIP, ETH0, "eth0", 16)
    ]


def test_a_routed_vip_goes_to_the_dummy_of_every_node_with_its_pools_aggregation() -> None:
    actions = planned(situation(node(), wanted(ROUTED, aggregation=24)), ROUTED)

    assert actions == [Place(ROUTED, Spot(DUMMY, "kube-lb0", 24, False, DUMMY_ADDRESSING))]


def test_a_routed_vip_of_an_unknown_pool_gets_the_host_prefix() -> None:
    (action,) = planned(situation(node(), wanted(ROUTED)), ROUTED)

    assert isinstance(action, Place)
    assert action.spot.prefix_length == 32


def test_a_vip_on_other_nodes_subnet_is_no_routed_address_here() -> None:
    assert planned(situation(node(), wanted(ROUTED), onlink=RACK), ROUTED) == []


def test_with_policy_local_a_routed_vip_is_only_where_an_endpoint_is() -> None:
    here = wanted(ROUTED, endpoints=frozenset({"w11"}))
    elsewhere = wanted(ROUTED, endpoints=frozenset({"w12"}))

    assert len(planned(situation(node(), here), ROUTED)) == 1
    assert planned(situation(node(on_dummy("10.189.0.0/32")), elsewhere), ROUTED) == [
        Remove(ROUTED, DUMMY, "kube-lb0", 32)
    ]


def test_a_changed_aggregation_places_before_it_removes() -> None:
    actions = planned(situation(node(on_dummy("10.189.0.0/32")), wanted(ROUTED, aggregation=24)), ROUTED)

    assert actions == [
        Place(ROUTED, Spot(DUMMY, "kube-lb0", 24, False, DUMMY_ADDRESSING)),
        Remove(ROUTED, DUMMY, "kube-lb0", 32),
    ]


def test_a_routed_vip_waits_for_the_dummy_interface() -> None:
    assert planned(situation(node(without=[DUMMY]), wanted(ROUTED)), ROUTED) == []


def test_a_nic_without_a_cable_gives_its_vips_away() -> None:
    present = node(placed(ETH0, "10.31.188.64/16"), links=[link(ETH0, "eth0", has_carrier=False)])

    assert planned(situation(present, wanted(VIP), owners={VIP: "w11"}, held=[VIP])) == [Remove(VIP, ETH0, "eth0", 16)]


def test_an_operators_own_address_is_neither_taken_over_nor_removed() -> None:
    scene = situation(node(own(ETH0, "10.31.188.64/16")), wanted(VIP), owners={VIP: "w11"})

    actions, blocked = plan(of(scene, VIP))

    assert actions == []
    assert [(item.vip, item.interface) for item in blocked] == [(VIP, "eth0")]
    assert planned(situation(node(own(ETH0, "10.31.188.64/32")))) == []


def test_kube_proxys_copy_of_the_vip_is_not_touched() -> None:
    present = node(own(IPVS, "10.31.188.64/32"), links=[link(IPVS, "kube-ipvs0")])

    assert planned(situation(present, wanted(VIP), owners={VIP: "w11"})) == [Place(VIP, ON_ETH0)]
    assert planned(situation(present)) == []


def test_a_lifetime_is_renewed_before_it_is_half_over() -> None:
    present = node(placed(ETH0, "10.31.188.64/16", expires=NOW + 8))

    def at(seconds: float) -> list[Action]:
        return planned(situation(present, wanted(VIP), owners={VIP: "w11"}, now=NOW + seconds))

    assert at(1) == []
    assert at(2.5) == [Place(VIP, ON_ETH0, is_renewal=True)]


def test_a_permanent_address_becomes_a_finite_one_when_the_configuration_says_so() -> None:
    present = node(placed(ETH0, "10.31.188.64/16", expires=FOREVER))

    assert planned(situation(present, wanted(VIP), owners={VIP: "w11"})) == [Place(VIP, ON_ETH0, is_renewal=True)]


def test_a_changed_prefix_route_takes_the_address_off_first() -> None:
    config = NodeAgentConfig(local_addressing=AddressConfig(0, 0, no_prefix_route=False))
    present = node(placed(ETH0, "10.31.188.64/16", expires=FOREVER))

    actions = planned(situation(present, wanted(VIP), owners={VIP: "w11"}, config=config))

    assert [type(action) for action in actions] == [Remove, Place]


def test_a_vip_that_got_before_the_nodes_own_address_is_put_behind_it_without_harming_it() -> None:
    """The node's address was removed and came back: the kernel made it secondary to the VIP."""
    present = Present(
        node().links.values(),
        [
            placed(ETH0, "10.31.188.64/16", is_secondary=False),
            own(ETH0, "10.31.188.11/16", is_secondary=True),
        ],
        node().default_routes(Family.IPV4),
    )

    actions = planned(situation(present, wanted(VIP), owners={VIP: "w11"}))

    assert actions == [
        Remove(VIP, ETH0, "eth0", 16, keeps_order=False),
        Place(VIP, ON_ETH0, is_renewal=True),
    ]


def test_an_agent_that_announces_nothing_withdraws_what_it_has() -> None:
    config = NodeAgentConfig(announces=False)
    present = node(placed(ETH0, "10.31.188.64/16"), on_dummy("10.189.0.0/32"))

    actions = planned(situation(present, wanted(VIP), wanted(ROUTED), owners={VIP: "w11"}, config=config), VIP, ROUTED)

    assert actions == [Remove(VIP, ETH0, "eth0", 16), Remove(ROUTED, DUMMY, "kube-lb0", 32)]


def test_a_leaving_agent_keeps_only_what_it_is_handing_over() -> None:
    other = ip_address("10.31.188.65")
    present = node(placed(ETH0, "10.31.188.64/16"), placed(ETH0, "10.31.188.65/16"), on_dummy("10.189.0.0/32"))

    scene = situation(present, wanted(VIP), wanted(other), held=[VIP], leaving=True)

    assert planned(scene, VIP, other, ROUTED) == [
        Remove(other, ETH0, "eth0", 16),
        Remove(ROUTED, DUMMY, "kube-lb0", 32),
    ]


def test_a_vip_moves_to_another_nic_without_a_gap() -> None:
    present = node(placed(ETH0, "10.31.188.64/16"), own(ETH1, "10.31.188.70/26"), links=[link(ETH1, "eth1")])
    config = NodeAgentConfig(local_interface="eth1")

    assert planned(situation(present, wanted(VIP), owners={VIP: "w11"}, config=config)) == [
        Place(VIP, Spot(ETH1, "eth1", 26, True, LOCAL_ADDRESSING)),
        Remove(VIP, ETH0, "eth0", 16),
    ]


# --- the dummy interface ---------------------------------------------------------------------------------------------


def test_the_dummy_interface_is_made_before_any_service_exists() -> None:
    assert plan_links(links_of(node(without=[DUMMY]))) == [CreateDummy("kube-lb0")]
    assert plan_links(links_of(node())) == []


def test_our_dummy_interface_is_set_up_again_and_an_operators_is_left_alone() -> None:
    ours = node(links=[link(DUMMY, "kube-lb0", alias=DUMMY_ALIAS, is_up=False)])
    theirs = node(links=[link(DUMMY, "kube-lb0", is_up=False)])

    assert plan_links(links_of(ours)) == [SetUp(DUMMY, "kube-lb0")]
    assert plan_links(links_of(theirs)) == []


def test_a_renamed_dummy_interface_is_replaced_and_only_ours_deleted() -> None:
    config = NodeAgentConfig(dummy_interface="lb1")
    ours = node(links=[link(DUMMY, "kube-lb0", alias=DUMMY_ALIAS)])

    assert plan_links(links_of(ours, config=config)) == [CreateDummy("lb1"), DeleteDummy(DUMMY, "kube-lb0")]
    assert plan_links(links_of(node(), config=config)) == [CreateDummy("lb1")]


def test_at_shutdown_the_dummy_interface_goes_unless_somebody_else_uses_it() -> None:
    ours = link(DUMMY, "kube-lb0", alias=DUMMY_ALIAS)

    assert plan_links(links_of(node(links=[ours]), leaving=True)) == [DeleteDummy(DUMMY, "kube-lb0")]
    assert plan_links(links_of(node(own(DUMMY, "fe80::1/64"), links=[ours]), leaving=True)) == [
        DeleteDummy(DUMMY, "kube-lb0")
    ]
    assert plan_links(links_of(node(own(DUMMY, "10.9.9.9/32"), links=[ours]), leaving=True)) == []
    assert plan_links(links_of(node(on_dummy("10.189.0.0/32"), links=[ours]), leaving=True)) == []


# --- before the configuration is known -------------------------------------------------------------------------------


def test_an_adopted_vip_stays_renewed_while_nobody_else_has_it() -> None:
    present = node(placed(ETH0, "10.31.188.64/16", expires=NOW + 5))

    assert plan_adopted(situation(present, held=[VIP])) == [Place(VIP, ON_ETH0, is_renewal=True)]


def test_an_adopted_vip_goes_when_a_peer_has_it() -> None:
    present = node(placed(ETH0, "10.31.188.64/16"))

    assert plan_adopted(situation(present, owners={VIP: "w12"})) == [Remove(VIP, ETH0, "eth0", 16)]


def test_an_adopted_vip_is_left_to_expire_while_peers_cant_be_heard() -> None:
    assert plan_adopted(situation(node(placed(ETH0, "10.31.188.64/16", expires=NOW + 5)))) == []


def test_an_adopted_vip_goes_when_another_host_answers_for_it_while_peers_cant_be_heard() -> None:
    scene = but(situation(node(placed(ETH0, "10.31.188.64/16"))), VIP, is_claimed=True)

    assert plan_adopted(scene) == [Remove(VIP, ETH0, "eth0", 16)]


# --- laws ------------------------------------------------------------------------------------------------------------

ADDRESSES = [IPv4Address("10.31.188.64") + offset for offset in range(4)] + [
    IPv4Address("10.189.0.0") + offset for offset in range(3)
]
SPOTS = st.sampled_from(
    [placed(ETH0, f"{vip}/16") for vip in ADDRESSES]
    + [placed(ETH0, f"{vip}/16", expires=NOW + 1) for vip in ADDRESSES]
    + [placed(ETH0, f"{vip}/16", no_prefix_route=False) for vip in ADDRESSES]
    + [on_dummy(f"{vip}/32") for vip in ADDRESSES]
    + [own(ETH0, f"{vip}/16", is_secondary=True) for vip in ADDRESSES]
)


def applied(present: Present, actions: list[Action]) -> Present:
    """The state that the kernel is in after ``actions``."""
    addresses = {there.key: there for there in present.all()}
    for action in actions:
        match action:
            case Remove(vip, index, _, prefix_length):
                removed = addresses.pop((index, vip, prefix_length))
                assert removed.is_ours
            case Place(vip, spot):
                lifetime = spot.addressing.valid_lifetime
                addresses[spot.index, vip, spot.prefix_length] = PresentAddress(
                    spot.index,
                    vip,
                    spot.prefix_length,
                    is_ours=True,
                    is_secondary=spot.is_local,
                    no_prefix_route=spot.addressing.no_prefix_route,
                    expires=NOW + lifetime if lifetime else FOREVER,
                )
            case _:
                raise AssertionError(action)
    return Present(present.links.values(), addresses.values(), node().default_routes(Family.IPV4))


@given(
    there=st.lists(SPOTS, max_size=8, unique_by=lambda one: (one.index, one.address)),
    wants=st.sets(st.sampled_from(ADDRESSES)),
    owned=st.sets(st.sampled_from(ADDRESSES)),
    held=st.sets(st.sampled_from(ADDRESSES)),
)
def test_planning_from_the_state_reached_does_nothing(
    there: list[PresentAddress], wants: set[IPv4Address], owned: set[IPv4Address], held: set[IPv4Address]
) -> None:
    present = node(*there)

    def scene(present: Present) -> Situation:
        return situation(present, *(wanted(vip) for vip in wants), owners=dict.fromkeys(owned, "w11"), held=held)

    actions, _ = plan(of(scene(present), *ADDRESSES))
    reached = applied(present, actions)

    assert plan(of(scene(reached), *ADDRESSES))[0] == []
    assert {one for one in reached.all() if not one.is_ours} == {one for one in present.all() if not one.is_ours}
