"""Frames that a stranger sends: claims of an address, junk for the gossip, and what it recorded. Pure.

A frame is a whole Ethernet frame without FCS, a MAC six bytes. Owns their layout (RFC 826, RFC 4861, RFC 791, RFC 768)
and the checksums; made apart from the agent's own code, which they are to test.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from purelb.names import GOSSIP_PORT

_BROADCAST: Final = b"\xff" * 6
_ALL_NODES: Final = IPv6Address("ff02::1")
_ALL_NODES_MAC: Final = bytes.fromhex("333300000001")
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_REPLY: Final = 2
_UDP, _ICMPV6 = 17, 58
_ADVERTISEMENT, _OVERRIDE, _TARGET_MAC = 136, 0x20000000, 2
_MINIMUM: Final = 60
_GOSSIP_TYPES: Final = (0, 1, 2, 3, 4, 5, 7, 9, 11, 12)
"""First bytes of memberlist's messages: junk that only decoding shows to be junk."""


def random_mac(chance: random.Random) -> bytes:
    """One that no vendor gave out (IEEE 802, locally administered)."""
    return b"\x02" + chance.randbytes(5)


def claim(address: IPv4Address | IPv6Address, mac: bytes) -> bytes:
    """To all: the address is at this MAC. A gratuitous ARP reply, or an unsolicited neighbour advertisement."""
    if isinstance(address, IPv4Address):
        packet = struct.pack("!HHBBH", 1, _IPV4, 6, 4, _REPLY) + (mac + address.packed) * 2
        return (_BROADCAST + mac + _ARP.to_bytes(2, "big") + packet).ljust(_MINIMUM, b"\0")
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + address.packed + bytes((_TARGET_MAC, 1)) + mac
    sum16 = _checksum(_pseudo_header(address.packed, _ALL_NODES.packed, _ICMPV6, len(body)) + body)
    body = body[:2] + sum16.to_bytes(2, "big") + body[4:]
    header = struct.pack("!IHBB", 0x60000000, len(body), _ICMPV6, 255) + address.packed + _ALL_NODES.packed
    return _ALL_NODES_MAC + mac + _IPV6.to_bytes(2, "big") + header + body


def junk(
    source: tuple[bytes, IPv4Address], targets: Sequence[tuple[bytes, IPv4Address]], chance: random.Random
) -> bytes:
    """To the gossip's port of one of these (MAC, address): a message type, and noise."""
    mac, address = chance.choice(targets)
    payload = bytes((chance.choice(_GOSSIP_TYPES),)) + chance.randbytes(chance.randrange(1, 200))
    datagram = struct.pack("!HHHH", GOSSIP_PORT, GOSSIP_PORT, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(datagram), 0, 64, _UDP, 0) + source[1].packed + address.packed
    header = header[:10] + _checksum(header).to_bytes(2, "big") + header[12:]
    return mac + source[0] + _IPV4.to_bytes(2, "big") + header + datagram


def is_gossip(frame: bytes) -> bool:
    """Whether it is a UDP packet to the gossip's port; fragments and IPv6 with more headers aren't."""
    found = _datagram(frame)
    return found is not None and int.from_bytes(frame[found + 2 : found + 4], "big") == GOSSIP_PORT


def sent_by(frame: bytes, mac: bytes) -> bytes:
    """A gossip packet as another host sends it again: its own MAC, and all else as it was.

    With the UDP checksum that was on the wire: a virtual link has frames whose checksum nobody computed yet.
    """
    start = _datagram(frame)
    assert start is not None, "it is gossip"
    length = int.from_bytes(frame[start + 4 : start + 6], "big")
    datagram = frame[start : start + 6] + bytes(2) + frame[start + 8 : start + length]
    addresses = frame[26:34] if frame[12:14] == _IPV4.to_bytes(2, "big") else frame[22:54]
    half = len(addresses) // 2
    sum16 = _checksum(_pseudo_header(addresses[:half], addresses[half:], _UDP, length) + datagram) or 0xFFFF
    return frame[:6] + mac + frame[12:start] + datagram[:6] + sum16.to_bytes(2, "big") + datagram[8:]


def _datagram(frame: bytes) -> int | None:
    """Where the UDP header of a frame begins."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == _IPV4 and len(frame) >= 42 and frame[23] == _UDP and not frame[20] & 0x3F and not frame[21]:
        return 14 + 4 * (frame[14] & 0x0F)
    if kind == _IPV6 and len(frame) >= 62 and frame[20] == _UDP:
        return 54
    return None


def _pseudo_header(source: bytes, target: bytes, protocol: int, length: int) -> bytes:
    """RFC 768; for IPv6 RFC 8200 section 8.1."""
    tail = struct.pack("!BBH", 0, protocol, length) if len(source) == 4 else struct.pack("!II", length, protocol)
    return source + target + tail


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
