"""IPAM: what is given to whom."""

from __future__ import annotations

import pytest

from allocator.ipam.engine import Usage
from allocator.ipam.requests import Claim, Decision, Reason, Refusal, Terms
from purelb.addresses import Family
from tests.allocator.builders import (
    configured,
    engine_with,
    entries,
    given,
    group,
    ip,
    key,
    local,
    refused,
    request,
    seniority,
)

LAYER2 = group("default", local=local("10.31.188.64-10.31.188.66"))
DUAL = group("default", local=local("10.0.0.0/30", "fd00::/126"))


def claim(name: str, *addresses: str, rank: int = 0, groups: tuple[str, ...] = ("default",), **terms: str) -> Claim:
    return Claim(
        key(name),
        seniority(name, rank),
        tuple(ip(text) for text in addresses),
        groups,
        Terms(terms.get("share")),
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


# --- sharing ---------------------------------------------------------------------------------------------------------


def test_services_with_one_key_and_different_ports_share_an_address() -> None:
    engine = engine_with(LAYER2)

    assert given(engine.decide(request("a", share="web", ports=["TCP/80"]))) == ["10.31.188.64"]
    assert given(engine.decide(request("b", share="web", ports=["TCP/443"]))) == ["10.31.188.64"]
    assert given(engine.decide(request("c", share="web", ports=["UDP/80"]))) == ["10.31.188.64"]


def test_the_address_bound_to_the_key_wins_over_a_lower_free_one() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("low"))
    engine.decide(request("a", share="web", ports=["TCP/80"]))
    engine.release(key("low"))

    assert given(engine.decide(request("b", share="web", ports=["TCP/443"]))) == ["10.31.188.65"]


def test_a_key_is_bound_to_one_address_so_that_a_port_collision_is_refused() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a", share="web", ports=["TCP/80"]))

    answer = engine.decide(request("b", share="web", ports=["TCP/80", "TCP/443"]))

    assert refused(answer) == 'port TCP/80 on "10.31.188.64" is already in use by default/a'
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.advice) == (
        Reason.PORT_CONFLICT,
        "Services that share an address need different ports",
    )
    engine.release(key("a"))
    assert engine.wake() == [key("b")]


def test_a_key_that_is_bound_pins_nothing_else() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a", share="web", ports=["TCP/80"]))

    answer = engine.decide(request("b", share="web", ports=["TCP/443"], pinned=["10.31.188.66"]))

    assert refused(answer) == 'sharing key "web" is bound to 10.31.188.64, cannot use 10.31.188.66'
    engine.release(key("a"))
    assert engine.wake() == [key("b")]


def test_who_shares_alone_may_move_with_its_key() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a", share="web", ports=["TCP/80"]))

    moved = engine.decide(request("a", share="web", ports=["TCP/80"], pinned=["10.31.188.66"], moves=True))

    assert given(moved) == ["10.31.188.66"]


def test_a_key_is_bound_to_an_address_in_each_group_and_family() -> None:
    engine = engine_with(DUAL, group("other", local=local("10.7.0.0/30")))

    assert given(engine.decide(request("a", share="web", families="46"))) == ["10.0.0.0", "fd00::"]
    assert given(engine.decide(request("b", share="web", families="64", ports=["TCP/443"]))) == ["fd00::", "10.0.0.0"]
    assert given(engine.decide(request("c", share="web", group="other"))) == ["10.7.0.0"]


@pytest.mark.parametrize(
    ("first", "second", "may_share"),
    [
        ("", "", True),
        ("", "default/app=web", False),
        ("default/app=web", "", False),
        ("default/app=web", "default/app=web", True),
        ("default/app=web", "default/app=mail", False),
    ],
)
def test_who_would_take_the_address_from_nodes_where_another_needs_it_may_not_share(
    first: str, second: str, may_share: bool
) -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("victim", share="web", ports=["TCP/80"], backend=first))

    answer = engine.decide(request("newcomer", share="web", ports=["TCP/443"], backend=second))

    if may_share:
        assert given(answer) == ["10.31.188.64"]
    else:
        assert refused(answer) == '"10.31.188.64" is shared with default/victim, whose traffic goes to other nodes'
        pinned = request("newcomer", share="web", ports=["TCP/443"], backend=second, pinned=["10.31.188.64"])
        assert isinstance(engine.decide(pinned), Refusal)
    assert engine.quarrel(key("victim")) is None


def test_a_key_means_nothing_to_services_of_another_namespace() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a", share="web", ports=["TCP/80"]))

    assert given(engine.decide(request("a", namespace="team", share="web", ports=["TCP/80"]))) == ["10.31.188.65"]
    pinned = request("b", namespace="team", share="web", ports=["TCP/443"], pinned=["10.31.188.64"])
    answer = engine.decide(pinned)
    assert refused(answer) == '"10.31.188.64" is in use by a Service of another namespace'
    assert isinstance(answer, Refusal)
    assert "shareAcrossNamespaces" in answer.advice


def test_a_group_may_let_a_key_count_in_all_namespaces() -> None:
    engine = engine_with(group("default", local=local("10.1.0.0/30"), shareAcrossNamespaces=True))
    engine.decide(request("a", share="web", ports=["TCP/80"]))

    assert given(engine.decide(request("a", namespace="team", share="web", ports=["TCP/443"]))) == ["10.1.0.0"]
    assert refused(engine.decide(request("b", namespace="team", share="web", ports=["TCP/80"]))) == (
        'port TCP/80 on "10.1.0.0" is already in use by a Service of another namespace'
    )


def test_services_of_other_namespaces_are_counted_and_not_named() -> None:
    engine = engine_with(group("default", local=local("10.1.0.0/30"), shareAcrossNamespaces=True))
    for number, namespace in enumerate(("default", "bank", "clinic")):
        engine.decide(request("a", namespace=namespace, share="web", ports=[f"TCP/{number}"]))

    assert refused(engine.decide(request("b", pinned=["10.1.0.0"]))) == (
        'can\'t change sharing key for "default/b", address also in use by default/a and 2 Services of other namespaces'
    )


def test_a_pinned_address_is_shared_by_the_same_rules() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a", share="web", ports=["TCP/80"], pinned=["10.31.188.66"]))
    pinned = ["10.31.188.66"]

    assert given(engine.decide(request("b", share="web", ports=["TCP/443"], pinned=pinned))) == pinned
    assert refused(engine.decide(request("c", share="web", ports=["TCP/80"], pinned=pinned))) == (
        'port TCP/80 on "10.31.188.66" is already in use by default/a'
    )
    assert refused(engine.decide(request("d", share="mail", ports=["TCP/25"], pinned=pinned))) == (
        'can\'t change sharing key for "default/d", address also in use by default/a,default/b'
    )


def test_a_shared_address_is_free_only_when_the_last_has_gone() -> None:
    engine = engine_with(group("default", local=local("10.0.0.1/32")))
    engine.decide(request("a", share="web", ports=["TCP/80"]))
    engine.decide(request("b", share="web", ports=["TCP/443"]))

    engine.release(key("a"))
    refused(engine.decide(request("c")))
    engine.release(key("b"))

    assert engine.wake() == [key("c")]


def test_one_who_waits_shares_as_soon_as_somebody_with_its_key_has_an_address() -> None:
    engine = engine_with(group("default", local=local("10.0.0.1/32")))
    engine.decide(request("plain"))
    refused(engine.decide(request("b", rank=2, share="web", ports=["TCP/443"])))
    refused(engine.decide(request("a", rank=1, share="web", ports=["TCP/80"])))

    engine.release(key("plain"))

    woken = engine.wake() + engine.wake()
    assert sorted(woken) == [key("a"), key("b")]


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


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_the_oldest_that_waits_is_served_first() -> None:
    engine = engine_with(group("default", local=local("10.0.0.1/32")))
    engine.decide(request("first"))
    for name, rank in (("young", 9), ("old", 1), ("middle", 5)):
        refused(engine.decide(request(name, rank=rank)))

    engine.release(key("first"))

    assert engine.wake() == [key("old")]
    assert given(engine.decide(request("old", rank=1))) == ["10.0.0.1"]


def test_nobody_is_woken_without_news() -> None:
    engine = engine_with(group("default", local=local("10.0.0.1/32")))
    engine.decide(request("first"))
    refused(engine.decide(request("second")))
    engine.wake()

    assert engine.wake() == []


def test_a_group_that_appears_or_grows_serves_who_waits_for_it() -> None:
    engine = engine_with(group("default", local=local("10.0.0.1/32")))
    engine.decide(request("a"))
    refused(engine.decide(request("b")))
    refused(engine.decide(request("c", group="later")))

    engine.configure(
        configured(group("default", local=local("10.0.0.1-10.0.0.2")), group("later", local=local("10.1.0.0/24")))
    )

    assert engine.wake() == [key("b"), key("c")]


def test_who_waits_behind_one_that_can_t_be_served_is_served() -> None:
    engine = engine_with(group("default", local=local("10.0.0.1/32", "fd00::1/128")))
    engine.decide(request("v4", families="4"))
    engine.decide(request("v6", families="6"))
    refused(engine.decide(request("both", families="46", rank=1)))
    refused(engine.decide(request("one", families="4", rank=2)))

    engine.release(key("v4"))

    assert engine.wake() == [key("one")]


# --- configuration under use -----------------------------------------------------------------------------------------


def test_a_group_that_is_deleted_or_shrunk_keeps_its_services_addresses_reserved() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a"))

    engine.configure(configured(group("new", local=local("10.31.188.64-10.31.188.70"))))

    assert engine.stranded() == {"default": 1}
    assert given(engine.decide(request("b", group="new"))) == ["10.31.188.65"]


def test_an_address_whose_group_went_away_is_free_once_its_service_goes() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a"))
    engine.configure(configured())
    engine.release(key("a"))

    engine.configure(configured(LAYER2))

    assert given(engine.decide(request("b"))) == ["10.31.188.64"]


def test_re_evaluation_leaves_an_address_that_the_group_has_no_more() -> None:
    engine = engine_with(LAYER2)
    engine.decide(request("a"))
    engine.configure(configured(group("default", local=local("10.31.188.66-10.31.188.70"))))

    assert given(engine.decide(request("a"))) == ["10.31.188.64"]
    assert given(engine.decide(request("a", moves=True))) == ["10.31.188.66"]


def test_usage_counts_addresses_by_family_and_group() -> None:
    engine = engine_with(DUAL, group("big", local=local(v6="fd01::/64")))
    engine.decide(request("a", families="46"))
    engine.decide(request("b", share="k", ports=["TCP/1"]))
    engine.decide(request("c", share="k", ports=["TCP/2"]))

    assert list(engine.usage()) == [
        Usage("default", Family.IPV4, 4, 2),
        Usage("default", Family.IPV6, 4, 1),
        Usage("big", Family.IPV6, 2**64, 0),
    ]


# --- what Services show ----------------------------------------------------------------------------------------------


def test_what_services_show_is_learnt_and_not_given_away() -> None:
    engine = engine_with(LAYER2)
    engine.restore(claim("a", "10.31.188.64"))

    assert given(engine.decide(request("b"))) == ["10.31.188.65"]
    assert given(engine.decide(request("a"))) == ["10.31.188.64"]


def test_of_two_that_show_one_address_the_older_keeps_it() -> None:
    engine = engine_with(LAYER2)
    engine.restore(claim("young", "10.31.188.64", rank=2))
    engine.restore(claim("old", "10.31.188.64", rank=1))

    usurper = engine.usurped(key("young"))

    assert usurper is not None
    assert usurper.service == key("old")
    assert engine.usurped(key("old")) is None
    assert given(engine.decide(request("young", rank=2))) == ["10.31.188.65"]
    assert given(engine.decide(request("old", rank=1))) == ["10.31.188.64"]


def test_services_that_share_keep_their_address_when_their_keys_or_ports_change() -> None:
    engine = engine_with(LAYER2)
    engine.restore(claim("a", "10.31.188.64", rank=1, share="web"))
    engine.restore(claim("b", "10.31.188.64", rank=2, share="mail"))

    quarrel = engine.quarrel(key("b"))

    assert engine.usurped(key("b")) is None
    assert quarrel is not None
    assert quarrel.message == 'can\'t change sharing key for "default/b", address also in use by default/a'
    assert engine.quarrel(key("a")) is None
