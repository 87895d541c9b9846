"""One direction of a TCP exchange, byte by byte."""

import contextlib
import dataclasses
import itertools

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression import compress
from memberlist.codec import encode, encode_user_stream
from memberlist.config import Config
from memberlist.crypto import Keyring
from memberlist.errors import LabelMismatch, Unauthentic, WireError
from memberlist.messages import ErrorReply, NodeState, Ping, PushPull, State, StreamMessage, User
from memberlist.streams import StreamCodec

RING = Keyring([b"k" * 16])
LINE = NodeState("n1", bytes([10, 0, 0, 1]), 7946, b"meta", 3, State.SUSPECT, bytes([1, 5, 2, 0, 0, 0]))
EXCHANGE = PushPull(True, (LINE, dataclasses.replace(LINE, name="n2")), b"state of the application")


def codec(keyring: Keyring | None = None, label: str = "", **settings: bool | int) -> StreamCodec:
    return StreamCodec(dataclasses.replace(Config(), **settings), keyring, label)  # type: ignore[arg-type]


def read(reader: StreamCodec, data: bytes, *, dialled: bool = False) -> StreamMessage | None:
    return reader.decoder(dialled=dialled).feed(data)


def compressed(message: bytes) -> bytes:
    return b"\x09" + bytes(msgpack.packb({"Algo": 0, "Buf": compress(message)}))


@pytest.mark.parametrize("keyring", [None, RING])
@pytest.mark.parametrize("label", ["", "mesh"])
@given(cuts=st.lists(st.integers(0, 300), max_size=6))
def test_a_push_pull_may_arrive_in_any_pieces(keyring: Keyring | None, label: str, cuts: list[int]) -> None:
    data = codec(keyring, label).seal(encode(EXCHANGE), dialled=True)
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})

    decoder = codec(keyring, label).decoder(dialled=False)
    results = [decoder.feed(data[start:end]) for start, end in itertools.pairwise(edges)]

    assert [result for result in results if result is not None] == [EXCHANGE]


def test_only_the_dialling_side_writes_the_label() -> None:
    mesh = codec(label="mesh")

    assert mesh.seal(b"\x00", dialled=True) == b"\xf4\x04mesh\x00"
    assert mesh.seal(b"\x00", dialled=False) == b"\x00"


def test_the_label_authenticates_the_reply_although_it_is_not_in_it() -> None:
    reply = codec(RING, "mesh").seal(encode(EXCHANGE), dialled=False)

    assert read(codec(RING, "mesh"), reply, dialled=True) == EXCHANGE
    with pytest.raises(Unauthentic):
        read(codec(RING, "other"), reply, dialled=True)


@pytest.mark.parametrize(("ours", "theirs"), [("", "mesh"), ("mesh", ""), ("mesh", "mess")])
def test_another_label_is_another_cluster(ours: str, theirs: str) -> None:
    with pytest.raises(LabelMismatch):
        read(codec(label=ours), codec(label=theirs).seal(encode(EXCHANGE), dialled=True))


def test_with_a_key_plaintext_is_refused_unless_it_is_being_introduced() -> None:
    with pytest.raises(Unauthentic):
        read(codec(RING), encode(EXCHANGE))
    assert read(codec(RING, verify_incoming=False), encode(EXCHANGE)) == EXCHANGE


def test_without_a_key_an_encrypted_stream_is_refused_at_its_first_byte() -> None:
    with pytest.raises(Unauthentic):
        read(codec(), b"\x0a")


@pytest.mark.parametrize("message", [EXCHANGE, User(b"x" * 300), Ping(7, "n1")])
def test_a_compressed_message_is_expanded(message: StreamMessage) -> None:
    plain = encode_user_stream(message.payload) if isinstance(message, User) else encode(message)

    assert read(codec(), compressed(plain)) == message


def test_a_message_that_is_compressed_twice_is_refused() -> None:
    with pytest.raises(WireError, match="twice"):
        read(codec(), compressed(compressed(encode(EXCHANGE))))


def test_a_cut_off_message_inside_compression_is_refused() -> None:
    with pytest.raises(WireError, match="cut off"):
        read(codec(), compressed(encode(EXCHANGE)[:-3]))


def test_a_user_message_ends_where_its_header_says() -> None:
    decoder = codec().decoder(dialled=False)

    assert decoder.feed(encode_user_stream(b"abc")[:-1]) is None
    assert decoder.feed(b"c") == User(b"abc")


def test_an_error_reply_is_a_message() -> None:
    assert read(codec(), encode(ErrorReply("no")), dialled=True) == ErrorReply("no")


@pytest.mark.parametrize("kind", [1, 3, 4, 5, 7, 11, 12, 14, 255])
def test_a_packet_message_has_no_place_on_a_stream(kind: int) -> None:
    with pytest.raises(WireError, match="no place"):
        read(codec(), bytes((kind, 0x80)))


@pytest.mark.parametrize(
    "header",
    [
        {"Nodes": 1 << 21},
        {"Nodes": -1},
        {"Nodes": 0, "UserStateLen": 21 << 20},
    ],
)
def test_counts_and_lengths_are_checked_before_anything_is_read(header: dict[str, int]) -> None:
    with pytest.raises(WireError):
        read(codec(), b"\x06" + bytes(msgpack.packb(header)))


def test_the_length_of_an_encrypted_stream_is_checked_before_it_is_read() -> None:
    with pytest.raises(WireError):
        read(codec(RING), b"\x0a" + (21 << 20).to_bytes(4, "big"))


def test_a_stream_that_never_ends_is_given_up_at_the_limit() -> None:
    decoder = codec(max_expanded=100_000).decoder(dialled=False)
    decoder.feed(b"\x06" + bytes(msgpack.packb({"Nodes": 1000})))

    member = b"\x81\xa4Meta\xda\x03\xe8" + bytes(1000)

    assert decoder.feed(member * 90) is None
    with pytest.raises(WireError, match="more than"):
        decoder.feed(member * 10)


def test_a_bomb_is_not_expanded_beyond_the_limit() -> None:
    with pytest.raises(WireError, match="more than"):
        read(codec(max_expanded=100_000), compressed(b"\x08" + bytes(300_000)))


@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from(["", "mesh"]), st.booleans())
def test_garbage_raises_nothing_but_wire_errors(pieces: list[bytes], label: str, keyed: bool) -> None:
    decoder = codec(RING if keyed else None, label).decoder(dialled=False)

    try:
        for piece in pieces:
            decoder.feed(piece)
    except WireError:
        pass


@given(st.data())
def test_a_damaged_push_pull_raises_nothing_but_wire_errors(data: st.DataObject) -> None:
    wire = bytearray(encode(EXCHANGE))
    for place in data.draw(st.lists(st.integers(0, len(wire) - 1), min_size=1, max_size=5)):
        wire[place] = data.draw(st.integers(0, 255))

    with contextlib.suppress(WireError):
        read(codec(), bytes(wire))
