"""Whatever arrives, by packet or stream, from insiders or strangers: no exception, no change that nobody may make."""

from __future__ import annotations

import tracemalloc

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression import compress, compressed_zeros
from hostile import INSIDER, KEY, STREAM, seeds, try_input
from memberlist.codec import PACKET_EXPANDED_MAX, compound, decode_packet
from memberlist.config import Config
from memberlist.crypto import Keyring
from memberlist.errors import WireError
from memberlist.messages import User
from memberlist.streams import StreamCodec

SEEDS = dict(seeds())
KINDS = st.sampled_from([0, STREAM, KEY, KEY | STREAM, KEY | INSIDER, KEY | INSIDER | STREAM])

# Inputs on which a fuzzer once failed.
FOUND = {
    # a packet encrypted with another key: it must not change the members
    "sealed by a stranger": "0201355eaa42f877f5e478b51c809222865c848e42f37077012040ad0a6cef24cdd9be6c522555c403f47d4658"
    "fc993a0d1d91b418ec8f81ffc1053684f84879a11624ddb9634bd4e10ebadcdaa14443f3e5554804521ee41a6b15a4caf42a24aab181038fde"
    "3bc3fcd128899639f94831b4eb0e16554197717f60e59f32baf959161399b0ebd9d9e742828310abd7fbe1d28503efa20dcaa20f65d1c598db"
    "fcb6a3467e90009d47a30c19cac7603460e84bb27800bdc56888",
}


@pytest.mark.parametrize("name", FOUND)
def test_what_a_fuzzer_found_stays_mended(name: str) -> None:
    try_input(bytes.fromhex(FOUND[name]))


@pytest.mark.parametrize("name", SEEDS)
def test_captured_bytes_may_come_from_anybody(name: str) -> None:
    try_input(SEEDS[name])


@given(KINDS, st.binary(max_size=300))
def test_any_bytes(kind: int, data: bytes) -> None:
    try_input(bytes([kind]) + data)


@given(
    KINDS,
    st.sampled_from(list(SEEDS.values())),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 6)), max_size=6),
)
def test_captured_bytes_that_were_damaged(kind: int, seed: bytes, cuts: list[tuple[int, bytes, int]]) -> None:
    """Bytes inserted, replaced and cut out at random places."""
    data = seed[1:]
    for place, inserted, removed in cuts:
        data = data[:place] + inserted + data[place + removed :]
    try_input(bytes([kind]) + data)


@given(KINDS, st.lists(st.sampled_from([7, 9]), max_size=6), st.sampled_from(list(SEEDS.values())))
def test_wrappers_within_wrappers(kind: int, wrappers: list[int], seed: bytes) -> None:
    data = seed[1:400]
    for wrapper in wrappers:
        data = compound([data[:10_000]] * 3) if wrapper == 7 else compressed(compress(data))
    try_input(bytes([kind]) + data)


# --- what it may cost ---


def compressed(content: bytes) -> bytes:
    return b"\x09" + bytes(msgpack.packb({"Algo": 0, "Buf": content}))


def peak_of(action: object, *arguments: object) -> int:
    """Bytes that a call holds at most; WireError is an answer like any other."""
    assert callable(action)
    tracemalloc.start()
    try:
        action(*arguments)
    except WireError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize("parts", [1, 20])
def test_a_packet_never_expands_beyond_its_bound(parts: int) -> None:
    packet = compound([compressed(compressed_zeros(3 * PACKET_EXPANDED_MAX))] * parts)

    assert peak_of(decode_packet, packet) < 8 * PACKET_EXPANDED_MAX


def test_a_stream_never_expands_beyond_its_bound_not_even_one_sealed_with_our_key() -> None:
    limit = 200_000
    config = Config(max_expanded=limit)
    ring = Keyring([b"k" * 16])
    codec = StreamCodec(config, ring, "")
    wire = codec.seal(compressed(compressed_zeros(2 << 20)), dialled=True)

    assert peak_of(codec.decoder(dialled=False).feed, wire) < 10 * limit


@pytest.mark.parametrize(
    "start",
    [
        b"\x06\x82\xa5Nodes\xce\x00\x0f\xff\xff\xacUserStateLen\x00",
        b"\x06\x82\xa5Nodes\x00\xacUserStateLen\xce\x01\x30\x00\x00",
        b"\x08\x81\xaaUserMsgLen\xce\x01\x3f\xff\xff",
        b"\x09\x82\xa4Algo\x00\xa3Buf\xdb\x01\x3f\xff\xff",
        b"\x00\x81\xa4Node\xdb\x7f\xff\xff\xff",
        b"\x00\xdf\x7f\xff\xff\xff",
        b"\x00\x81\xa4Node\xdd\x7f\xff\xff\xff",
    ],
    ids=["members", "user state", "user message", "compressed", "string", "map", "array"],
)
def test_a_length_that_is_only_claimed_takes_no_memory(start: bytes) -> None:
    decoder = StreamCodec(Config.fast(), None, "").decoder(dialled=False)

    assert peak_of(decoder.feed, start) < 200_000


def test_the_largest_user_message_arrives() -> None:
    ring = Keyring([b"k" * 16])
    codec = StreamCodec(Config(), ring, "")
    payload = bytes(1 << 20)
    wire = codec.seal(b"\x08\x81\xaaUserMsgLen\xce\x00\x10\x00\x00" + payload, dialled=True)

    assert codec.decoder(dialled=False).feed(wire) == User(payload)
