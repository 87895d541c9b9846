"""IPAM: who waits, what becomes of addresses as groups change, and what Services showed before."""

from __future__ import annotations

from allocator.ipam.engine import Usage
from allocator.ipam.requests import Claim, Terms
from purelb.addresses import Family
from tests.allocator.builders import (
    DUAL,
    LAYER2,
    configured,
    engine_with,
    given,
    group,
    ip,
    key,
    local,
    refused,
    request,
    seniority,
)


def claim(name: str, *addresses: str, rank: int = 0, groups: tuple[str, ...] = ("default",), **terms: str) -> Claim:
    return Claim(
        key(name),
        seniority(name, rank),
        tuple(ip(text) for text in addresses),
        groups,
        Terms(terms.get("share")),
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
