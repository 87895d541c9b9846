"""Expansion of Go's LZW."""

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compression import compress, compressed_zeros
from memberlist.errors import WireError
from memberlist.lzw import expand

LIMIT = 1 << 20


@given(st.binary(max_size=2000))
def test_what_was_compressed_expands_to_itself(data: bytes) -> None:
    assert expand(compress(data), LIMIT) == data


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(2, 200))
def test_the_table_may_fill_up_and_begin_anew(seed: int, symbols: int) -> None:
    rng = random.Random(seed)
    data = bytes(rng.randrange(symbols) for _ in range(6_000))

    assert expand(compress(data), LIMIT) == data


def test_a_code_that_is_just_being_defined_repeats_the_previous_string() -> None:
    assert expand(compress(b"a" * 1000), LIMIT) == b"a" * 1000


def test_nothing_is_a_clear_and_an_end_code() -> None:
    assert compress(b"") == bytes.fromhex("000302")
    assert expand(bytes.fromhex("000302"), LIMIT) == b""


def test_a_stream_need_not_begin_with_a_clear_code() -> None:
    literal_then_end = ord("x") | 257 << 9

    assert expand(literal_then_end.to_bytes(3, "little"), LIMIT) == b"x"


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_an_end_that_is_missing_is_an_error(cut: int) -> None:
    with pytest.raises(WireError, match="end code"):
        expand(compress(b"hello, hello, hello")[:-cut], LIMIT)


def test_a_code_nobody_defined_is_an_error() -> None:
    clear_then_undefined = 256 | 300 << 9

    with pytest.raises(WireError, match="300"):
        expand(clear_then_undefined.to_bytes(3, "little"), LIMIT)


def test_a_bomb_is_not_expanded_beyond_the_limit() -> None:
    with pytest.raises(WireError, match="more than 100000"):
        expand(compress(bytes(200_000)), 100_000)


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_but_wire_errors(data: bytes) -> None:
    with contextlib.suppress(WireError):
        expand(data, 10_000)


@pytest.mark.parametrize("count", [1, 2, 300, 40_000, 1 << 20])
def test_the_smallest_form_of_a_bomb_is_understood(count: int) -> None:
    expanded = expand(compressed_zeros(count), 2 << 20)

    assert len(expanded) >= count
    assert not any(expanded)
