"""Addresses, ranges and aggregations as users write them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purelb.addresses import (
    RESERVED,
    AddressRange,
    Family,
    IPAddress,
    is_reserved,
    listed,
    parse_address,
    parse_aggregation,
    parse_network,
    parse_range,
    reserved_in,
)
from purelb.errors import AddressError

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("10.31.188.64-10.31.188.126", "10.31.188.64", "10.31.188.126"),
        ("10.31.188.64 - 10.31.188.126", "10.31.188.64", "10.31.188.126"),
        ("10.189.0.0/16", "10.189.0.0", "10.189.255.255"),
        ("192.168.1.10/24", "192.168.1.10", "192.168.1.255"),
        ("192.168.1.7/32", "192.168.1.7", "192.168.1.7"),
        ("192.168.1.6/31", "192.168.1.6", "192.168.1.7"),
        ("fd00::10-fd00::20", "fd00::10", "fd00::20"),
        ("fd00::/120", "fd00::", "fd00::ff"),
        (" 192.168.1.7 ", "192.168.1.7", "192.168.1.7"),
        ("fd00::7", "fd00::7", "fd00::7"),
    ],
)
def test_a_range_includes_both_of_its_ends(text: str, first: str, last: str) -> None:
    parsed = parse_range(text)

    assert (parsed.first, parsed.last) == (ip_address(first), ip_address(last))
    assert parsed.first in parsed
    assert parsed.last in parsed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("10.0.0.9-10.0.0.1", "upside down"),
        ("10.0.0.1-fd00::1", "mixes IPv4 and IPv6"),
        ("ten", "neither a CIDR, nor a range"),
        ("10.0.0.0/33", "neither a CIDR, nor a range"),
        ("a-b", '"a" is not an IP address'),
        ("", "neither a CIDR, nor a range"),
        ("::ffff:10.0.0.1-::ffff:10.0.0.9", "is an IPv4-mapped address: write it as 10.0.0.1"),
        ("::ffff:10.0.0.0/120", "is an IPv4-mapped address: write it as 10.0.0.0"),
        ("10.0.0.1-", '"" is not an IP address'),
        ("10.0.0.1-10.0.0.2-10.0.0.3", "is not an IP address"),
        ("fe80::1%eth0-fe80::2", "has a zone"),
    ],
)
def test_a_wrong_range_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(AddressError, match=sentence):
        parse_range(text)


@given(addresses, addresses, addresses, addresses)
def test_overlap_is_symmetric_and_means_a_common_address(a: object, b: object, c: object, d: object) -> None:
    try:
        one, other = (AddressRange(*pair) for pair in ((a, b), (c, d)))  # type: ignore[arg-type]
    except AddressError:
        return

    common = one.family is other.family and (other.first in one or other.last in one or one.first in other)
    assert one.overlaps(other) == other.overlaps(one) == common


@given(addresses, addresses)
def test_a_range_has_reserved_addresses_exactly_if_one_of_its_ends_or_a_whole_block_is_in_it(
    a: object, b: object
) -> None:
    try:
        candidate = AddressRange(a, b)  # type: ignore[arg-type]
    except AddressError:
        return

    blocks = [reserved.network for reserved in RESERVED if reserved.network.version == candidate.first.version]
    common = any(candidate.first in block or candidate.last in block or block[0] in candidate for block in blocks)
    assert (reserved_in(candidate) is not None) == common


@given(st.ip_addresses())
def test_an_address_is_reserved_just_when_the_range_of_it_alone_is(address: IPAddress) -> None:
    assert is_reserved(address) == (reserved_in(AddressRange(address, address)) is not None)


@given(addresses)
def test_an_address_has_one_canonical_form(address: object) -> None:
    parsed = parse_address(f" {address} ")

    assert parse_address(str(parsed)) == parsed


def test_an_ipv4_mapped_address_is_its_ipv4_address() -> None:
    assert parse_address("::ffff:10.31.188.64") == ip_address("10.31.188.64")


@pytest.mark.parametrize(
    ("text", "subnet", "length"),
    [
        ("default", "10.31.0.0/16", 16),
        ("", "10.31.0.0/16", 16),
        ("/32", "10.31.0.0/16", 32),
        ("25", "10.31.0.0/16", 25),
        ("/128", "fd00::/64", 128),
        (" /24 ", "10.31.0.0/16", 24),
    ],
)
def test_an_aggregation_is_a_prefix_length(text: str, subnet: str, length: int) -> None:
    assert parse_aggregation(text, ip_network(subnet)) == length


@pytest.mark.parametrize("text", ["/64", "/0", "/-1", "x", "//32", "/3 2", "/٣٢"])
def test_an_aggregation_beyond_its_family_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="neither"):
        parse_aggregation(text, ip_network("10.0.0.0/8"))


def test_a_subnet_with_host_bits_is_its_network() -> None:
    assert parse_network("10.31.188.64/16") == ip_network("10.31.0.0/16")


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/40", "net/8"])
def test_a_wrong_subnet_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="is not a subnet"):
        parse_network(text)


def test_families_know_their_names_as_kubernetes_has_them() -> None:
    assert [str(family) for family in Family] == ["IPv4", "IPv6"]


def test_a_sentence_names_a_few_and_counts_the_others() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
