"""What is done about one Service, from what it shows: PureLB's rules, annotations and sentences."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from allocator.ipam.engine import Engine
from allocator.ipam.requests import Reason
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.plan import NOTHING, Plan, Write
from allocator.reconcile.review import Reviewer
from purelb import names
from purelb.addresses import parse_range
from purelb.forbidden import Barred, Forbidden
from purelb.servicegroups import ServiceGroup
from tests.allocator.builders import engine_with, entries, group, ip, local, service

LAYER2 = group("layer2-ippool", local=local("10.31.188.64-10.31.188.66"))
DEFAULT = group("default", local=local("10.1.0.0/30", "fd00::/126"))
ROUTED = group("routed", remote=local("10.189.0.0/16"))
BRANDED = {names.ALLOCATED_BY: "PureLB", names.ALLOCATED_FROM: "default"}
WRITTEN = {**BRANDED, names.POOL_TYPE: "local"}


class Desk:
    """A reviewer, its engine, and the Services it has seen, without an API."""

    def __init__(self, *groups: ServiceGroup, default_announcer: bool = True) -> None:
        self.engine: Engine = engine_with(*groups)
        self.cache = ServiceCache()
        self.reviewer = Reviewer(self.engine, default_announcer=default_announcer)

    def review(self, name: str, **parts: Any) -> Plan:
        self.cache.seen(service(name, **parts))
        entry = self.cache.get(service(name, **parts).key)
        assert entry is not None
        return self.reviewer.review(entry.service, entry.seniority)


def write_of(plan: Plan) -> Write:
    assert isinstance(plan.step, Write), plan
    return plan.step


def messages(plan: Plan) -> list[str]:
    done = plan.step.done if isinstance(plan.step, Write) else ()
    return [notice.message for notice in (*plan.standing, *done)]


def ingress(plan: Plan) -> list[str]:
    return [str(address) for address in write_of(plan).ingress]


# --- allocation ------------------------------------------------------------------------------------------------------


def test_an_allocation_is_one_write_of_addresses_and_annotations_and_purelb_s_event() -> None:
    plan = Desk(LAYER2).review("nginx", annotations={names.SERVICE_GROUP: "layer2-ippool"})

    assert ingress(plan) == ["10.31.188.64"]
    assert write_of(plan).annotations == {**WRITTEN, names.ALLOCATED_FROM: "layer2-ippool"}
    assert [(notice.type, notice.reason, notice.message) for notice in write_of(plan).done] == [
        (
            "Normal",
            "AddressAssigned",
            "Assigned {Ingress:[{IP:10.31.188.64 Hostname: Ports:[]}]} from pool layer2-ippool",
        )
    ]


def test_a_refusal_is_purelb_s_warning_and_no_write() -> None:
    plan = Desk(LAYER2).review("nginx", annotations={names.SERVICE_GROUP: "nope"})

    assert plan.step is None
    assert [(notice.type, notice.reason, notice.message) for notice in plan.standing] == [
        (
            "Warning",
            "AllocationFailed",
            'Failed to allocate IP for "default/nginx": unknown pool "nope"; name "layer2-ippool" in the annotation '
            'purelb.io/service-group, or create a ServiceGroup "nope"',
        )
    ]
    assert plan.refusal is not None
    assert plan.refusal.reason is Reason.UNKNOWN_POOL


def test_an_empty_group_annotation_means_the_default_group() -> None:
    assert ingress(Desk(DEFAULT).review("a", annotations={names.SERVICE_GROUP: ""})) == ["10.1.0.0"]


def test_what_a_plan_gives_is_reserved_before_it_is_written() -> None:
    desk = Desk(LAYER2, DEFAULT)

    assert ingress(desk.review("a")) == ["10.1.0.0"]
    assert ingress(desk.review("b")) == ["10.1.0.1"]
    assert ingress(desk.review("a", version=2)) == ["10.1.0.0"]


def test_a_routed_group_and_one_that_skips_dad_mark_their_services() -> None:
    plan = Desk(ROUTED).review("a", annotations={names.SERVICE_GROUP: "routed"})
    quick = Desk(group("default", local=local("10.1.0.0/30", skipIPv6DAD=True))).review("a")

    assert write_of(plan).annotations[names.POOL_TYPE] == "remote"
    assert write_of(quick).annotations[names.SKIP_IPV6_DAD] == "true"


@pytest.mark.parametrize("text", ["10.1.0.2", " 10.1.0.2"])
def test_load_balancer_ip_pins_the_address(text: str) -> None:
    assert ingress(Desk(DEFAULT).review("a", loadBalancerIP=text)) == ["10.1.0.2"]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"loadBalancerIP": "10.1.0"}, 'invalid spec.loadBalancerIP "10.1.0"'),
        ({"annotations": {names.ADDRESSES: "10.1.0.1,x"}}, 'invalid user-specified address: ""x""'),
        (
            {"loadBalancerIP": "10.99.0.1"},
            '"10.99.0.1" does not belong to any group; it has to be in a ServiceGroup\'s pool',
        ),
        ({"annotations": {names.ADDRESSES: "x" * 99}}, f'invalid user-specified address: ""{"x" * 64}…""'),
        (
            {"annotations": {names.ADDRESSES: ",".join(["10.1.0.1"] * 257)}},
            "invalid user-specified address: the list has more than 256 addresses",
        ),
        (
            {"annotations": {names.ADDRESSES: "1" * 200_000}},
            "invalid user-specified address: the list has more than 256 addresses",
        ),
    ],
)
def test_a_wrong_address_is_refused_in_one_sentence(parts: dict[str, Any], sentence: str) -> None:
    assert messages(Desk(DEFAULT, LAYER2).review("a", **parts)) == [
        f'Failed to allocate IP for "default/a": {sentence}'
    ]


@pytest.mark.parametrize(("named", "told"), [("default", 0), ("layer2-ippool", 1)])
def test_load_balancer_ip_wins_over_another_group_and_says_so(named: str, told: int) -> None:
    plan = Desk(DEFAULT, LAYER2).review("a", loadBalancerIP="10.1.0.2", annotations={names.SERVICE_GROUP: named})

    assert ingress(plan) == ["10.1.0.2"]
    assert write_of(plan).annotations[names.ALLOCATED_FROM] == "default"
    assert sum("service-group will be ignored" in message for message in messages(plan)) == told


def test_the_addresses_annotation_wins_over_the_group_and_says_so() -> None:
    annotations = {names.ADDRESSES: "10.1.0.3,fd00::3", names.SERVICE_GROUP: "layer2-ippool"}

    plan = Desk(DEFAULT, LAYER2).review("a", annotations=annotations, ipFamilies=["IPv4", "IPv6"])

    assert ingress(plan) == ["10.1.0.3", "fd00::3"]
    assert write_of(plan).annotations[names.ALLOCATED_FROM] == "default, default"
    assert messages(plan)[1] == (
        "Both the addresses annotation and the service-group annotation were provided. service-group will be ignored."
    )


# --- whose Services --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "default_announcer", "served"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"loadBalancerClass": "purelb.io/purelb"}, False, True),
        ({"loadBalancerClass": "purelb.io/purelbv2"}, False, True),
        ({"loadBalancerClass": "metallb.io/metallb"}, True, False),
        ({"clusterIP": "None"}, True, False),
        ({"type": "ClusterIP"}, True, False),
    ],
)
def test_only_our_services_are_served(parts: dict[str, Any], default_announcer: bool, served: bool) -> None:
    plan = Desk(DEFAULT, default_announcer=default_announcer).review("a", **parts)

    assert (plan.step is not None) == served


def test_a_foreign_service_and_its_address_are_left_alone_but_the_address_is_not_given_away() -> None:
    desk = Desk(DEFAULT)

    assert desk.review("theirs", ingress=["10.1.0.0"], loadBalancerClass="metallb.io/metallb") == NOTHING
    assert desk.review("unbranded", ingress=["10.1.0.1"]).step is None
    assert ingress(desk.review("a")) == ["10.1.0.2"]


def test_who_would_be_ours_and_has_another_s_address_is_told_how_to_get_one_of_ours() -> None:
    desk = Desk(DEFAULT)

    by_default = desk.review("a", ingress=["192.0.2.1"], writer="other-lb")
    asking = desk.review("b", ingress=["192.0.2.2"], annotations={names.SERVICE_GROUP: "default"})

    assert messages(by_default) == [
        '192.0.2.1 in the status of this Service is not from PureLB, "other-lb" wrote it; PureLB leaves it alone. '
        'Set the annotation purelb.io/re-evaluate to "true" to have one of PureLB instead'
    ]
    assert [notice.type for notice in (*by_default.standing, *asking.standing)] == ["Normal", "Warning"]


def test_re_evaluate_takes_a_service_over_from_another_controller_and_is_always_taken_away() -> None:
    desk = Desk(DEFAULT)
    asks = {names.RE_EVALUATE: "true"}

    moved = desk.review("a", ingress=["192.0.2.1"], annotations=asks, writer="other-lb")
    adopted = desk.review("b", ingress=["10.1.0.1"], annotations=asks, writer="other-lb")
    refused = desk.review("c", ingress=["192.0.2.3"], annotations={**asks, names.SERVICE_GROUP: "nope"})

    assert (ingress(moved), write_of(moved).annotations) == (["10.1.0.0"], {**WRITTEN, names.RE_EVALUATE: None})
    assert (ingress(adopted), write_of(adopted).annotations) == (["10.1.0.1"], WRITTEN)
    again = desk.review("b", ingress=["10.1.0.1"], annotations={**BRANDED, **asks}, version=2)
    assert (ingress(again), write_of(again).annotations[names.RE_EVALUATE]) == (["10.1.0.1"], None)
    assert (ingress(refused), write_of(refused).annotations) == (["192.0.2.3"], {names.RE_EVALUATE: None})
    assert 'unknown pool "nope"' in messages(refused)[0]


def test_a_service_with_our_brand_copied_from_another_but_a_foreign_class_is_left_alone() -> None:
    plan = Desk(DEFAULT).review("a", annotations=BRANDED, ingress=["10.1.0.0"], loadBalancerClass="metallb.io/metallb")

    assert plan == NOTHING


def test_an_address_that_is_named_twice_is_branded_and_given_back_once() -> None:
    desk = Desk(DEFAULT)

    plan = desk.review("a", ingress=["10.1.0.1", "10.1.0.1"], loadBalancerClass="purelb.io/purelb")
    desk.engine.release(service("a").key)

    assert ingress(plan) == ["10.1.0.1"]
    assert not desk.engine.is_spoken_for(ip("10.1.0.1"))


def test_an_address_that_another_version_left_without_a_brand_is_branded() -> None:
    plan = Desk(DEFAULT).review("a", ingress=["10.1.0.1"], loadBalancerClass="purelb.io/purelb")

    assert ingress(plan) == ["10.1.0.1"]
    assert write_of(plan).annotations == WRITTEN


# --- keeping ---------------------------------------------------------------------------------------------------------


def test_a_service_with_its_address_is_left_in_peace() -> None:
    desk = Desk(DEFAULT)

    assert desk.review("a", annotations=BRANDED, ingress=["10.1.0.1"]) == NOTHING
    assert ingress(desk.review("b")) == ["10.1.0.0"]
    assert ingress(desk.review("c")) == ["10.1.0.2"]


def test_a_wiped_status_gets_the_same_address_back() -> None:
    desk = Desk(DEFAULT)
    desk.review("low")
    desk.review("a")
    desk.engine.release(service("low").key)

    assert ingress(desk.review("a", version=3, annotations=BRANDED)) == ["10.1.0.1"]


def test_a_service_without_allocated_from_gets_it_back() -> None:
    plan = Desk(DEFAULT).review("a", annotations={names.ALLOCATED_BY: "PureLB"}, ingress=["10.1.0.1"])

    assert write_of(plan).annotations == WRITTEN


def test_a_later_change_of_group_or_address_is_not_followed_and_says_how_it_would_be() -> None:
    desk = Desk(DEFAULT, LAYER2)

    moved = desk.review("a", annotations={**BRANDED, names.SERVICE_GROUP: "layer2-ippool"}, ingress=["10.1.0.1"])
    pinned = desk.review("b", annotations=BRANDED, ingress=["10.1.0.2"], loadBalancerIP="10.1.0.3")

    assert moved.step is None
    assert messages(moved) == [
        'service-group "layer2-ippool" has no effect while the Service has 10.1.0.1; '
        'set the annotation purelb.io/re-evaluate to "true" to apply it'
    ]
    assert pinned.step is None
    assert messages(pinned)[0].startswith("asking for 10.1.0.3 has no effect while the Service has 10.1.0.2;")


def test_re_evaluate_moves_the_service_and_removes_itself() -> None:
    desk = Desk(DEFAULT, LAYER2)
    annotations = {**BRANDED, names.SERVICE_GROUP: "layer2-ippool", names.RE_EVALUATE: "true"}

    plan = desk.review("a", annotations=annotations, ingress=["10.1.0.0"])

    assert ingress(plan) == ["10.31.188.64"]
    assert write_of(plan).annotations[names.RE_EVALUATE] is None
    assert write_of(plan).annotations[names.ALLOCATED_FROM] == "layer2-ippool"
    assert ingress(desk.review("b")) == ["10.1.0.0"]


def test_re_evaluate_without_a_reason_to_move_only_removes_itself() -> None:
    plan = Desk(DEFAULT).review("a", annotations={**BRANDED, names.RE_EVALUATE: "true"}, ingress=["10.1.0.1"])

    assert ingress(plan) == ["10.1.0.1"]
    assert messages(plan) == []


def test_re_evaluate_that_can_t_be_met_keeps_the_address_and_says_why() -> None:
    annotations = {**BRANDED, names.SERVICE_GROUP: "nope", names.RE_EVALUATE: "true"}

    plan = Desk(DEFAULT).review("a", annotations=annotations, ingress=["10.1.0.1"])

    assert ingress(plan) == ["10.1.0.1"]
    assert write_of(plan).annotations == {names.RE_EVALUATE: None}
    assert messages(plan)[0].startswith('Failed to allocate IP for "default/a": unknown pool "nope"; ')


def test_a_service_being_deleted_keeps_its_address_until_it_is_gone_and_gets_no_new_one() -> None:
    desk = Desk(DEFAULT)
    desk.cache.seen(dataclasses.replace(service("a", annotations=BRANDED, ingress=["10.1.0.0"]), deleting=True))
    desk.cache.seen(dataclasses.replace(service("b"), deleting=True))

    plans = [desk.reviewer.review(entry.service, entry.seniority) for entry in desk.cache]

    assert plans == [NOTHING, NOTHING]
    assert ingress(desk.review("c")) == ["10.1.0.1"]


# --- families --------------------------------------------------------------------------------------------------------


def test_a_family_that_is_added_gets_its_address_beside_the_old_one() -> None:
    plan = Desk(DEFAULT).review("a", annotations=BRANDED, ingress=["10.1.0.1"], ipFamilies=["IPv4", "IPv6"])

    assert ingress(plan) == ["10.1.0.1", "fd00::"]
    assert messages(plan) == [
        "Assigned {Ingress:[{IP:10.1.0.1 Hostname: Ports:[]} {IP:fd00:: Hostname: Ports:[]}]} from pool default"
    ]


def test_a_family_that_is_removed_gives_its_address_back() -> None:
    desk = Desk(DEFAULT)

    plan = desk.review("a", annotations=BRANDED, ingress=["10.1.0.0", "fd00::"], ipFamilies=["IPv6"])

    assert ingress(plan) == ["fd00::"]
    assert messages(plan) == ["Released addresses no longer needed after IP family transition: [10.1.0.0]"]
    assert ingress(desk.review("b")) == ["10.1.0.0"]


def test_a_new_range_of_a_multi_pool_group_is_added() -> None:
    ranges = group("default", local={"v4pools": entries("10.1.0.0/30", "10.2.0.0/30"), "multiPool": True})

    plan = Desk(ranges).review("a", annotations=BRANDED, ingress=["10.1.0.0"])

    assert ingress(plan) == ["10.1.0.0", "10.2.0.0"]
    assert messages(plan) == ["Incremental multi-pool: added 1 IPs (total 2) from pool default"]


# --- two on one address ----------------------------------------------------------------------------------------------


def test_of_two_with_one_address_the_younger_gets_another_and_a_warning() -> None:
    desk = Desk(DEFAULT)
    desk.review("old", age=10, annotations=BRANDED, ingress=["10.1.0.0"])

    plan = desk.review("young", age=1, annotations=BRANDED, ingress=["10.1.0.0"])

    assert ingress(plan) == ["10.1.0.1"]
    assert messages(plan)[0] == (
        "10.1.0.0 is also held by default/old, which is older and keeps it; this Service gets another address"
    )
    assert desk.review("old", version=2, age=10, annotations=BRANDED, ingress=["10.1.0.0"]) == NOTHING


def test_if_there_is_no_other_it_loses_the_address_and_waits() -> None:
    desk = Desk(group("default", local=local("10.1.0.0/32")))
    desk.review("old", age=10, annotations=BRANDED, ingress=["10.1.0.0"])

    plan = desk.review("young", age=1, annotations=BRANDED, ingress=["10.1.0.0"])

    assert ingress(plan) == []
    assert write_of(plan).annotations == dict.fromkeys(BRANDED)
    assert desk.engine.waiting == 1
    assert [notice.message for notice in write_of(plan).done] == [
        "10.1.0.0 is also held by default/old, which is older and keeps it; this Service waits for another address"
    ]


# --- type change -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("default_announcer", [True, False])
def test_a_change_of_type_releases_the_address_and_says_so(default_announcer: bool) -> None:
    desk = Desk(group("default", local=local("10.1.0.0/32")), default_announcer=default_announcer)
    desk.review("a", annotations=BRANDED, ingress=["10.1.0.0"])
    leftovers = {**BRANDED, names.ANNOUNCING_IPV4: "node,eth0", "mine": "stays"}

    plan = desk.review("a", version=2, type="ClusterIP", annotations=leftovers)

    assert ingress(plan) == []
    assert write_of(plan).annotations == dict.fromkeys([*BRANDED, names.ANNOUNCING_IPV4])
    assert [(notice.reason, notice.message) for notice in write_of(plan).done] == [
        ("AddressReleased", "Service is Type ClusterIP, not LoadBalancer")
    ]
    assert desk.engine.claim(service("a").key) is None


def test_after_the_release_nothing_is_left_to_do() -> None:
    assert Desk(DEFAULT).review("a", type="NodePort", annotations={"mine": "stays"}) == NOTHING


def test_an_annotation_that_means_nothing_is_told_of_whatever_becomes_of_the_service() -> None:
    desk = Desk(DEFAULT)
    odd = {"purelb.io/address": "10.1.0.2"}
    sentence = "the annotation purelb.io/address means nothing to PureLB; did you mean purelb.io/addresses?"

    waiting = desk.review("a", annotations=odd)
    served = desk.review("b", annotations={**BRANDED, **odd}, ingress=["10.1.0.1"])

    assert [notice.message for notice in waiting.standing] == [sentence]
    assert [notice.message for notice in served.standing] == [sentence]
    assert desk.review("c", annotations=odd, loadBalancerClass="another.example/lb").standing == ()


def test_a_node_s_address_that_another_wrote_is_not_ours_though_it_is_in_the_pool() -> None:
    desk = Desk(DEFAULT)
    desk.engine.forbid(Barred([Forbidden(parse_range("10.1.0.1"), "is an address of node m")]))

    plan = desk.review("a", annotations=BRANDED, ingress=["10.1.0.1"], writer="servicelb")

    assert ingress(plan) == ["10.1.0.0"]
    assert write_of(plan).is_restoration
    assert messages(plan)[0].startswith('"servicelb" wrote 10.1.0.1 to the status of this Service,')


def test_what_another_wrote_is_taken_as_given_where_we_could_have_given_it() -> None:
    desk = Desk(DEFAULT)

    plan = desk.review("a", annotations=BRANDED, ingress=["10.1.0.1"], writer="velero")
    assert ingress(plan) == ["10.1.0.1"]
    assert write_of(plan).annotations == {names.ALLOCATED_ADDRESSES: "10.1.0.1"}
    assert messages(plan) == []
    assert desk.review("b", annotations=BRANDED, ingress=["10.9.0.1"], writer="purelb-allocator").step is None


def test_who_has_an_address_that_is_a_node_s_is_told_so() -> None:
    desk = Desk(DEFAULT)
    desk.engine.forbid(Barred([Forbidden(parse_range("10.1.0.1"), "is an address of node m")]))

    plan = desk.review("a", annotations=BRANDED, ingress=["10.1.0.1"])

    assert messages(plan) == [
        "10.1.0.1 is an address of node m, so no Service should have it; set the annotation purelb.io/re-evaluate to "
        '"true" for another'
    ]


STRANGE = ["10.9.0.9", "10.1.0.1"]
"""What another wrote over an address of ours: one of nowhere, and one of a pool, which agents announce."""


def test_what_another_wrote_over_ours_is_given_to_nobody_as_long_as_it_is_shown() -> None:
    desk = Desk(DEFAULT)
    desk.review("a", annotations=BRANDED, ingress=["10.1.0.0"])

    back = desk.review("a", version=2, annotations=BRANDED, ingress=STRANGE, writer="other-lb")

    assert ingress(back) == ["10.1.0.0"]
    assert ingress(desk.review("b")) == ["10.1.0.2"]
    assert desk.review("a", version=3, annotations=BRANDED, ingress=["10.1.0.0"]) == NOTHING
    assert ingress(desk.review("c")) == ["10.1.0.1"]


def test_it_is_free_again_if_it_is_wiped() -> None:
    desk = Desk(DEFAULT)
    desk.review("a", annotations=BRANDED, ingress=["10.1.0.0"])
    desk.review("a", version=2, annotations=BRANDED, ingress=STRANGE, writer="other-lb")

    assert ingress(desk.review("a", version=3, annotations=BRANDED)) == ["10.1.0.0"]
    assert ingress(desk.review("b")) == ["10.1.0.1"]


def test_who_has_it_already_does_not_give_way_to_it() -> None:
    desk = Desk(DEFAULT)
    desk.review("old", age=10, annotations=BRANDED, ingress=["10.1.0.0"])
    desk.review("young", age=1, annotations=BRANDED, ingress=["10.1.0.1"])

    desk.review("old", version=2, age=10, annotations=BRANDED, ingress=STRANGE, writer="other-lb")

    assert desk.review("young", age=1, annotations=BRANDED, ingress=["10.1.0.1"]).step is None
