"""Where each address is, since when, and who is next."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from allocator.page.facts import Facts
from allocator.page.places import Place, Places, State
from allocator.page.pools import Pools
from purelb import names
from purelb.membership import MemberNode, Standing
from purelb.services import ServiceKey, ServiceView
from tests.allocator.builders import group_body, ip, local, service
from tests.allocator.page.scene import POOL, facts, member, members, placed


def places(known: Facts) -> dict[str, Place]:
    pools = Pools()
    pools.see(known.groups)
    return Places(default_announcer=True).see(known, pools.served)


def place(known: Facts) -> Place:
    (one,) = places(known).values()
    return one


def test_an_address_is_where_a_node_that_takes_part_says_to_have_it() -> None:
    written = datetime.datetime(2026, 11, 29, 9, 0, 0, tzinfo=datetime.UTC)
    one = place(facts(replace(placed("web", "10.1.0.7", "w1", "w1", "w3"), announced=written)))

    assert (one.state, one.node, one.interface) == (State.ANNOUNCED, "w1", "eth0")
    assert (one.pool, one.since, one.heir) == ("default", int(written.timestamp()), "w3")


@pytest.mark.parametrize(
    ("known", "state", "why"),
    [
        (facts(placed("web", "10.1.0.7", "w9")), State.NOWHERE, "takes no part any more"),
        (facts(placed("web", "10.1.0.7")), State.NOWHERE, "no node says that it announces it"),
        (facts(placed("web", "10.1.0.7", "w1"), there=()), State.NOWHERE, "no node takes part"),
        (facts(placed("web", "10.9.0.7")), State.ROUTED, "every node has it"),
        (facts(service("web")), State.PENDING, "no address yet"),
        (facts(service("web", ingress=["10.1.0.7"], writer="metallb")), State.FOREIGN, "metallb wrote it"),
        (facts(placed("web", "10.1.0.7"), members=None), State.UNKNOWN, "no agent says"),
        (facts(placed("web", "10.1.0.7", "w1"), members=None), State.ANNOUNCED, ""),
    ],
)
def test_what_is_said_of_an_address_that_is_not_on_a_node(known: Facts, state: State, why: str) -> None:
    one = place(known)

    assert one.state is state
    assert why in one.why
    assert one.heir is None or state is State.ANNOUNCED


def test_an_address_of_a_group_that_is_on_link_only_is_nowhere_where_no_nic_fits() -> None:
    as_v1 = group_body("default", local=local("10.9.0.0/24"))
    writers = [{"apiVersion": "purelb.io/v2", "fieldsV1": {"f:spec": {}}}]
    as_v2 = {**as_v1, "metadata": {**as_v1["metadata"], "managedFields": writers}}

    assert place(facts(placed("web", "10.9.0.7"), groups=(as_v1,))).state is State.ROUTED
    one = place(facts(placed("web", "10.9.0.7"), groups=(as_v2,)))
    assert (one.state, one.why) == (State.NOWHERE, "no node that takes part has a NIC in its subnet")


def test_services_of_others_are_not_shown() -> None:
    others = service("web", loadBalancerClass="example.com/other")
    inside = service("db", type="ClusterIP")

    assert places(facts(others, inside)) == {}


def test_services_that_share_an_address_are_one_place() -> None:
    one = place(facts(placed("web", "10.1.0.7", "w2"), placed("api", "10.1.0.7")))

    assert one.services == (ServiceKey("default", "api"), ServiceKey("default", "web"))
    assert one.node == "w2"


def test_who_is_next_is_who_the_agents_would_elect() -> None:
    excluded = members("w1", "w2") | {"w3": member("w3", Standing.EXCLUDED)}

    assert place(facts(placed("web", "10.1.0.7", "w1", "w1", "w3"), members=excluded)).heir == "w2"
    assert place(facts(placed("web", "10.1.0.7", "w1"), there=("w1",))).heir == ""


def test_policy_local_confines_who_is_next_to_nodes_with_endpoints() -> None:
    web = placed("web", "10.1.0.7", "w1", "w1", "w2", externalTrafficPolicy="Local")

    assert place(facts(web)).heir is None, "endpoints aren't followed"
    endpoints = {web.key: frozenset({"w1", "w3"})}
    assert place(facts(web, endpoints=endpoints)).heir == "w3"


def test_a_group_for_some_nodes_confines_who_is_next_to_them() -> None:
    chosen = {"matchLabels": {"rack": "1"}}
    body = {
        **POOL,
        "spec": POOL["spec"] | {"nodeSelector": chosen},
        "status": {**POOL["status"], "nodes": ["w1", "w3"]},
    }

    assert place(facts(placed("web", "10.1.0.7", "w1", "w1", "w2"), groups=(body,))).heir == "w3"


def test_what_has_not_changed_is_the_same_object() -> None:
    pools, asked = Pools(), Places(default_announcer=True)
    web, api = placed("web", "10.1.0.7", "w1"), placed("api", "10.1.0.8", "w2")

    def see(*services: ServiceView, there: dict[str, MemberNode]) -> dict[str, Place]:
        known = facts(*services, members=there)
        pools.see(known.groups)
        return asked.see(known, pools.served)

    first = see(web, api, there=members("w1", "w2", "w3"))
    second = see(placed("web", "10.1.0.7", "w3"), api, there=members("w1", "w2", "w3"))
    assert second["10.1.0.8"] is first["10.1.0.8"]
    assert second["10.1.0.7"].node == "w3"

    counted = {name: replace(node, vips=7) for name, node in members("w1", "w2", "w3").items()}
    assert see(web, api, there=counted)["10.1.0.8"] is first["10.1.0.8"], "how many they have says nothing here"
    assert see(web, api, there=members("w1"))["10.1.0.8"].state is State.NOWHERE


def test_a_large_cluster_is_shown_without_who_is_next() -> None:
    many = tuple(placed(f"web{n}", f"10.1.0.{n}", "w1") for n in range(1, 250))
    crowd = members(*(f"w{n}" for n in range(1000)))

    assert {one.heir for one in places(facts(*many, members=crowd)).values()} == {None}


def test_an_annotation_that_a_tenant_wrote_is_read_within_bounds() -> None:
    shouted = {names.ANNOUNCING_IPV4: "x" * 100_000 + ",eth0"}

    one = place(facts(placed("web", "10.1.0.7", annotations=shouted)))
    assert (one.state, one.address) == (State.NOWHERE, ip("10.1.0.7"))
