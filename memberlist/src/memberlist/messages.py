"""One frozen dataclass per message of the wire, and the values they share.

Owns the vocabulary (memberlist `net.go`, `state.go`); knows neither bytes nor rules.  Addresses stay raw here, because
members are compared by them and they are passed on as they came; `Endpoint` is the parsed form.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

META_MAX = 512
"""Bytes of metadata that a member may announce about itself (memberlist `MetaMaxSize`)."""
LABEL_MAX = 255
USER_MESSAGE_MAX = 20 << 20
USER_STATE_MAX = 20 << 20
PUSH_PULL_NODES_MAX = 1 << 20


class MessageType(enum.IntEnum):
    """The first byte of a message."""

    PING = 0
    INDIRECT_PING = 1
    ACK = 2
    SUSPECT = 3
    ALIVE = 4
    DEAD = 5
    PUSH_PULL = 6
    COMPOUND = 7
    USER = 8
    COMPRESS = 9
    ENCRYPT = 10
    NACK = 11
    HAS_CRC = 12
    ERROR = 13
    LABEL = 244


class State(enum.IntEnum):
    """What is believed of a member; the numbers are those of push/pull."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


class Endpoint(NamedTuple):
    """Where to send: UDP and TCP share the port."""

    address: Address
    port: int


def endpoint(raw: bytes, port: int) -> Endpoint | None:
    """The endpoint that raw address bytes mean, IPv4-mapped ones unmapped; None for a length that is no address."""
    if len(raw) == 4:
        return Endpoint(ipaddress.IPv4Address(raw), port)
    if len(raw) == 16:
        address = ipaddress.IPv6Address(raw)
        return Endpoint(address.ipv4_mapped or address, port)
    return None


@dataclass(frozen=True, slots=True)
class Ping:
    sequence: int
    node: str
    source_address: bytes = b""
    source_port: int = 0
    source_node: str = ""


@dataclass(frozen=True, slots=True)
class IndirectPing:
    sequence: int
    target: bytes
    port: int
    node: str
    nack: bool = False
    source_address: bytes = b""
    source_port: int = 0
    source_node: str = ""


@dataclass(frozen=True, slots=True)
class Ack:
    sequence: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Nack:
    sequence: int


@dataclass(frozen=True, slots=True)
class Suspect:
    incarnation: int
    node: str
    source: str


@dataclass(frozen=True, slots=True)
class Dead:
    incarnation: int
    node: str
    source: str
    """Who says so; the node itself, if it leaves."""


@dataclass(frozen=True, slots=True)
class Alive:
    incarnation: int
    node: str
    address: bytes
    port: int
    meta: bytes
    versions: bytes


@dataclass(frozen=True, slots=True)
class User:
    payload: bytes


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """The acceptor of a stream could not read it (stream only)."""

    error: str


@dataclass(frozen=True, slots=True)
class NodeState:
    """One line of a push/pull."""

    name: str
    address: bytes
    port: int
    meta: bytes
    incarnation: int
    state: State
    versions: bytes


@dataclass(frozen=True, slots=True)
class PushPull:
    """Everything that the sender knows (stream only)."""

    join: bool
    nodes: tuple[NodeState, ...]
    user_state: bytes = b""


Claim = Alive | Suspect | Dead
PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead | User
StreamMessage = Ping | Ack | User | PushPull | ErrorReply
Message = PacketMessage | PushPull | ErrorReply
