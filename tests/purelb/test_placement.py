"""The annotation by which the allocator tells the agents where each VIP is to be."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from purelb.placement import MOST_BYTES, MOST_NODES, parse_placement, write_placement

VIPS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(network="fd00::/16"))
NODES = st.lists(
    st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True), unique=True, max_size=MOST_NODES
)


@given(st.dictionaries(VIPS, NODES, max_size=8))
def test_what_was_written_is_read(placement: dict[object, list[str]]) -> None:
    read = parse_placement(write_placement(placement))  # type: ignore[arg-type]

    assert read == {vip: tuple(nodes) for vip, nodes in placement.items() if nodes}


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    for nodes in parse_placement(text).values():
        assert 0 < len(nodes) <= MOST_NODES


def test_what_makes_no_sense_is_left_out_and_the_rest_counts() -> None:
    text = "10.0.0.1=a,b,a,B!,c 10.0.0.2= nonsense fd00::1=a 10.0.0.300=a 10.0.0.3=,"

    assert parse_placement(text) == {ip_address("10.0.0.1"): ("a", "b", "c"), ip_address("fd00::1"): ("a",)}


def test_a_tenants_megabyte_is_not_read() -> None:
    assert parse_placement("10.0.0.1=a " * (MOST_BYTES // 10)) == {}


def test_no_more_is_written_than_is_read() -> None:
    nodes = [f"{letter}{'x' * 250}" for letter in "ab"]
    placement = {ip_address(f"10.0.0.{number}"): nodes for number in range(256)}

    read = parse_placement(write_placement(placement))

    assert 0 < len(read) < len(placement)
    assert all(len(found) == 2 for found in read.values())
