"""What the engine does with groups whose addresses others keep. Pure: the test plays the source."""

from __future__ import annotations

from typing import Any

from allocator.ipam.engine import Engine
from allocator.ipam.groups import admit
from allocator.ipam.requests import Answer, Claim, Consultation
from purelb.servicegroups import ServiceGroup
from tests.allocator.builders import given, group, ip, key, local, refused, request, seniority

SIDECAR = {"provider": "acme", "announce": "remote"}
NETBOX = {"url": "http://netbox.example/", "tenant": "lb"}


def engine_with(*groups: ServiceGroup) -> Engine:
    configuration, trouble = admit(groups, {}, has_netbox_token=True)
    assert not trouble
    engine = Engine()
    engine.configure(configuration)
    return engine


def outside(**more: Any) -> Engine:
    return engine_with(group("default", external=SIDECAR, **more), group("pool", local=local("10.1.0.0/30")))


def asks(answer: Answer) -> str:
    """The group that is to be asked."""
    assert isinstance(answer, Consultation), answer
    return answer.group


def test_the_engine_says_whom_to_ask_and_takes_what_was_granted() -> None:
    engine = outside()
    assert asks(engine.decide(request("a", families="46"))) == "default"
    assert engine.asking("default") == [key("a")]
    assert engine.waiting == 1

    engine.grant(key("a"), "default", (ip("fd00::1"), ip("10.9.0.1")))
    answer = engine.decide(request("a", families="46"))

    assert given(answer) == ["10.9.0.1", "fd00::1"]
    assert engine.waiting == 0
    assert not engine.stranded()


def test_a_decision_is_repeated_without_asking_again() -> None:
    engine = outside()
    engine.grant(key("a"), "default", (ip("10.9.0.1"),))
    engine.decide(request("a"))

    assert given(engine.decide(request("a"))) == ["10.9.0.1"]


def test_what_is_granted_is_in_use_until_the_service_is_released() -> None:
    engine = outside()
    engine.grant(key("a"), "default", (ip("10.9.0.1"),))
    assert engine.is_spoken_for(ip("10.9.0.1"))
    engine.decide(request("a"))
    assert engine.is_spoken_for(ip("10.9.0.1"))

    engine.release(key("a"))

    assert not engine.is_spoken_for(ip("10.9.0.1"))


def test_an_address_that_another_holds_is_refused_though_it_was_granted() -> None:
    engine = outside()
    engine.decide(request("a", group="pool"))
    engine.grant(key("b"), "default", (ip("10.1.0.0"),))

    assert refused(engine.decide(request("b"))) == (
        '"10.1.0.0", which default gave for "default/b", is in use by default/a'
    )
    assert not engine.granted(key("b"), "default")


def test_who_was_refused_is_woken_to_ask_again() -> None:
    engine = outside()
    engine.decide(request("a", group="pool"))
    engine.grant(key("b"), "default", (ip("10.1.0.0"),))
    engine.decide(request("b"))
    engine.release(key("a"))

    assert engine.wake() == [key("b")]


def test_services_that_a_sidecar_lets_share_must_not_collide_in_a_port() -> None:
    engine = outside()
    for name in "ab":
        engine.grant(key(name), "default", (ip("10.9.0.1"),))
    engine.decide(request("a", share="k", ports=["TCP/80"]))

    assert refused(engine.decide(request("b", share="k", ports=["TCP/80"]))) == (
        'port TCP/80 on "10.9.0.1" is already in use by default/a'
    )
    engine.grant(key("b"), "default", (ip("10.9.0.1"),))
    assert given(engine.decide(request("b", share="k", ports=["TCP/443"]))) == ["10.9.0.1"]


def test_services_share_a_netbox_address_without_asking() -> None:
    engine = engine_with(group("default", netbox=NETBOX))
    engine.grant(key("a"), "default", (ip("10.9.0.1"),))
    engine.decide(request("a", share="k", ports=["TCP/80"]))

    assert given(engine.decide(request("b", share="k", ports=["TCP/443"]))) == ["10.9.0.1"]
    assert refused(engine.decide(request("c", share="k", ports=["TCP/80"]))) == (
        'port TCP/80 on "10.9.0.1" is already in use by default/a'
    )
    assert asks(engine.decide(request("c", namespace="team", share="k", ports=["TCP/443"]))) == "default"
    assert asks(engine.decide(request("d"))) == "default"


def test_a_family_that_came_later_is_asked_for_and_one_that_went_is_not() -> None:
    engine = outside()
    engine.grant(key("a"), "default", (ip("10.9.0.1"),))
    engine.decide(request("a"))

    assert engine.is_incomplete(request("a", families="46"))
    assert asks(engine.decide(request("a", families="46"))) == "default"
    engine.grant(key("a"), "default", (ip("10.9.0.1"), ip("fd00::1")))
    engine.decide(request("a", families="46"))
    assert not engine.is_incomplete(request("a", families="46"))
    assert given(engine.decide(request("a", families="6"))) == ["fd00::1"]


def test_who_prefers_dual_stack_and_got_one_family_does_not_ask_for_ever() -> None:
    engine = outside()
    engine.grant(key("a"), "default", (ip("10.9.0.1"),))
    wish = request("a", families="46", takes_one_family=True)

    assert given(engine.decide(wish)) == ["10.9.0.1"]
    assert not engine.is_incomplete(wish)


def test_what_a_status_shows_is_known_after_a_restart() -> None:
    engine = outside()
    engine.restore(Claim(key("a"), seniority("a"), (ip("10.9.0.1"),), ("default",), request("a").terms))

    assert given(engine.decide(request("a"))) == ["10.9.0.1"]
    assert not engine.is_incomplete(request("a"))


def test_pinned_addresses_in_no_pool_are_asked_for_and_others_are_not() -> None:
    engine = outside()
    assert asks(engine.decide(request("a", pinned=["10.9.0.1"]))) == "default"
    assert given(engine.decide(request("b", pinned=["10.1.0.2"]))) == ["10.1.0.2"]

    engine.grant(key("a"), "default", (ip("10.9.0.1"),))
    assert given(engine.decide(request("a", pinned=["10.9.0.1"]))) == ["10.9.0.1"]


def test_namespaces_hold_for_outside_groups_too() -> None:
    engine = outside(namespaces=["team"], enforceNamespaces=True)

    assert "serves only the namespaces that it lists" in refused(engine.decide(request("a", group="default")))


def test_a_service_that_lost_its_address_to_its_senior_asks_for_another() -> None:
    engine = outside()
    for rank, name in enumerate("ab"):
        engine.restore(Claim(key(name), seniority(name, rank), (ip("10.9.0.1"),), ("default",), request(name).terms))
    answer = engine.decide(request("b", rank=1))

    assert isinstance(answer, Consultation)
    assert answer.lost == {ip("10.9.0.1")}
