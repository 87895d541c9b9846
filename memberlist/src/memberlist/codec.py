"""Bytes <-> messages: msgpack bodies, compound, CRC, compression (memberlist `net.go`, `util.go`).

Owns the encoding of every message and the unwrapping of a packet's plain layers.  Labels and encryption are in
packets.py and streams.py; no rule of the protocol is here.  Raises WireError only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

import msgpack  # type: ignore[import-untyped]

from memberlist.errors import WireError
from memberlist.lzw import expand
from memberlist.messages import (
    Ack,
    Alive,
    Dead,
    ErrorReply,
    IndirectPing,
    Message,
    MessageType,
    Nack,
    NodeState,
    PacketMessage,
    Ping,
    PushPull,
    State,
    Suspect,
    User,
)

Fields = Mapping[object, object]

U8, U16, U32 = 0xFF, 0xFFFF, 0xFFFF_FFFF
COMPOUND_PARTS_MAX = 127
"""Releases before 0.3.0 misread a compound of more parts, though its count has 8 bits."""
COMPOUND_OVERHEAD = 2
"""Bytes that each part of a compound costs (its length); the type and count are 2 more."""
PACKET_EXPANDED_MAX = 256 << 10
"""All that one packet may expand to: four times the largest datagram, as real peers compress packets of 1400 bytes."""
NESTING_MAX = 4
PACK_BUFFER = 2048
"""Bytes that msgpack takes to begin with, for each message: by itself a quarter of a megabyte, which malloc may have
from the kernel anew each time. It grows as needed."""

BODY_LIMITS: dict[str, Any] = {
    "raw": True,
    "strict_map_key": True,
    "max_ext_len": 0,
    "max_array_len": 1024,
    "max_map_len": 1024,
}
"""msgpack lengths are believed only within these; nothing in the protocol nests arrays or extensions."""


# --- messages to bytes --------------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """One message with its type byte, maps in the byte order of their keys, as the Go encoder writes them."""
    match message:
        case Ping():
            fields: dict[str, object] = {"Node": message.node, "SeqNo": message.sequence}
            return b"\x00" + _pack(fields | _source(message))
        case Ack():
            return b"\x02" + _pack({"Payload": message.payload or None, "SeqNo": message.sequence})
        case Suspect():
            return b"\x03" + _pack({"From": message.source, "Incarnation": message.incarnation, "Node": message.node})
        case Dead():
            return b"\x05" + _pack({"From": message.source, "Incarnation": message.incarnation, "Node": message.node})
        case Alive():
            fields = {
                "Addr": message.address,
                "Incarnation": message.incarnation,
                "Meta": message.meta,
                "Node": message.node,
                "Port": message.port,
                "Vsn": message.versions,
            }
            return b"\x04" + _pack(fields)
        case User():
            return b"\x08" + message.payload
        case IndirectPing():
            fields = {
                "Nack": message.nack,
                "Node": message.node,
                "Port": message.port,
                "SeqNo": message.sequence,
            }
            return b"\x01" + _pack(fields | _source(message) | {"Target": message.target})
        case Nack():
            return b"\x0b" + _pack({"SeqNo": message.sequence})
        case ErrorReply():
            return b"\x0d" + _pack({"Error": message.error})
        case PushPull():
            return _encode_push_pull(message)
        case _:
            assert_never(message)


def encode_user_stream(payload: bytes) -> bytes:
    """A user message as it goes over a stream, where its length must be told."""
    return b"\x08" + _pack({"UserMsgLen": len(payload)}) + payload


def compound(parts: Sequence[bytes]) -> bytes:
    """Several messages as one; at most COMPOUND_PARTS_MAX of them."""
    lengths = b"".join(len(part).to_bytes(2, "big") for part in parts)
    return bytes((MessageType.COMPOUND, len(parts))) + lengths + b"".join(parts)


def with_crc(message: bytes) -> bytes:
    return b"\x0c" + zlib.crc32(message).to_bytes(4, "big") + message


def _encode_push_pull(message: PushPull) -> bytes:
    header = {"Join": message.join, "Nodes": len(message.nodes), "UserStateLen": len(message.user_state)}
    states = [
        _pack(
            {
                "Addr": node.address,
                "Incarnation": node.incarnation,
                "Meta": node.meta,
                "Name": node.name,
                "Port": node.port,
                "State": int(node.state),
                "Vsn": node.versions,
            }
        )
        for node in message.nodes
    ]
    return b"".join((b"\x06", _pack(header), *states, message.user_state))


def _source(message: Ping | IndirectPing) -> dict[str, object]:
    fields: dict[str, object] = {}
    if message.source_address:
        fields["SourceAddr"] = message.source_address
    if message.source_node:
        fields["SourceNode"] = message.source_node
    if message.source_port:
        fields["SourcePort"] = message.source_port
    return fields


def _pack(fields: Mapping[str, object]) -> bytes:
    packed: bytes = msgpack.packb(fields, use_bin_type=False, unicode_errors="surrogateescape", buf_size=PACK_BUFFER)
    return packed


# --- bytes to messages --------------------------------------------------------------------------------------------


def decode_packet(data: bytes) -> tuple[list[PacketMessage], int]:
    """All messages of a decrypted packet, and how many parts were malformed or unknown.

    A damaged part doesn't condemn its neighbours.  Raises WireError if the whole is nothing that can be taken apart.
    """
    if len(data) >= 5 and data[0] == MessageType.HAS_CRC:
        if zlib.crc32(data[5:]) != int.from_bytes(data[1:5], "big"):
            raise WireError("the checksum doesn't match")
        data = data[5:]
    messages: list[PacketMessage] = []
    broken = 0
    budget = [PACKET_EXPANDED_MAX]
    for part in _leaves(data, budget, NESTING_MAX):
        if part is None:
            broken += 1
            continue
        try:
            messages.append(decode(part))
        except WireError:
            broken += 1
    if not messages:
        raise WireError("nothing in the packet is a message")
    return messages, broken


def decode(data: bytes) -> PacketMessage:
    """One message that may travel in a packet, its type byte first."""
    kind = data[0] if data else -1
    if kind == MessageType.USER:
        return User(data[1:])
    return from_fields(kind, unpack_map(data[1:]))


def from_fields(kind: int, fields: Fields) -> PacketMessage:
    """The message of type `kind` with these msgpack fields; missing and nil ones are zero or empty."""
    match kind:
        case MessageType.PING:
            return Ping(
                sequence=number(fields, b"SeqNo", U32),
                node=text(fields, b"Node"),
                source_address=octets(fields, b"SourceAddr"),
                source_port=number(fields, b"SourcePort", U16),
                source_node=text(fields, b"SourceNode"),
            )
        case MessageType.INDIRECT_PING:
            return IndirectPing(
                sequence=number(fields, b"SeqNo", U32),
                target=octets(fields, b"Target"),
                port=number(fields, b"Port", U16),
                node=text(fields, b"Node"),
                nack=truth(fields, b"Nack"),
                source_address=octets(fields, b"SourceAddr"),
                source_port=number(fields, b"SourcePort", U16),
                source_node=text(fields, b"SourceNode"),
            )
        case MessageType.ACK:
            return Ack(number(fields, b"SeqNo", U32), octets(fields, b"Payload"))
        case MessageType.NACK:
            return Nack(number(fields, b"SeqNo", U32))
        case MessageType.SUSPECT:
            return Suspect(number(fields, b"Incarnation", U32), text(fields, b"Node"), text(fields, b"From"))
        case MessageType.DEAD:
            return Dead(number(fields, b"Incarnation", U32), text(fields, b"Node"), text(fields, b"From"))
        case MessageType.ALIVE:
            return Alive(
                incarnation=number(fields, b"Incarnation", U32),
                node=text(fields, b"Node"),
                address=octets(fields, b"Addr"),
                port=number(fields, b"Port", U16),
                meta=octets(fields, b"Meta"),
                versions=octets(fields, b"Vsn"),
            )
        case _:
            raise WireError(f"message type {kind} has no place here")


def node_state(fields: Fields) -> NodeState:
    """One member's line of a push/pull."""
    state = number(fields, b"State", U8)
    if state > max(State):
        raise WireError(f"there is no member state {state}")
    return NodeState(
        name=text(fields, b"Name"),
        address=octets(fields, b"Addr"),
        port=number(fields, b"Port", U16),
        meta=octets(fields, b"Meta"),
        incarnation=number(fields, b"Incarnation", U32),
        state=State(state),
        versions=octets(fields, b"Vsn"),
    )


def expanded(fields: Fields, limit: int) -> bytes:
    """The message inside a compress message."""
    algorithm = number(fields, b"Algo", U8)
    if algorithm != 0:
        raise WireError(f"unknown compression {algorithm}")
    return expand(octets(fields, b"Buf"), limit)


def unpack_map(data: bytes) -> Fields:
    """The msgpack map that `data` begin with; what follows it is ignored, as Go's decoder does."""
    try:
        value = msgpack.unpackb(data, max_str_len=len(data), max_bin_len=len(data), **BODY_LIMITS)
    except msgpack.ExtraData as trailing:
        value = trailing.unpacked
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise WireError(f"malformed msgpack: {error}") from error
    return as_map(value)


def as_map(value: object) -> Fields:
    if not isinstance(value, dict):
        raise WireError("a message body must be a map")
    return value


def _leaves(data: bytes, budget: list[int], depth: int) -> Iterator[bytes | None]:
    """The messages in a packet, wrappers taken off; None for each wrapper that is malformed."""
    kind = data[0] if data else -1
    if kind not in (MessageType.COMPOUND, MessageType.COMPRESS):
        yield data
    elif depth == 0:
        yield None
    elif kind == MessageType.COMPOUND:
        for part in _parts(data):
            yield from _leaves(part, budget, depth - 1)
    else:
        try:
            inner = expanded(unpack_map(data[1:]), budget[0])
        except WireError:  # it may have cost all of the budget; members compress a packet as a whole, or not at all
            budget[0] = 0
            yield None
            return
        budget[0] -= len(inner)
        yield from _leaves(inner, budget, depth - 1)


def _parts(data: bytes) -> Iterator[bytes]:
    """The complete parts of a compound; one that is cut off is missing, as its sender may have been truncated."""
    count = data[1] if len(data) > 1 else 0
    position = 2 + 2 * count
    for index in range(count):
        length = int.from_bytes(data[2 + 2 * index : 4 + 2 * index], "big")
        part = data[position : position + length]
        position += length
        if length == 0:
            continue
        if len(part) < length:
            return
        yield part


# --- single fields ------------------------------------------------------------------------------------------------


def number(fields: Fields, key: bytes, most: int) -> int:
    value = fields.get(key, 0)
    if value is None:
        return 0
    if not isinstance(value, int) or not 0 <= value <= most:
        raise WireError(f"{key.decode()} must be a number up to {most}")
    return int(value)


def octets(fields: Fields, key: bytes) -> bytes:
    value = fields.get(key, b"")
    if value is None:
        return b""
    if not isinstance(value, bytes):
        raise WireError(f"{key.decode()} must be bytes")
    return value


def text(fields: Fields, key: bytes) -> str:
    """Names are UTF-8 as a rule; one that isn't survives the round trip all the same."""
    return octets(fields, key).decode("utf-8", "surrogateescape")


def truth(fields: Fields, key: bytes) -> bool:
    return number(fields, key, 1) == 1
