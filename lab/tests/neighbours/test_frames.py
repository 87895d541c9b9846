"""What strangers send, byte by byte where it matters."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address

from lab.neighbours.frames import claim, is_gossip, junk, random_mac, sent_by

MAC = bytes.fromhex("020000000001")
OTHER = bytes.fromhex("020000000002")


def sum16(data: bytes) -> int:
    """0xFFFF for data that holds a right checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_claim_is_a_gratuitous_arp_reply() -> None:
    frame = claim(IPv4Address("192.0.2.7"), MAC)

    assert frame[:14] == b"\xff" * 6 + MAC + b"\x08\x06"
    assert frame[14:42].hex() == "0001080006040002" + "020000000001c0000207" * 2
    assert len(frame) == 60


def test_a_claim_of_an_ipv6_address_is_an_advertisement_that_overrides() -> None:
    address = IPv6Address("2001:db8::7")
    frame = claim(address, MAC)

    assert frame[:14] == bytes.fromhex("333300000001") + MAC + b"\x86\xdd"
    assert frame[21] == 255, "nobody believes one that a router passed on (RFC 4861 section 7.1.2)"
    assert frame[54:56] == b"\x88\x00"
    assert frame[58] == 0x20
    assert frame[62:78] == address.packed
    assert frame[78:] == b"\x02\x01" + MAC
    assert sum16(frame[22:54] + (32).to_bytes(4, "big") + (58).to_bytes(4, "big") + frame[54:]) == 0xFFFF


def test_no_two_macs_of_a_flood_are_alike() -> None:
    chance = random.Random(1)

    macs = {random_mac(chance) for _ in range(1000)}

    assert len(macs) == 1000
    assert all(mac[0] == 2 for mac in macs)


def test_junk_goes_to_the_gossips_port() -> None:
    targets = [(OTHER, IPv4Address("192.0.2.1"))]

    frame = junk((MAC, IPv4Address("192.0.2.9")), targets, random.Random(1))

    assert is_gossip(frame)
    assert sum16(frame[14:34]) == 0xFFFF
    assert frame[:12] == OTHER + MAC
    assert not is_gossip(frame[:36] + b"\x00\x35" + frame[38:])
    assert not is_gossip(frame[:20] + b"\x20" + frame[21:]), "a fragment"
    assert not is_gossip(claim(IPv4Address("192.0.2.7"), MAC))
    assert not is_gossip(b"")


def test_a_recorded_packet_is_sent_again_with_the_checksum_that_a_real_wire_shows() -> None:
    recorded = junk((OTHER, IPv4Address("192.0.2.9")), [(OTHER, IPv4Address("192.0.2.1"))], random.Random(2))

    again = sent_by(recorded, MAC)

    assert again[6:12] == MAC
    assert (again[:6], again[12:40], again[42:]) == (recorded[:6], recorded[12:40], recorded[42:])
    length = len(again) - 34
    assert sum16(again[26:34] + b"\x00\x11" + length.to_bytes(2, "big") + again[34:]) == 0xFFFF


def test_an_ipv6_packet_likewise() -> None:
    datagram = bytes.fromhex("1efe1efe000b0000") + b"hey"
    header = bytes.fromhex("60000000000b11ff") + IPv6Address("fd00::1").packed + IPv6Address("fd00::2").packed
    recorded = OTHER + OTHER + b"\x86\xdd" + header + datagram

    assert is_gossip(recorded)
    again = sent_by(recorded, MAC)

    assert sum16(again[22:54] + (11).to_bytes(4, "big") + (17).to_bytes(4, "big") + again[54:]) == 0xFFFF
