"""IPAM: who shares an address with whom."""

from __future__ import annotations

import pytest

from allocator.ipam.requests import Reason, Refusal
from tests.allocator.builders import (
    DUAL,
    LAYER2,
    engine_with,
    given,
    group,
    key,
    local,
    refused,
    request,
)


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
