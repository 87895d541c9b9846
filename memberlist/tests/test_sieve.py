"""The filter in the kernel: it must let through all that we could read, and keep noise away."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression import compress
from memberlist.codec import compound, encode
from memberlist.config import Config
from memberlist.crypto import Keyring
from memberlist.errors import LabelMismatch, Unauthentic, WireError
from memberlist.messages import Ack, Address, Alive, IndirectPing, Message, Nack, Ping, Suspect, User
from memberlist.packets import PacketCodec
from memberlist.sieve import program
from memberlist.sockets import Sockets, bind

VECTORS = [
    vector
    for vector in json.loads(Path(__file__).with_name("vectors.json").read_text())
    if vector["transport"] == "udp"
]
KEYS = [b"a" * 16, b"b" * 16]
MESSAGES: list[Message] = [
    Ping(7, "n1", b"\x0a\x00\x00\x01", 7946, "n2"),
    IndirectPing(7, b"\x0a\x00\x00\x01", 7946, "n1", True),
    Ack(7),
    Nack(7),
    Suspect(1, "n1", "n2"),
    Alive(1, "n1", b"\x0a\x00\x00\x01", 7946, b"m" * 512, bytes(6)),
    User(b""),
    User(b"anything"),
]


class Sifted:
    """A socket with the filter; `passes` says what came through."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._sender = socket.socket(sockets.udp.family, socket.SOCK_DGRAM)

    def passes(self, packet: bytes) -> bool:
        self._sender.sendto(packet, self._sockets.udp.getsockname())  # loopback delivers before it returns
        try:
            data = self._sockets.udp.recv(65535)
        except BlockingIOError:
            return False
        assert data == packet
        return True

    def close(self) -> None:
        self._sender.close()
        self._sockets.close()


@contextlib.contextmanager
def sifted(host: str = "127.0.0.1", banned: dict[Address, set[int]] | None = None) -> Iterator[Sifted]:
    sockets = bind(ipaddress.ip_address(host), 0)
    sockets.sift(program(banned))
    with contextlib.closing(Sifted(sockets)) as filtered:
        yield filtered


@pytest.fixture(scope="module")
def kernel() -> Iterator[Sifted]:
    with sifted() as filtered:
        yield filtered


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_captured_packets_pass(kernel: Sifted, vector: dict[str, str]) -> None:
    assert kernel.passes(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize("label", ["", "x", "mesh" * 60])
@pytest.mark.parametrize("key", [None, KEYS[0]])
@pytest.mark.parametrize("protocol_version", [1, 2])
@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_members_send_passes(
    kernel: Sifted, label: str, key: bytes | None, protocol_version: int, message: Message
) -> None:
    codec = PacketCodec(Config(protocol_version=protocol_version), Keyring([key]) if key else None, label)
    plain = encode(message)
    packed = b"\x09" + bytes(msgpack.packb({"Algo": 0, "Buf": compress(plain)}))

    for data in (plain, compound([plain]), compound([plain] * 3), packed, compound([packed, plain])):
        for crc in (False, True):
            assert kernel.passes(codec.seal(data, crc=crc))


@given(
    st.one_of(
        st.binary(max_size=80),
        st.tuples(st.integers(0, 13), st.binary(max_size=60)).map(lambda parts: bytes(parts[:1]) + parts[1]),
        st.tuples(
            st.sampled_from([encode(message) for message in MESSAGES]), st.integers(0, 40), st.integers(0, 255)
        ).map(lambda parts: parts[0][: parts[1]] + bytes([parts[2]]) + parts[0][parts[1] + 1 :]),
    ),
    st.sampled_from(["", "mesh"]),
    st.booleans(),
)
def test_whatever_could_be_read_passes(kernel: Sifted, data: bytes, label: str, keyed: bool) -> None:
    """The law that keeps the filter honest; packets of other clusters are to pass too, as far as they can be told."""
    codec = PacketCodec(Config(), Keyring(KEYS[:1]) if keyed else None, label)
    packet = codec.seal(data, crc=False)

    try:
        codec.open(packet)
    except (LabelMismatch, Unauthentic, WireError):
        return
    assert kernel.passes(packet)


def test_another_clusters_packets_pass_to_be_counted(kernel: Sifted) -> None:
    message = encode(MESSAGES[0])

    assert kernel.passes(PacketCodec(Config(), None, "other").seal(message, crc=False))
    assert kernel.passes(PacketCodec(Config(), Keyring(KEYS[1:]), "").seal(message, crc=False))


def test_noise_hardly_passes(kernel: Sifted) -> None:
    rng = random.Random(1)

    passed = sum(kernel.passes(rng.randbytes(rng.randrange(1, 200))) for _ in range(5000))

    assert passed < 0.03 * 5000


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"\x00",
        b"\x02\xa1x",
        b"\x06\x80",
        b"\x0a" + bytes(60),
        b"\x0e\x80",
        b"\xff" * 20,
        b"\x07",
        b"\x07\x00\x00",
        b"\x07\x02\x00\x01\x00\x01",
        b"\x0c1234",
        b"\x0c1234\xff",
        b"\xf4",
        b"\xf4\x00\x00\x80",
        b"\xf4\x04mesh",
        b"\xf4\x04mesh\x0e\x80",
    ],
    ids=lambda packet: packet.hex()[:16],
)
def test_what_no_member_sends_is_dropped(kernel: Sifted, packet: bytes) -> None:
    assert not kernel.passes(packet)


@pytest.mark.parametrize(("host", "other"), [("127.0.0.1", "127.0.0.2"), ("::1", "2001:db8::1")])
def test_a_banned_source_is_not_heard(host: str, other: str) -> None:
    own, foreign = ipaddress.ip_address(host), ipaddress.ip_address(other)
    message = encode(Nack(1))

    with sifted(host, {foreign: set()}) as filtered:
        assert filtered.passes(message)
    with sifted(host, {foreign: set(), own: {1}}) as filtered:
        assert not filtered.passes(message)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_member_at_a_banned_address_is_heard_by_its_port(host: str) -> None:
    own = ipaddress.ip_address(host)
    sockets = bind(own, 0)
    with contextlib.closing(sockets), socket.socket(sockets.udp.family, socket.SOCK_DGRAM) as sender:
        sender.bind((host, 0))
        port = sender.getsockname()[1]

        sockets.sift(program({own: {7946, port}}))
        sender.sendto(encode(Nack(1)), sockets.udp.getsockname())
        assert sockets.udp.recv(100) == encode(Nack(1))

        sockets.sift(program({own: {7946}}))
        sender.sendto(encode(Nack(1)), sockets.udp.getsockname())
        with pytest.raises(BlockingIOError):
            sockets.udp.recv(100)


def test_an_ipv4_source_is_banned_on_an_ipv6_socket_too() -> None:
    sockets = bind(ipaddress.ip_address("::"), 0)
    with contextlib.closing(sockets), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        where = ("127.0.0.1", sockets.endpoint.port)
        sockets.sift(program({ipaddress.ip_address("127.0.0.1"): set()}))
        sender.sendto(encode(Nack(1)), where)
        with pytest.raises(BlockingIOError):
            sockets.udp.recv(100)

        sockets.sift(program())
        sender.sendto(encode(Nack(2)), where)
        assert sockets.udp.recv(100) == encode(Nack(2))


def test_what_the_kernel_drops_is_counted() -> None:
    sockets = bind(ipaddress.ip_address("127.0.0.1"), 0)
    with contextlib.closing(sockets), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sockets.sift(program())
        for _ in range(5):
            sender.sendto(b"\xff" * 10, sockets.udp.getsockname())

        assert sockets.dropped() == 5
