"""What real members wrote on the wire (captured from serf 0.9.4 and from memberlist in Go)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from memberlist import codec
from memberlist.config import Config
from memberlist.crypto import Keyring
from memberlist.messages import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    Message,
    Nack,
    NodeState,
    Ping,
    PushPull,
    Suspect,
    User,
)
from memberlist.packets import PacketCodec
from memberlist.streams import StreamCodec

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text())
FIELDS = {
    "Node": "node",
    "Name": "name",
    "SeqNo": "sequence",
    "SourceAddr": "source_address",
    "SourcePort": "source_port",
    "SourceNode": "source_node",
    "Nack": "nack",
    "Port": "port",
    "Target": "target",
    "Payload": "payload",
    "From": "source",
    "Incarnation": "incarnation",
    "Addr": "address",
    "Meta": "meta",
    "Vsn": "versions",
    "State": "state",
}
KINDS: dict[str, type[Message]] = {
    "ping": Ping,
    "indirectPing": IndirectPing,
    "ackResp": Ack,
    "nackResp": Nack,
    "suspect": Suspect,
    "alive": Alive,
    "dead": Dead,
}


@dataclass(frozen=True)
class Vector:
    name: str
    wire: bytes
    keyring: Keyring | None
    label: str
    expected: list[object]

    def packets(self) -> PacketCodec:
        return PacketCodec(Config(), self.keyring, self.label)

    def streams(self) -> StreamCodec:
        return StreamCodec(Config(), self.keyring, self.label)

    @property
    def is_reply(self) -> bool:
        return self.name.endswith("_reply")


def value(described: object) -> Any:
    if isinstance(described, str) and described.startswith("hex:"):
        return bytes.fromhex(described[4:])
    return b"" if described is None else described


def fields(described: dict[str, object]) -> dict[str, Any]:
    return {FIELDS[key]: value(content) for key, content in described.items()}


def messages(described: dict[str, Any]) -> list[object]:
    """What the vector says is inside, in our types."""
    match described["type"]:
        case "compress":
            return messages(described["inner"])
        case "compound":
            return [message for part in described["parts"] for message in messages(part)]
        case "user":
            return [User(value(described["payload"]))]
        case "pushPull":
            nodes = tuple(NodeState(**fields(node)) for node in described["nodes"])
            return [PushPull(described["header"]["Join"], nodes, value(described["user_state"]))]
        case kind:
            return [KINDS[kind](**fields(described["fields"]))]


def vectors(transport: str) -> list[Any]:
    return [
        pytest.param(
            Vector(
                name=vector["name"],
                wire=bytes.fromhex(vector["hex"]),
                keyring=Keyring([base64.b64decode(vector["key_base64"])]) if vector["key_base64"] else None,
                label=vector["label"] or "",
                expected=messages(vector["decoded"]["message"]),
            ),
            id=vector["name"],
        )
        for vector in VECTORS
        if vector["transport"] == transport
    ]


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(vectors("udp")) >= 15
    assert len(vectors("tcp")) >= 10


@pytest.mark.parametrize("vector", vectors("udp"))
def test_a_captured_packet_decodes_as_described(vector: Vector) -> None:
    assert vector.packets().open(vector.wire) == (vector.expected, 0)


@pytest.mark.parametrize("vector", vectors("tcp"))
def test_a_captured_stream_decodes_as_described_at_its_last_byte(vector: Vector) -> None:
    decoder = vector.streams().decoder(dialled=vector.is_reply)

    results = [decoder.feed(bytes((byte,))) for byte in vector.wire]

    assert results[:-1] == [None] * (len(results) - 1)
    assert [results[-1]] == vector.expected


@pytest.mark.parametrize("vector", vectors("tcp"))
def test_a_captured_stream_may_come_in_one_piece(vector: Vector) -> None:
    assert [vector.streams().decoder(dialled=vector.is_reply).feed(vector.wire)] == vector.expected


@pytest.mark.parametrize("vector", vectors("udp"))
def test_what_we_encode_of_a_packet_decodes_back(vector: Vector) -> None:
    parts = [codec.encode(message) for message in vector.expected]  # type: ignore[arg-type]

    sealed = vector.packets().seal(codec.compound(parts), crc=True)

    assert vector.packets().open(sealed) == (vector.expected, 0)


@pytest.mark.parametrize("vector", vectors("tcp"))
def test_what_we_encode_of_a_stream_decodes_back(vector: Vector) -> None:
    (message,) = vector.expected
    plain = codec.encode_user_stream(message.payload) if isinstance(message, User) else codec.encode(message)  # type: ignore[arg-type]

    for dialled in (True, False):
        sealed = vector.streams().seal(plain, dialled=dialled)
        assert vector.streams().decoder(dialled=not dialled).feed(sealed) == message


@pytest.mark.parametrize(
    "name",
    ["ping", "ack_nil_payload", "ack_with_payload", "indirect_ping", "nack", "tcp_ping", "tcp_ack"],
)
def test_plain_messages_are_written_byte_for_byte_as_memberlist_does(name: str) -> None:
    (vector,) = (vector for vector in VECTORS if vector["name"] == name)

    (message,) = messages(vector["decoded"]["message"])

    assert codec.encode(message).hex() == vector["hex"]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["suspect_crc", "alive_crc", "dead_crc", "user_crc"])
def test_gossip_is_written_byte_for_byte_as_memberlist_does(name: str) -> None:
    (vector,) = (vector for vector in VECTORS if vector["name"] == name)

    (message,) = messages(vector["decoded"]["message"])

    assert codec.with_crc(codec.encode(message)).hex() == vector["hex"]  # type: ignore[arg-type]


def test_a_compound_is_written_byte_for_byte_as_memberlist_does() -> None:
    (vector,) = (vector for vector in VECTORS if vector["name"] == "compound_alive4")

    parts = [codec.encode(message) for message in messages(vector["decoded"]["message"])]  # type: ignore[arg-type]

    assert codec.with_crc(codec.compound(parts)).hex() == vector["hex"]
