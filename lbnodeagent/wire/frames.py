"""ARP and NDP frames <-> values: gratuitous ARP (RFC 826, RFC 5227), neighbour advertisements (RFC 4861). Pure.

A frame here is a whole Ethernet frame without FCS. Decoders raise FrameError only. It knows no socket and no VIP table.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal

from lbnodeagent.errors import FrameError
from lbnodeagent.tables import Mac

BROADCAST: Final = Mac(b"\xff" * 6)
NOBODY: Final = Mac(b"\x00" * 6)
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV6: Final = 0x86DD
ALL_NODES: Final = IPv6Address("ff02::1")
_ALL_NODES_MAC: Final = Mac(bytes.fromhex("333300000001"))  # RFC 2464 section 7
_MINIMUM: Final = 60
"""Bytes of the shortest Ethernet frame without FCS; shorter ones are padded by some NICs only."""

_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_NA = struct.Struct("!BBHI16s")

_ICMPV6: Final = 58
_NEIGHBOUR_SOLICITATION: Final = 135
_NEIGHBOUR_ADVERTISEMENT: Final = 136
_OVERRIDE: Final = 0x20000000
_SOLICITED: Final = 0x40000000
_TARGET_LINK_LAYER_ADDRESS: Final = 2


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet for IPv4 over Ethernet (RFC 826)."""

    operation: Literal["request", "reply"]
    sender_mac: Mac
    sender: IPv4Address
    target_mac: Mac
    target: IPv4Address


@dataclass(frozen=True, slots=True)
class NeighbourAdvertisement:
    """RFC 4861 section 4.4, with the target link-layer address option."""

    target: IPv6Address
    mac: Mac | None
    is_override: bool
    is_solicited: bool


def encode_arp(arp: Arp, destination: Mac) -> bytes:
    """The Ethernet frame of an ARP packet."""
    packet = _ARP.pack(
        1,
        0x0800,
        6,
        4,
        1 if arp.operation == "request" else 2,
        arp.sender_mac,
        arp.sender.packed,
        arp.target_mac,
        arp.target.packed,
    )
    return (_ETHERNET.pack(destination, arp.sender_mac, ETHERTYPE_ARP) + packet).ljust(_MINIMUM, b"\0")


def decode_arp(frame: bytes) -> Arp:
    """Read an ARP frame. Raises FrameError."""
    if len(frame) < _ETHERNET.size + _ARP.size or frame[12:14] != b"\x08\x06":
        raise FrameError("not an ARP frame")
    hardware, protocol, hardware_size, size, operation, *addresses = _ARP.unpack_from(frame, _ETHERNET.size)
    if (hardware, protocol, hardware_size, size) != (1, 0x0800, 6, 4) or operation not in (1, 2):
        raise FrameError("not an ARP request or reply for IPv4 over Ethernet")
    return Arp(
        "request" if operation == 1 else "reply",
        Mac(addresses[0]),
        IPv4Address(addresses[1]),
        Mac(addresses[2]),
        IPv4Address(addresses[3]),
    )


def gratuitous_arp(vip: IPv4Address, mac: Mac) -> tuple[bytes, bytes]:
    """The two forms in which hosts accept news: request (RFC 5227 section 2.3, the ARP announcement) and reply.

    The reply carries our MAC as its target's too: Linux takes a broadcast reply as gratuitous only so.
    """
    request = Arp("request", mac, vip, NOBODY, vip)
    reply = Arp("reply", mac, vip, mac, vip)
    return encode_arp(request, BROADCAST), encode_arp(reply, BROADCAST)


def arp_probe(vip: IPv4Address, mac: Mac) -> bytes:
    """Asks whether anybody has ``vip``, without claiming it (RFC 5227 section 2.1.1)."""
    return encode_arp(Arp("request", mac, IPv4Address(0), NOBODY, vip), BROADCAST)


def neighbour_probe(vip: IPv6Address, mac: Mac) -> bytes:
    """The same for IPv6: the solicitation of duplicate address detection (RFC 4862 section 5.4.2)."""
    group = solicited_node(vip)
    nobody = IPv6Address(0)
    body = _NA.pack(_NEIGHBOUR_SOLICITATION, 0, 0, 0, vip.packed)
    checksum = icmpv6_checksum(nobody, group, body)
    body = body[:2] + struct.pack("!H", checksum) + body[4:]
    header = _IPV6.pack(6 << 28, len(body), _ICMPV6, 255, nobody.packed, group.packed)
    return _ETHERNET.pack(b"\x33\x33" + group.packed[-4:], mac, ETHERTYPE_IPV6) + header + body


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The solicited-node multicast address (RFC 4291 section 2.7.1)."""
    return IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + address.packed[-3:])


def claim_of(frame: bytes) -> tuple[IPv4Address | IPv6Address, Mac] | None:
    """The address that a frame's sender says to have, and its MAC; None if it says none. Raises FrameError."""
    if frame[12:14] == b"\x08\x06":
        arp = decode_arp(frame)
        return (arp.sender, arp.sender_mac) if int(arp.sender) else None
    advertisement = decode_advertisement(frame)
    return (advertisement.target, advertisement.mac or Mac(frame[6:12]))


def unsolicited_advertisement(vip: IPv6Address, mac: Mac) -> bytes:
    """To all nodes, with the override flag, from the address itself (RFC 4861 section 7.2.6)."""
    option = struct.pack("!BB6s", _TARGET_LINK_LAYER_ADDRESS, 1, mac)
    body = _NA.pack(_NEIGHBOUR_ADVERTISEMENT, 0, 0, _OVERRIDE, vip.packed) + option
    checksum = icmpv6_checksum(vip, ALL_NODES, body)
    body = body[:2] + struct.pack("!H", checksum) + body[4:]
    header = _IPV6.pack(6 << 28, len(body), _ICMPV6, 255, vip.packed, ALL_NODES.packed)
    return _ETHERNET.pack(_ALL_NODES_MAC, mac, ETHERTYPE_IPV6) + header + body


def decode_advertisement(frame: bytes) -> NeighbourAdvertisement:
    """Read the frame of a neighbour advertisement that passes RFC 4861 section 7.1.2. Raises FrameError."""
    start = _ETHERNET.size + _IPV6.size
    if len(frame) < start + _NA.size or frame[12:14] != b"\x86\xdd":
        raise FrameError("not an IPv6 frame long enough for a neighbour advertisement")
    _, length, next_header, hop_limit, source, destination = _IPV6.unpack_from(frame, _ETHERNET.size)
    body = frame[start : start + length]
    if next_header != _ICMPV6 or len(body) < _NA.size or body[0] != _NEIGHBOUR_ADVERTISEMENT:
        raise FrameError("not a neighbour advertisement")
    if hop_limit != 255 or body[1] != 0:
        raise FrameError("a neighbour advertisement that was forwarded, or of an unknown code")
    if icmpv6_checksum(IPv6Address(source), IPv6Address(destination), body) != 0:
        raise FrameError("a neighbour advertisement with a wrong checksum")
    _, _, _, flags, target = _NA.unpack_from(body)
    return NeighbourAdvertisement(
        IPv6Address(target),
        _link_layer_address(body[_NA.size :]),
        bool(flags & _OVERRIDE),
        bool(flags & _SOLICITED),
    )


def _link_layer_address(options: bytes) -> Mac | None:
    """The target link-layer address among ``options`` (RFC 4861 section 4.6)."""
    while len(options) >= 2:
        kind, size = options[0], options[1] * 8
        if size == 0 or size > len(options):
            raise FrameError("a neighbour discovery option of an impossible length")
        if kind == _TARGET_LINK_LAYER_ADDRESS and size == 8:
            return Mac(options[2:8])
        options = options[size:]
    return None


def icmpv6_checksum(source: IPv6Address, destination: IPv6Address, body: bytes) -> int:
    """RFC 4443 section 2.3; of a body that holds its checksum already, 0."""
    pseudo = source.packed + destination.packed + struct.pack("!II", len(body), _ICMPV6)
    padded = pseudo + body + b"\0" * (len(body) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def format_mac(mac: bytes) -> str:
    """As ``ip`` and ``arp`` print it."""
    return mac.hex(":")
