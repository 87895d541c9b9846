"""The announcing annotations as whoever looks reads them: two forms, and any tenant may have written them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from purelb.announcing import Entry, parse

A, B = (ip_address(f"10.31.188.{number}") for number in (64, 65))


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        ("w11,eth0", Entry("w11", "eth0", A)),
        ("w11,eth0,10.31.188.65", Entry("w11", "eth0", B)),
        ("w11,a,b,10.31.188.65", Entry("w11", "a,b", B)),
        ("w11", Entry("w11", "", A)),
        ("w11,eth0,nonsense", Entry("w11", "eth0,nonsense", A)),
    ],
)
def test_either_form_is_read(value: str, entry: Entry) -> None:
    assert parse(value, [A, B]) == [entry]


def test_of_what_a_tenant_writes_there_no_more_is_read_than_the_addresses_need() -> None:
    flood = " ".join(f"ghost-{number},eth0,10.9.{number >> 8}.{number & 255}" for number in range(5000))

    assert len(parse(f"{flood} w11,eth0,{A}", [A, B])) <= 20
    assert parse("x" * 1000 + ",eth0", [A]) == []
