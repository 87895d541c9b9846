"""One range of addresses."""

from __future__ import annotations

import ipaddress
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.ipam.pools import Pool
from purelb.addresses import parse_range
from purelb.servicegroups import AddressPool
from tests.allocator.builders import ip


def pool(text: str, *taken: str) -> Pool:
    addresses = parse_range(text)
    subnet = "::/0" if ":" in text else "0.0.0.0/0"
    made = Pool(AddressPool(addresses, ipaddress.ip_network(subnet), 32, text))
    for address in taken:
        made.take(ip(address))
    return made


def test_addresses_come_in_order_from_the_first_to_the_last_both_included() -> None:
    addresses = pool("10.31.188.64/30")

    handed_out = []
    while (free := addresses.first_free()) is not None:
        addresses.take(free)
        handed_out.append(str(free))

    assert handed_out == ["10.31.188.64", "10.31.188.65", "10.31.188.66", "10.31.188.67"]


def test_the_network_address_of_the_article_s_second_pool_is_handed_out() -> None:
    assert pool("10.189.0.0/16").first_free() == ip("10.189.0.0")


def test_a_returned_address_is_the_next_one_if_it_is_the_lowest() -> None:
    addresses = pool("10.0.0.0/24", "10.0.0.0", "10.0.0.1", "10.0.0.2")

    addresses.put_back(ip("10.0.0.1"))

    assert addresses.first_free() == ip("10.0.0.1")


def test_looking_for_a_free_address_takes_none() -> None:
    addresses = pool("10.0.0.0/24")

    assert addresses.first_free() == addresses.first_free()
    assert addresses.in_use == 0


@pytest.mark.parametrize("address", ["10.0.0.7", "10.0.1.0", "fd00::1"])
def test_what_is_taken_already_or_elsewhere_can_t_be_taken(address: str) -> None:
    addresses = pool("10.0.0.0/24", "10.0.0.7")

    with pytest.raises(ValueError, match="is not a free address"):
        addresses.take(ip(address))


def test_what_is_free_can_t_be_put_back() -> None:
    with pytest.raises(ValueError, match="is not a taken address"):
        pool("10.0.0.0/24").put_back(ip("10.0.0.7"))


def test_a_64_bit_range_costs_no_memory_for_its_size() -> None:
    tracemalloc.start()
    addresses = pool("fd00:10:31::/64")
    for _ in range(100):
        free = addresses.first_free()
        assert free is not None
        addresses.take(free)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert addresses.size == 2**64
    assert peak < 200_000


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 15)), max_size=200))
def test_the_first_free_address_is_that_of_a_plain_model(steps: list[tuple[bool, int]]) -> None:
    """The model: a set of taken addresses, and a scan. Steps take what is pinned or, if it is taken, put it back."""
    addresses, model = pool("10.0.0.0/28"), set[int]()
    base = int(ip("10.0.0.0"))
    for takes_first, number in steps:
        first = addresses.first_free()
        expected = next((offset for offset in range(16) if offset not in model), None)
        assert (None if first is None else int(first) - base) == expected
        target = ip("10.0.0.0") + number
        if takes_first and first is not None:
            addresses.take(first)
            model.add(int(first) - base)
        elif number in model:
            addresses.put_back(target)
            model.remove(number)
        else:
            addresses.take(target)
            model.add(number)
        assert addresses.in_use == len(model)
        assert addresses.is_taken(target) == (number in model)


@given(st.data())
def test_pinning_and_returning_one_address_for_ever_costs_no_memory(data: st.DataObject) -> None:
    addresses = pool("10.0.0.0/29", *(f"10.0.0.{number}" for number in range(8)))
    assert addresses.first_free() is None

    for _ in range(50):
        target = ip("10.0.0.0") + data.draw(st.integers(1, 7))
        addresses.put_back(target)
        addresses.take(target)

    assert len(addresses._returned) <= 7
