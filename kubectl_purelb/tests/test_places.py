"""Where an address is: neither the annotation nor the list of nodes is believed alone."""

from __future__ import annotations

import pytest

from clusters import Json, cluster, group, member, membership, service
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.places import Place, State, all_places

V2_LOCAL = group(version="v2")
REMOTE = group("far", "10.189.0.0/24", "10.189.0.0/16", scope="remote")


def place_of(cluster: Cluster) -> Place:
    (place,) = all_places(cluster)
    return place


@pytest.mark.parametrize(
    ("seen", "state", "why"),
    [
        (cluster(service("web", "10.31.188.64")), State.ANNOUNCED, ""),
        (cluster(service("web")), State.PENDING, "it has no address yet"),
        (cluster(service("web", "10.31.188.64", node=None)), State.NOWHERE, "no node says that it announces it"),
        (
            cluster(service("web", "10.31.188.64", node="dead")),
            State.NOWHERE,
            "the node that announced it takes no part any more",
        ),
        (cluster(service("web", "10.31.188.64"), members=membership()), State.NOWHERE, "no node takes part"),
        (cluster(service("web", "10.31.188.64"), members=None), State.ANNOUNCED, ""),
        (
            cluster(service("web", "10.31.188.64", node=None), members=None),
            State.UNKNOWN,
            "no agent says which nodes there are",
        ),
        (
            cluster(service("web", "10.189.0.1", group="far", node=None), groups=[REMOTE]),
            State.ROUTED,
            "every node has it",
        ),
        (
            cluster(service("web", "10.31.188.64", node=None), members=membership(member("w11", "10.7.0.0/16"))),
            State.ROUTED,
            "every node has it",
        ),
        (
            cluster(
                service("web", "10.31.188.64", node=None),
                groups=[V2_LOCAL],
                members=membership(member("w11", "10.7.0.0/16")),
            ),
            State.NOWHERE,
            "no node that takes part has a NIC in its subnet",
        ),
        (
            cluster(service("web", "10.189.0.1", group="far", externalTrafficPolicy="Local"), groups=[REMOTE]),
            State.ROUTED,
            "the nodes with a ready endpoint have it",
        ),
    ],
)
def test_where_an_address_is(seen: Cluster, state: State, why: str) -> None:
    place = place_of(seen)

    assert (place.state, place.why) == (state, why)


def test_an_announced_address_is_on_a_nic_of_a_node() -> None:
    place = place_of(cluster(service("web", "10.31.188.64")))

    assert (place.group, place.node, place.interface) == ("wire", "w11", "eth0")


def test_that_of_a_remote_pool_whose_subnet_a_node_is_on_is_elected_as_any_other() -> None:
    """By their subnets alone the agents decide, as PureLB's do."""
    near = group(scope="remote")
    place = place_of(cluster(service("web", "10.31.188.64"), groups=[near]))

    assert (place.state, place.node, place.interface) == (State.ANNOUNCED, "w11", "eth0")


def test_a_routed_one_is_on_the_dummy_interface_that_is_configured() -> None:
    config = {"metadata": {"name": "default"}, "spec": {"local": {"extlbint": "lb1"}}}
    place = place_of(cluster(service("web", "10.189.0.1", group="far"), groups=[REMOTE], configs=[config]))

    assert (place.node, place.interface) == ("", "lb1")


def config(reason: str, spec: Json) -> Json:
    """As the allocator leaves one that no node goes by."""
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": "it isn't used"}
    return {"metadata": {"name": "default"}, "spec": spec, "status": {"nodes": 0, "conditions": [ready]}}


def test_none_is_routed_while_no_node_goes_by_any_configuration() -> None:
    """Agents that have none are on no subnet, which routed addresses alone need not be."""
    nobody = membership(member("w11", standing="Excluded") | {"subnets": []})
    place = place_of(
        cluster(service("web", "10.31.188.64", node=None), members=nobody, configs=[config("NoNode", {"local": {}})])
    )

    assert (place.state, place.why) == (State.NOWHERE, "no LBNodeAgent applies to a node")


def test_one_that_is_refused_may_be_in_force_as_it_was() -> None:
    refused = config("Refused", {"local": {"localint": "("}})

    assert place_of(cluster(service("web", "10.31.188.64"), configs=[refused])).state is State.ANNOUNCED


def test_each_address_has_a_place_and_the_pool_that_it_is_of() -> None:
    both = service("web", "10.31.188.64", "10.189.0.1", group="wire,far", node=None)
    both["metadata"]["annotations"]["purelb.io/announcing-IPv4"] = "w12,eth0,10.31.188.64"

    first, second = all_places(cluster(both, groups=[group(), REMOTE]))

    assert (first.state, first.node, first.group) == (State.ANNOUNCED, "w12", "wire")
    assert (second.state, second.node, second.group) == (State.ROUTED, "", "far")


def test_what_another_controller_gave_is_its_own() -> None:
    place = place_of(cluster(service("web", "10.5.5.5", branded=False)))

    assert (place.state, place.state.is_well) == (State.FOREIGN, True)
    assert place.why == "another program wrote it, and PureLB leaves it alone"


@pytest.mark.parametrize(
    "foreign",
    [
        service("web", "10.31.188.64", loadBalancerClass="example.com/other"),
        service("web", type="ClusterIP"),
    ],
)
def test_services_of_others_are_no_matter_of_ours(foreign: Json) -> None:
    assert all_places(cluster(foreign)) == ()


def test_without_a_class_a_service_is_ours_only_where_the_allocator_is_told_so() -> None:
    assert all_places(cluster(service("web"), default_announcer=False)) == ()
    assert all_places(cluster(service("web", loadBalancerClass="purelb.io/purelb"), default_announcer=False))


def test_a_namespace_can_be_chosen() -> None:
    seen = cluster(service("a"), service("b", namespace="other"))

    assert [place.service.name for place in all_places(seen, "other")] == ["b"]
