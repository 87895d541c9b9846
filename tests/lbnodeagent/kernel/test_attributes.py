"""Netlink's attributes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbnodeagent.kernel.attributes import attribute, attributes

NESTED = 0x8000


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=20), max_size=5))
def test_attributes_are_read_as_they_were_written(wanted: dict[int, bytes]) -> None:
    assert attributes(b"".join(attribute(kind, payload) for kind, payload in wanted.items())) == wanted


def test_what_is_nested_is_known_by_its_kind() -> None:
    assert attributes(attribute(4 | NESTED, attribute(2, b"x"))) == {4: attribute(2, b"x")}


@given(st.binary(max_size=40))
def test_what_is_cut_off_is_left_out(data: bytes) -> None:
    attributes(data)
