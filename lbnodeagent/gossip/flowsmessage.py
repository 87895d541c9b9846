"""What a node that goes on serving a VIP's flows tells the VIP's new owner of them, in parts. Pure.

Magic, flags, the sender's name behind its length, the VIP and the sender's address on its subnet behind their IP
version, and how many flows have ended; then flows as in flows/tables.py, those that have ended first. Bytes that can't
be read raise MetaError.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from lbnodeagent.errors import MetaError
from purelb.addresses import IPAddress

MAGIC: Final = b"PL\x01f"
FLOWS_MOST: Final = 10_000
"""In one message: 90 kB, 210 kB over IPv6, whose encryption and reading takes a millisecond."""
_FIRST, _LAST = 0x01, 0x02
_HEAD: Final = 5
"""The bytes of a flow in front of the client's address."""


@dataclass(frozen=True, slots=True)
class FlowsMessage:
    """ "I go on serving these flows of a VIP that is yours; pass on to me what comes for them"."""

    sender: str
    """Kubernetes node name."""
    vip: IPAddress
    server: IPAddress
    """The sender's own address on the VIP's subnet."""
    begun: tuple[bytes, ...] = ()
    """As flows/tables.py has them."""
    ended: tuple[bytes, ...] = ()
    is_first: bool = False
    """What the sender said of the VIP before is void."""
    is_last: bool = False
    """There are no other flows at this moment."""


def encode_flows(message: FlowsMessage) -> list[bytes]:
    """As many payloads as its flows need; at least one."""
    flows = [*message.ended, *message.begun]
    name, ended = message.sender.encode(), len(message.ended)
    payloads = []
    for at in range(0, max(len(flows), 1), FLOWS_MOST):
        flags = _FIRST * (message.is_first and at == 0) | _LAST * (message.is_last and at + FLOWS_MOST >= len(flows))
        head = MAGIC + struct.pack("!BB", flags, len(name)) + name
        addresses = b"".join(struct.pack("!B", one.version) + one.packed for one in (message.vip, message.server))
        part = flows[at : at + FLOWS_MOST]
        count = struct.pack("!H", min(max(ended - at, 0), len(part)))
        payloads.append(head + addresses + count + b"".join(part))
    return payloads


def is_of_flows(payload: bytes) -> bool:
    """Whether that is such a message, readable or not."""
    return payload[: len(MAGIC)] == MAGIC


def decode_flows(payload: bytes) -> FlowsMessage | None:
    """None for a message of another kind. Raises MetaError."""
    if not is_of_flows(payload):
        return None
    try:
        flags, size = struct.unpack_from("!BB", payload, len(MAGIC))
        at = len(MAGIC) + 2
        sender = payload[at : at + size].decode()
        vip, at = _address(payload, at + size)
        server, at = _address(payload, at)
        (ended,) = struct.unpack_from("!H", payload, at)
    except (struct.error, UnicodeDecodeError) as error:
        raise MetaError(f"a message of flows that can't be read: {error}") from error
    flows = _flows(payload[at + 2 :], _HEAD + len(vip.packed))
    if not size or server.version != vip.version or ended > len(flows) or len(flows) > FLOWS_MOST:
        raise MetaError("a message of flows that contradicts itself")
    is_first, is_last = bool(flags & _FIRST), bool(flags & _LAST)
    return FlowsMessage(sender, vip, server, tuple(flows[ended:]), tuple(flows[:ended]), is_first, is_last)


def _address(payload: bytes, at: int) -> tuple[IPAddress, int]:
    version = payload[at] if at < len(payload) else 0
    size = {4: 4, 6: 16}.get(version)
    if size is None or len(payload) < at + 1 + size:
        raise MetaError("a message of flows without its addresses")
    packed = payload[at + 1 : at + 1 + size]
    return (IPv4Address(packed) if size == 4 else IPv6Address(packed)), at + 1 + size


def _flows(data: bytes, size: int) -> Sequence[bytes]:
    if len(data) % size:
        raise MetaError("a message of flows that ends within one")
    return list(_cut(data, size))


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))
