"""Messages to bytes and back."""

import contextlib
import tracemalloc
import zlib
from dataclasses import replace

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression import compress
from memberlist import codec
from memberlist.errors import WireError
from memberlist.messages import Ack, Alive, Dead, ErrorReply, IndirectPing, Nack, PacketMessage, Ping, Suspect, User

U32 = st.integers(0, 2**32 - 1)
PORT = st.integers(0, 65535)
NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
ADDRESS = st.binary(max_size=16)
SHORT = st.binary(max_size=600)

PACKETS: st.SearchStrategy[PacketMessage] = st.one_of(
    st.builds(Ping, U32, NAME, ADDRESS, PORT, NAME),
    st.builds(IndirectPing, U32, ADDRESS, PORT, NAME, st.booleans(), ADDRESS, PORT, NAME),
    st.builds(Ack, U32, SHORT),
    st.builds(Nack, U32),
    st.builds(Suspect, U32, NAME, NAME),
    st.builds(Dead, U32, NAME, NAME),
    st.builds(Alive, U32, NAME, ADDRESS, PORT, SHORT, st.binary(max_size=8)),
    st.builds(User, SHORT),
)
PING = Ping(1, "delta", bytes([10, 0, 0, 1]), 7946, "alpha")


def pack(kind: int, **fields: object) -> bytes:
    return bytes((kind,)) + bytes(msgpack.packb(fields))


@given(PACKETS)
def test_decoding_what_was_encoded_gives_the_same_message(message: PacketMessage) -> None:
    assert codec.decode(codec.encode(message)) == message


def test_a_small_message_takes_little_memory_to_encode() -> None:
    tracemalloc.start()
    try:
        codec.encode(PING)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16 * 1024


@given(st.lists(PACKETS, min_size=1, max_size=20))
def test_a_compound_holds_its_parts_in_order(messages: list[PacketMessage]) -> None:
    packet = codec.compound([codec.encode(message) for message in messages])

    assert codec.decode_packet(packet) == (messages, 0)


@given(PACKETS)
def test_wrappers_may_be_nested(message: PacketMessage) -> None:
    compressed = pack(9, Algo=0, Buf=compress(codec.encode(message)))

    packet = codec.with_crc(codec.compound([compressed, codec.compound([codec.encode(message)])]))

    assert codec.decode_packet(packet) == ([message, message], 0)


@given(st.binary(max_size=400))
def test_garbage_raises_nothing_but_wire_errors(data: bytes) -> None:
    with contextlib.suppress(WireError):
        codec.decode_packet(data)


@given(PACKETS, st.data())
def test_a_damaged_packet_raises_nothing_but_wire_errors(message: PacketMessage, data: st.DataObject) -> None:
    packet = bytearray(codec.compound([codec.encode(message), pack(9, Algo=0, Buf=compress(codec.encode(message)))]))
    for place in data.draw(st.lists(st.integers(0, len(packet) - 1), min_size=1, max_size=5)):
        packet[place] = data.draw(st.integers(0, 255))

    with contextlib.suppress(WireError):
        codec.decode_packet(bytes(packet))


def test_keys_are_written_in_byte_order() -> None:
    fields = msgpack.unpackb(codec.encode(Alive(1, "n", b"addr", 1, b"", bytes(6)))[1:])

    assert list(fields) == sorted(fields)


def test_strings_of_32_bytes_and_more_are_written_as_raw16() -> None:
    assert bytes.fromhex("da0020") + b"n" * 32 in codec.encode(Nack(1)) + codec.encode(Suspect(1, "n" * 32, "x"))


def test_an_empty_payload_of_an_ack_is_nil() -> None:
    assert codec.encode(Ack(1)) == bytes.fromhex("0282a7") + b"Payload" + bytes.fromhex("c0a5") + b"SeqNo\x01"


def test_a_name_that_is_not_utf_8_survives() -> None:
    wire = codec.encode(Suspect(1, "x", "y")).replace(b"\xa1x", b"\xa2\xff\xfe")

    message = codec.decode(wire)

    assert codec.encode(message) == wire


def test_fields_that_are_missing_or_nil_are_empty() -> None:
    assert codec.decode(pack(4, Node="n", Meta=None)) == Alive(0, "n", b"", 0, b"", b"")


def test_unknown_fields_and_what_follows_the_map_are_ignored() -> None:
    assert codec.decode(pack(11, SeqNo=7, Colour="blue") + b"trailing") == Nack(7)


@pytest.mark.parametrize("number", [bytes.fromhex("cd012c"), bytes.fromhex("d1012c")])
def test_a_length_may_be_written_signed_or_unsigned(number: bytes) -> None:
    assert codec.decode(b"\x0b\x81\xa5SeqNo" + number) == Nack(300)


@pytest.mark.parametrize(
    "body",
    [
        {"SeqNo": 2**32},
        {"SeqNo": -1},
        {"SeqNo": "1"},
        {"SeqNo": 1.5},
    ],
)
def test_a_number_out_of_bounds_is_an_error(body: dict[str, object]) -> None:
    with pytest.raises(WireError, match="SeqNo"):
        codec.decode(pack(11, **body))


def test_a_damaged_part_does_not_condemn_its_neighbours() -> None:
    packet = codec.compound([codec.encode(PING), b"\x04\xff\xff", codec.encode(Nack(2)), b"\x63what"])

    assert codec.decode_packet(packet) == ([PING, Nack(2)], 2)


def test_the_complete_parts_of_a_truncated_compound_count() -> None:
    packet = codec.compound([codec.encode(PING), codec.encode(Nack(2))])

    assert codec.decode_packet(packet[:-1]) == ([PING], 0)


def test_a_wrong_checksum_condemns_the_packet() -> None:
    packet = bytearray(codec.with_crc(codec.encode(PING)))
    packet[-1] ^= 1

    with pytest.raises(WireError, match="checksum"):
        codec.decode_packet(bytes(packet))


def test_the_checksum_is_crc_32() -> None:
    assert codec.with_crc(b"\x0bxyz") == b"\x0c" + zlib.crc32(b"\x0bxyz").to_bytes(4, "big") + b"\x0bxyz"


def test_compound_within_compound_is_not_followed_for_ever() -> None:
    packet = codec.encode(PING)
    for _ in range(10):
        packet = codec.compound([packet])

    with pytest.raises(WireError):
        codec.decode_packet(packet)


def test_many_bombs_in_one_packet_share_one_limit() -> None:
    bomb = pack(9, Algo=0, Buf=compress(b"\x08" + bytes(200_000)))

    messages, broken = codec.decode_packet(codec.compound([bomb] * 5))

    assert (len(messages), broken) == (1, 4)


def test_a_stream_message_has_no_place_in_a_packet() -> None:
    with pytest.raises(WireError):
        codec.decode_packet(codec.encode(ErrorReply("no")))


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(WireError):
        codec.decode_packet(pack(9, Algo=1, Buf=compress(codec.encode(PING))))


def test_a_ping_without_a_source_leaves_those_fields_out() -> None:
    wire = codec.encode(replace(PING, source_address=b"", source_port=0, source_node=""))

    assert list(msgpack.unpackb(wire[1:])) == ["Node", "SeqNo"]
