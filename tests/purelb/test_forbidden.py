"""Addresses that something else on the network has: nobody is given them."""

from __future__ import annotations

from hypothesis import given as examples
from hypothesis import strategies as st

from allocator.ipam.pools import Pool
from allocator.ipam.requests import Claim, Refusal, Terms
from purelb.addresses import AddressRange, parse_range
from purelb.forbidden import Barred, Forbidden
from tests.allocator.builders import (
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

NODES = [
    Forbidden(parse_range(f"10.31.188.{number}"), f"is an address of node m{number}", is_of_node=True)
    for number in (1, 2, 11)
]
NODES_AND_SERVICES = group("default", local=local("10.31.188.0/28"))


def test_a_pool_that_contains_the_nodes_gives_every_other_address() -> None:
    engine = engine_with(NODES_AND_SERVICES)
    engine.forbid(Barred(NODES))

    addresses = [given(engine.decide(request(f"s{number}")))[0] for number in range(13)]

    assert addresses == [f"10.31.188.{number}" for number in range(16) if number not in (1, 2, 11)]
    assert isinstance(engine.decide(request("one-too-many")), Refusal)
    assert [(usage.size, usage.in_use) for usage in engine.usage()] == [(13, 13)]


def test_an_address_of_a_node_can_t_be_pinned() -> None:
    engine = engine_with(NODES_AND_SERVICES)
    engine.forbid(Barred(NODES))

    answer = engine.decide(request("a", pinned=["10.31.188.1"]))

    assert refused(answer) == '"10.31.188.1" is an address of node m1'
    assert isinstance(answer, Refusal)
    assert answer.advice == "no Service can have it"


def test_a_source_outside_can_t_give_a_node_s_address_or_one_that_no_service_can_have() -> None:
    engine = engine_with(group("default", external={"provider": "x", "announce": "local"}))
    engine.forbid(Barred(NODES))

    for text, sentence in (
        ("10.31.188.1", '"10.31.188.1" is an address of node m1'),
        ("127.0.0.5", '"127.0.0.5" is of 127.0.0.0/8, whose addresses are loopback addresses (RFC 1122)'),
    ):
        engine.decide(request("a"))
        engine.grant(key("a"), "default", (ip(text),))
        assert refused(engine.decide(request("a"))) == sentence


def test_who_has_an_address_that_a_node_gets_later_keeps_it_until_it_asks_to_move() -> None:
    engine = engine_with(NODES_AND_SERVICES)
    engine.restore(Claim(key("a"), seniority("a"), (ip("10.31.188.1"),), ("default",), request("a").terms))

    assert engine.forbid(Barred(NODES))
    assert not engine.forbid(Barred(reversed(NODES))), "the same is no news"

    assert engine.barred(key("a")) == [(ip("10.31.188.1"), "is an address of node m1")]
    assert given(engine.decide(request("a"))) == ["10.31.188.1"]
    assert given(engine.decide(request("a", moves=True))) == ["10.31.188.0"]
    assert engine.barred(key("a")) == []
    assert given(engine.decide(request("b"))) == ["10.31.188.3"]


def test_a_node_that_lists_an_address_of_ours_keeps_nobody_from_sharing_or_pinning_it_again() -> None:
    engine = engine_with(group("default", local=local("10.31.188.1-10.31.188.3")))
    first = request("a", pinned=["10.31.188.1"], share="web")
    engine.decide(first)

    engine.forbid(Barred(NODES))

    assert given(engine.decide(first)) == ["10.31.188.1"]
    assert given(engine.decide(request("b", share="web", ports=["TCP/443"]))) == ["10.31.188.1"]
    assert refused(engine.decide(request("c", pinned=["10.31.188.2"]))) == '"10.31.188.2" is an address of node m2'


def test_what_another_controller_s_service_shows_is_a_node_s_all_the_same() -> None:
    engine = engine_with(NODES_AND_SERVICES)
    engine.forbid(Barred(NODES))
    theirs = Claim(
        key("theirs"), seniority("theirs"), (ip("10.31.188.1"),), terms=Terms("web", frozenset()), is_ours=False
    )
    engine.restore(theirs)

    assert given(engine.decide(request("a", share="web"))) == ["10.31.188.0"]


def test_what_more_than_a_node_s_status_forbids_stays_forbidden() -> None:
    listed, server = NODES[0], Forbidden(parse_range("10.31.188.1"), "is an address of the API server")
    pods = Forbidden(parse_range("10.31.188.0/30"), "is of 10.31.188.0/30, the network of the pods of node m1")
    address = ip("10.31.188.1")

    assert Barred([listed]).is_listed_only(address)
    for more in (server, pods):
        assert not Barred([listed, more]).is_listed_only(address)
    assert not Barred([server]).is_listed_only(address)


def test_what_a_node_gives_up_is_given_to_who_waits() -> None:
    engine = engine_with(group("default", local=local("10.31.188.1/32")))
    engine.forbid(Barred(NODES))
    assert isinstance(engine.decide(request("a")), Refusal)

    engine.forbid(Barred(NODES[1:]))

    assert engine.wake() == [key("a")]


def test_what_is_forbidden_stays_so_when_groups_change() -> None:
    engine = engine_with(NODES_AND_SERVICES)
    engine.forbid(Barred(NODES))

    engine.configure(configured(group("default", local=local("10.31.188.1-10.31.188.3"))))

    assert given(engine.decide(request("a"))) == ["10.31.188.3"]


def test_a_wide_network_is_passed_over_at_once() -> None:
    engine = engine_with(group("default", local=local("10.0.0.0/8", "fd00::/16")))
    pods = [parse_range("10.0.0.0/9"), parse_range("fd00::/17"), parse_range("10.0.3.0/24")]
    engine.forbid(Barred(Forbidden(one, "is a pod's") for one in pods))

    assert given(engine.decide(request("a", families="46"))) == ["10.128.0.0", "fd00:8000::"]
    assert refused(engine.decide(request("b", pinned=["10.0.3.7"]))) == '"10.0.3.7" is a pod\'s'


spans = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(
    lambda ends: AddressRange(ip(f"10.0.0.{min(ends)}"), ip(f"10.0.0.{max(ends)}"))
)


@examples(st.lists(spans, max_size=6), spans, st.lists(st.integers(0, 40), max_size=10))
def test_a_pool_gives_each_address_that_is_neither_barred_nor_taken_once(
    forbidden: list[AddressRange], pool: AddressRange, held: list[int]
) -> None:
    barred = Barred(Forbidden(one, "is taken") for one in forbidden)
    spec = group("g", local=local(str(pool))).pools[0]
    tried = Pool(spec, barred)
    before = {address for number in held if (address := ip(f"10.0.0.{number}")) in pool}
    for address in before:
        tried.take(address)
    for address in sorted(before)[::2]:
        tried.put_back(address)
        before.discard(address)

    found = []
    while (lowest := tried.first_free()) is not None:
        tried.take(lowest)
        found.append(lowest)

    free = [address for address in pool if barred.reason(address) is None and address not in before]
    assert found == free
    assert tried.size == tried.in_use == len(free) + len(before)
    assert barred.count(pool) == sum(any(address in one for one in forbidden) for address in pool)
