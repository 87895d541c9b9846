"""Why nobody has a VIP, and when that is told."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from lbnodeagent.dataplane.nowhere import PATIENCE, Cluster, Nowhere, why_nowhere
from lbnodeagent.dataplane.obstacles import Obstacles, obstacle
from lbnodeagent.gossip.meta import Meta
from lbnodeagent.tables import UNCONFIGURED
from tests.lbnodeagent.scenes import NOW, ROUTED, VIP, wanted

WIRE = ip_network("10.31.0.0/16")
AWAY = {
    "m": Meta(True, idle=frozenset({WIRE})),
    "w11": Meta(True),
    "w12": Meta(),
    "w13": Meta(True, is_leaving=True, reach=frozenset({WIRE})),
    "w14": Meta(True, announces=False),
    "w15": Meta(True),
}
CLUSTER = Cluster({"m", "w11"}, {WIRE}, Obstacles(AWAY, {"w10"}))


def test_of_a_vip_that_a_node_owns_or_that_every_node_routes_there_is_nothing_to_tell() -> None:
    assert why_nowhere(wanted(VIP), "w11", CLUSTER) is None
    assert why_nowhere(wanted(ROUTED), None, CLUSTER) is None


def test_when_all_nodes_of_its_subnet_are_gone_the_subnet_is_named() -> None:
    why = why_nowhere(wanted(VIP), None, CLUSTER)

    assert (why or "").startswith("no live node has a NIC with a cable on 10.31.0.0/16, where it belongs (")


def test_each_node_is_named_with_what_keeps_it_from_having_the_vip() -> None:
    assert CLUSTER.obstacles.on(WIRE) == (
        "m: no cable on 10.31.0.0/16; w10: its agent is not heard; w11, w15: no interface on 10.31.0.0/16; "
        "w12: its agent starts; and so on"
    )
    assert obstacle(AWAY["w13"], WIRE) == "its agent shuts down"
    assert obstacle(AWAY["w14"], WIRE) == "no LBNodeAgent with a local block is for it"


def test_of_many_nodes_the_first_few_are_named() -> None:
    many = Obstacles({f"w{number}": Meta(True) for number in range(1000, 2000)}, frozenset())

    assert many.on(WIRE) == "w1000, w1001, w1002 and 997 more: no interface on 10.31.0.0/16"


def test_of_those_that_may_have_it_each_is_named() -> None:
    elsewhere = replace(wanted(VIP, endpoints=frozenset({"w11", "w99"})), allow_local=True)

    why = why_nowhere(elsewhere, None, CLUSTER)

    assert why is not None
    assert why.endswith("(w11: no interface on 10.31.0.0/16; w99: its agent is not heard)")


def test_policy_local_that_is_kept_on_a_nic_may_leave_nobody() -> None:
    kept = replace(wanted(VIP, endpoints=frozenset()), allow_local=True)
    elsewhere = replace(kept, endpoints=frozenset({"w99"}))

    assert why_nowhere(kept, None, CLUSTER) == "its traffic policy is Local, and no endpoint of it is ready"
    assert "no node with a ready endpoint" in (why_nowhere(elsewhere, None, CLUSTER) or "")


def test_policy_local_of_a_routed_vip_may_leave_nobody() -> None:
    assert "no endpoint" in (why_nowhere(wanted(ROUTED, endpoints=frozenset()), None, CLUSTER) or "")
    assert "an agent" in (why_nowhere(wanted(ROUTED, endpoints=frozenset({"w99"})), None, CLUSTER) or "")
    assert why_nowhere(wanted(ROUTED, endpoints=frozenset({"m"})), None, CLUSTER) is None


def test_without_an_lbnodeagent_for_any_node_nobody_announces_anything() -> None:
    nobody = replace(CLUSTER, able=())

    assert why_nowhere(wanted(ROUTED), None, nobody) == UNCONFIGURED
    assert why_nowhere(wanted(VIP), None, nobody) == UNCONFIGURED


def test_it_is_told_when_it_has_lasted() -> None:
    nowhere = Nowhere()
    nowhere.look(VIP, NOW, is_nowhere=True)
    nowhere.look(VIP, NOW + 1, is_nowhere=True)

    assert nowhere.deadline == NOW + PATIENCE
    assert nowhere.due(NOW + PATIENCE - 0.1) == set()
    assert not nowhere.has_lasted(VIP)
    assert nowhere.due(NOW + PATIENCE) == {VIP}
    assert nowhere.has_lasted(VIP)
    assert nowhere.deadline is None


def test_what_ends_before_is_not_told() -> None:
    nowhere = Nowhere()
    nowhere.look(VIP, NOW, is_nowhere=True)
    nowhere.look(VIP, NOW + 1, is_nowhere=False)

    assert nowhere.deadline is None
    assert nowhere.due(NOW + PATIENCE) == set()


def test_a_node_selector_that_chooses_nobody_is_named() -> None:
    nobody = replace(wanted(VIP), announcers=frozenset({"w99"}))
    assert why_nowhere(nobody, None, CLUSTER) == (
        "no node that the nodeSelector of its ServiceGroup chooses has an agent that can announce"
    )

    elsewhere = replace(wanted(VIP), announcers=frozenset({"w11"}))
    assert why_nowhere(elsewhere, None, CLUSTER) == (
        "no node that the nodeSelector of its ServiceGroup chooses has a NIC with a cable on 10.31.0.0/16, where it "
        "belongs (w11: no interface on 10.31.0.0/16)"
    )


def test_a_node_selector_and_policy_local_may_have_no_node_in_common() -> None:
    apart = replace(wanted(VIP, endpoints=frozenset({"m"})), allow_local=True, announcers=frozenset({"w11"}))

    assert why_nowhere(apart, None, CLUSTER) == (
        "its traffic policy is Local, and the nodeSelector of its ServiceGroup chooses no node with an endpoint"
    )
