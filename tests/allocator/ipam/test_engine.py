"""IPAM: what is given to whom."""

from __future__ import annotations

import pytest

from allocator.ipam.requests import Decision, Reason, Refusal
from tests.allocator.builders import (
    DUAL,
    LAYER2,
    configured,
    engine_with,
    entries,
    given,
    group,
    key,
    local,
    refused,
    request,
)

# --- first free ------------------------------------------------------------------------------------------------------


def test_services_get_addresses_in_the_order_they_ask() -> None:
    engine = engine_with(LAYER2)

    assert [given(engine.decide(request(name))) for name in "abc"] == [
        ["10.31.188.64"],
        ["10.31.188.65"],
        ["10.31.188.66"],
    ]


def test_asking_again_changes_nothing() -> None:
    engine = engine_with(LAYER2)
    first = engine.decide(request("a"))
    engine.decide(request("b"))

    assert engine.decide(request("a")) == first


def test_a_released_address_is_given_to_the_next() -> None:
    engine = engine_with(LAYER2)
    for name in "abc":
        engine.decide(request(name))

    engine.release(key("b"))

    assert given(engine.decide(request("d"))) == ["10.31.188.65"]


def test_releasing_who_holds_nothing_is_harmless() -> None:
    engine_with(LAYER2).release(key("nobody"))


def test_an_exhausted_group_refuses_with_a_sentence_and_remembers_who_waits() -> None:
    engine = engine_with(LAYER2)
    for name in "abc":
        engine.decide(request(name))

    answer = engine.decide(request("d"))

    assert refused(answer) == (
        'no available addresses for service default/d in family 2 (IPv4): pool "default" is exhausted'
    )
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.group) == (Reason.EXHAUSTED, "default")
    assert engine.waiting == 1


def test_ranges_are_used_in_the_order_in_which_they_are_listed() -> None:
    engine = engine_with(group("default", local={"v4pools": entries("10.9.0.0/31", "10.1.0.0/31")}))

    assert [given(engine.decide(request(name))) for name in "abcd"] == [
        ["10.9.0.0"],
        ["10.9.0.1"],
        ["10.1.0.0"],
        ["10.1.0.1"],
    ]


def test_balanced_ranges_are_used_evenly() -> None:
    engine = engine_with(
        group("default", local={"v4pools": entries("10.9.0.0/30", "10.1.0.0/30"), "balancePools": True})
    )

    assert [given(engine.decide(request(name))) for name in "abc"] == [
        ["10.9.0.0"],
        ["10.1.0.0"],
        ["10.9.0.1"],
    ]


# --- families --------------------------------------------------------------------------------------------------------


def test_a_dual_stack_service_gets_one_address_of_each_family_in_its_own_order() -> None:
    engine = engine_with(DUAL)

    assert given(engine.decide(request("a", families="46"))) == ["10.0.0.0", "fd00::"]
    assert given(engine.decide(request("b", families="64"))) == ["fd00::1", "10.0.0.1"]


def test_without_ip_families_one_address_is_given_ipv6_first() -> None:
    assert given(engine_with(DUAL).decide(request("a", families=""))) == ["fd00::"]
    assert given(engine_with(LAYER2).decide(request("a", families=""))) == ["10.31.188.64"]


def test_all_families_or_none() -> None:
    engine = engine_with(group("default", local=local("10.0.0.0/30", "fd00::/128")))
    engine.decide(request("a", families="6"))

    answer = engine.decide(request("b", families="46"))

    assert refused(answer) == (
        'no available addresses for service default/b in family 10 (IPv6): pool "default" is exhausted'
    )
    assert given(engine.decide(request("c"))) == ["10.0.0.0"], "nothing stays reserved for the one refused"


def test_required_dual_stack_is_refused_by_a_group_of_one_family_and_preferred_is_not() -> None:
    engine = engine_with(LAYER2)

    assert refused(engine.decide(request("a", families="46"))) == (
        'no available addresses for service default/a in family 10 (IPv6): pool "default" has no IPv6 range'
    )
    assert given(engine.decide(request("b", families="46", takes_one_family=True))) == ["10.31.188.64"]


def test_a_family_that_comes_or_goes_later_leaves_the_other_alone() -> None:
    engine = engine_with(DUAL)
    engine.decide(request("a"))

    assert engine.is_incomplete(request("a", families="46", group="default"))
    assert given(engine.decide(request("a", families="46"))) == ["10.0.0.0", "fd00::"]
    assert not engine.is_incomplete(request("a", families="46", group="default"))
    assert given(engine.decide(request("a", families="6"))) == ["fd00::"]
    assert given(engine.decide(request("b"))) == ["10.0.0.0"]


# --- pinned ----------------------------------------------------------------------------------------------------------


def test_a_pinned_address_finds_its_group_by_itself() -> None:
    engine = engine_with(LAYER2, group("bgp", local=local("10.189.0.0/16")))

    answer = engine.decide(request("a", pinned=["10.189.100.100"]))

    assert given(answer) == ["10.189.100.100"]
    assert isinstance(answer, Decision)
    assert answer.groups == ("bgp",)


def test_pinned_addresses_of_two_groups_name_both() -> None:
    engine = engine_with(LAYER2, group("six", local=local(v6="fd00::/64")))

    answer = engine.decide(request("a", families="46", pinned=["10.31.188.66", "fd00::5"]))

    assert isinstance(answer, Decision)
    assert answer.groups == ("default", "six")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"pinned": ["10.99.0.1"]}, '"10.99.0.1" does not belong to any group'),
        (
            {"pinned": ["10.31.188.65"]},
            'can\'t change sharing key for "default/b", address also in use by default/a',
        ),
        ({"pinned": ["fd00::1"]}, '"fd00::1" is IPv6, but the Service has only IPv4'),
    ],
)
def test_a_pinned_address_that_can_t_be_had_is_refused(asked: dict[str, object], sentence: str) -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a", pinned=["10.31.188.65"]))

    assert refused(engine.decide(request("b", **asked))) == sentence  # type: ignore[arg-type]


def test_a_pinned_address_is_not_given_to_anybody_else() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a", pinned=["10.31.188.64"]))

    assert given(engine.decide(request("b"))) == ["10.31.188.65"]


def test_a_pinned_pair_is_given_whole_or_not_at_all() -> None:
    engine = engine_with(DUAL)
    engine.decide(request("a", families="6", pinned=["fd00::1"]))

    refused(engine.decide(request("b", families="46", pinned=["10.0.0.1", "fd00::1"])))

    assert given(engine.decide(request("c", pinned=["10.0.0.1"]))) == ["10.0.0.1"]


def test_a_service_may_pin_as_many_addresses_as_its_group_allows() -> None:
    many = [f"10.1.0.{number}" for number in range(17)]
    engine = engine_with(group("default", local=local("10.1.0.0/24")))

    answer = engine.decide(request("a", pinned=many))

    assert refused(answer) == "17 addresses are asked for"
    assert isinstance(answer, Refusal)
    assert answer.advice == 'ServiceGroup "default" gives a Service 16 at most (maxAddressesPerService)'
    assert len(given(engine.decide(request("b", pinned=many[:16])))) == 16

    engine.configure(configured(group("default", local=local("10.1.0.0/24"), maxAddressesPerService=17)))
    engine.release(key("b"))
    assert engine.wake() == [key("a")]


def test_who_asks_for_one_address_of_each_range_gets_no_more_than_the_group_allows() -> None:
    ranges = {"v4pools": entries(*(f"10.{number}.0.0/24" for number in range(20)))}
    wish = request("a", multi_pool=True)

    answer = engine_with(group("default", local=ranges)).decide(wish)
    theirs = engine_with(group("default", local={**ranges, "multiPool": True})).decide(request("a"))

    assert refused(answer) == "multi-pool allocation would take 20 addresses, one of each range"
    assert len(given(theirs)) == 20


# --- multi-pool ------------------------------------------------------------------------------------------------------


def test_a_multi_pool_group_gives_one_address_from_each_range() -> None:
    engine = engine_with(group("default", local={"v4pools": entries("10.1.0.0/30", "10.2.0.0/30"), "multiPool": True}))

    assert given(engine.decide(request("a"))) == ["10.1.0.0", "10.2.0.0"]
    assert given(engine.decide(request("b", multi_pool=False))) == ["10.1.0.1"]


def test_the_annotation_alone_makes_a_service_multi_pool() -> None:
    engine = engine_with(group("default", local={"v4pools": entries("10.1.0.0/30", "10.2.0.0/30")}))

    assert given(engine.decide(request("a", multi_pool=True))) == ["10.1.0.0", "10.2.0.0"]


def test_a_range_that_comes_later_is_added() -> None:
    engine = engine_with(group("default", local={"v4pools": entries("10.1.0.0/30"), "multiPool": True}))
    engine.decide(request("a"))
    assert not engine.is_incomplete(request("a"))

    engine.configure(
        configured(group("default", local={"v4pools": entries("10.1.0.0/30", "10.2.0.0/30"), "multiPool": True}))
    )

    assert engine.is_incomplete(request("a"))
    assert given(engine.decide(request("a"))) == ["10.1.0.0", "10.2.0.0"]


def test_multi_pool_excludes_sharing_and_balancing() -> None:
    sharing = engine_with(group("default", local={"v4pools": entries("10.1.0.0/30"), "multiPool": True}))
    balancing = engine_with(group("default", local={"v4pools": entries("10.1.0.0/30"), "balancePools": True}))

    assert refused(sharing.decide(request("a", share="web"))) == (
        "multi-pool allocation cannot be combined with IP sharing (annotation purelb.io/allow-shared-ip)"
    )
    assert refused(balancing.decide(request("a", multi_pool=True))) == (
        "multi-pool and balancePools allocation are mutually exclusive for pool default"
    )
