"""The keyring and the sealed layout."""

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memberlist.crypto import MAX_OVERHEAD, RESERVE, Keyring, Reserve
from memberlist.errors import ConfigError, Unauthentic, WireError

OLD, NEW, OTHER = b"o" * 16, b"n" * 24, b"x" * 32


@pytest.mark.parametrize("key", [OLD, NEW, OTHER])
@given(plain=st.binary(max_size=200), associated=st.binary(max_size=20), version=st.integers(0, 1))
def test_what_was_sealed_opens(key: bytes, plain: bytes, associated: bytes, version: int) -> None:
    ring = Keyring([key])

    sealed = ring.seal(plain, associated, version)

    assert ring.open(sealed, associated) == plain
    assert len(sealed) - len(plain) <= MAX_OVERHEAD[version]


def test_version_1_adds_29_bytes_and_version_0_pads_to_16() -> None:
    ring = Keyring([OLD])

    assert len(ring.seal(b"x" * 16, b"", 1)) == 16 + 29
    assert len(ring.seal(b"x" * 16, b"", 0)) == 32 + 29
    assert len(ring.seal(b"x" * 15, b"", 0)) == 16 + 29


@given(sizes=st.lists(st.integers(0, 2 * RESERVE), max_size=40))
def test_random_bytes_are_given_out_once_each_and_as_many_as_asked_for(sizes: list[int]) -> None:
    numbers = itertools.count()
    reserve = Reserve(lambda size: b"".join(next(numbers).to_bytes(4, "big") for _ in range(-(-size // 4)))[:size])

    given_out = [reserve(4 * size) for size in sizes]

    assert [len(one) for one in given_out] == [4 * size for size in sizes]
    every = [one[at : at + 4] for one in given_out for at in range(0, len(one), 4)]
    assert len(set(every)) == len(every)


def test_no_two_seals_have_the_same_nonce() -> None:
    ring = Keyring([OLD])

    sealed = {ring.seal(b"x", b"")[1:13] for _ in range(1000)}

    assert len(sealed) == 1000


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_one_changed_bit_is_noticed(place: int, bit: int) -> None:
    ring = Keyring([OLD])
    sealed = bytearray(ring.seal(b"a secret", b"label"))
    sealed[place % len(sealed)] ^= 1 << bit

    with pytest.raises(WireError):
        ring.open(bytes(sealed), b"label")


def test_another_label_does_not_open_it() -> None:
    ring = Keyring([OLD])

    with pytest.raises(Unauthentic):
        ring.open(ring.seal(b"a secret", b"here"), b"there")


def test_any_key_of_the_ring_opens_and_the_first_one_seals() -> None:
    both = Keyring([NEW, OLD])

    assert both.open(Keyring([OLD]).seal(b"m", b""), b"") == b"m"
    assert Keyring([NEW]).open(both.seal(b"m", b""), b"") == b"m"
    with pytest.raises(Unauthentic):
        Keyring([OLD]).open(both.seal(b"m", b""), b"")


def test_a_key_is_changed_without_a_moment_of_silence() -> None:
    here, there = Keyring([OLD]), Keyring([OLD])

    for change in (Keyring.add, Keyring.use):
        for ring in (here, there):
            change(ring, NEW)
            assert there.open(here.seal(b"m", b""), b"") == b"m"
            assert here.open(there.seal(b"m", b""), b"") == b"m"
    here.remove(OLD)

    assert there.open(here.seal(b"m", b""), b"") == b"m"
    assert here.open(there.seal(b"m", b""), b"") == b"m"
    assert here.keys == (NEW,)


def test_the_primary_key_can_not_be_removed() -> None:
    with pytest.raises(ConfigError, match="primary"):
        Keyring([OLD, NEW]).remove(OLD)


def test_an_unknown_key_can_not_become_primary() -> None:
    with pytest.raises(ConfigError, match="not in the keyring"):
        Keyring([OLD]).use(NEW)


@pytest.mark.parametrize("size", [0, 15, 17, 33])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ConfigError, match=f"this one has {size}"):
        Keyring([bytes(size)])


def test_a_ring_without_keys_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        Keyring([])


@given(st.binary(max_size=100))
def test_garbage_is_never_taken_for_a_message(data: bytes) -> None:
    with pytest.raises(WireError):
        Keyring([OLD]).open(data, b"")


def test_without_the_cryptography_package_a_key_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)

    with pytest.raises(ConfigError, match="needs the package cryptography"):
        Keyring([b"k" * 16])
