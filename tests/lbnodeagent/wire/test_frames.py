"""Frames against the layouts of the RFCs, and against frames captured from Linux 6.18 and arping 2.23 on a veth."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbnodeagent.errors import FrameError
from lbnodeagent.tables import Mac
from lbnodeagent.wire.frames import (
    BROADCAST,
    Arp,
    decode_advertisement,
    decode_arp,
    encode_arp,
    gratuitous_arp,
    icmpv6_checksum,
    unsolicited_advertisement,
)

MAC = Mac(bytes.fromhex("5254003c88cb"))
VIP = IPv4Address("10.31.188.64")
VIP6 = IPv6Address("fd00:10:31::188:64")


def test_the_request_form_is_rfc_5227s_announcement() -> None:
    request, _ = gratuitous_arp(VIP, MAC)

    assert (
        request.hex()
        == (
            "ffffffffffff"
            "5254003c88cb"
            "0806"  # to all, from the NIC, ARP
            "0001"
            "0800"
            "06"
            "04"
            "0001"  # Ethernet, IPv4, their lengths, request
            "5254003c88cb"
            "0a1fbc40"  # sender: the NIC has the VIP
            "000000000000"
            "0a1fbc40"  # target: unknown, the VIP
        )
        + "00" * 18
    )  # padding to 60 bytes


def test_the_reply_form_is_one_that_linux_takes_as_gratuitous() -> None:
    """arp_is_garp() in net/ipv4/arp.c: sender and target address are equal, and in a reply their MACs too."""
    _, reply = gratuitous_arp(VIP, MAC)

    assert reply[:14].hex() == "ffffffffffff5254003c88cb0806"
    assert decode_arp(reply) == Arp("reply", MAC, VIP, MAC, VIP)


def test_the_advertisement_is_rfc_4861s_with_the_override_flag() -> None:
    frame = unsolicited_advertisement(VIP6, MAC)

    assert frame[:54].hex() == (
        "333300000001"
        "5254003c88cb"
        "86dd"  # RFC 2464: multicast MAC of ff02::1
        "60000000"
        "0020"
        "3a"
        "ff"  # 32 bytes of ICMPv6, hop limit 255
        "fd000010003100000000000001880064"
        "ff020000000000000000000000000001"
    )
    assert frame[54:56].hex() == "8800"  # neighbour advertisement, code 0
    assert frame[58:].hex() == (
        "20000000"  # override, neither router nor solicited
        "fd000010003100000000000001880064"
        "0201"
        "5254003c88cb"  # target link-layer address
    )
    assert icmpv6_checksum(VIP6, IPv6Address("ff02::1"), frame[54:]) == 0


KERNELS_MAC = Mac(bytes.fromhex("021122334455"))
KERNELS_ARP = bytes.fromhex("ffffffffffff021122334455080600010800060400010211223344550a1fbc400000000000000a1fbc40")
"""The kernel's own, with arp_notify=1 when the link came up."""
ARPINGS_REPLY = bytes.fromhex(
    "ffffffffffff021122334455080600010800060400020211223344550a1fbc40ffffffffffff0a1fbc40"
).ljust(60, b"\0")
"""``arping -P -U``."""
KERNELS_ADVERTISEMENT = bytes.fromhex(
    "33330000000102112233445586dd"
    "6000000000203aff"
    "fd000010003100000000000001880064"
    "ff020000000000000000000000000001"
    "8800efaa20000000"
    "fd000010003100000000000001880064"
    "0201021122334455"
)
"""The kernel's own, with ndisc_notify=1 when the link came up."""


def test_our_announcement_is_the_one_that_the_kernel_itself_sends() -> None:
    request, _ = gratuitous_arp(VIP, KERNELS_MAC)

    assert request == KERNELS_ARP.ljust(60, b"\0")


def test_our_advertisement_is_the_one_that_the_kernel_itself_sends() -> None:
    assert unsolicited_advertisement(VIP6, KERNELS_MAC) == KERNELS_ADVERTISEMENT


def test_captured_frames_are_read() -> None:
    assert decode_arp(ARPINGS_REPLY) == Arp("reply", KERNELS_MAC, VIP, BROADCAST, VIP)
    read = decode_advertisement(KERNELS_ADVERTISEMENT)
    assert (read.target, read.mac, read.is_override, read.is_solicited) == (VIP6, KERNELS_MAC, True, False)


def test_our_own_advertisement_is_read_back() -> None:
    read = decode_advertisement(unsolicited_advertisement(VIP6, MAC))

    assert (read.target, read.mac, read.is_override, read.is_solicited) == (VIP6, MAC, True, False)


@pytest.mark.parametrize(
    ("place", "value"),
    [(21, 64), (55, 1), (56, 0xEE), (20, 17), (78, 0)],
    ids=["hop limit", "code", "checksum", "next header", "option"],
)
def test_an_advertisement_that_rfc_4861_refuses_is_refused(place: int, value: int) -> None:
    frame = bytearray(unsolicited_advertisement(VIP6, MAC))
    frame[place] = value

    with pytest.raises(FrameError):
        decode_advertisement(bytes(frame))


@given(
    st.builds(
        Arp,
        st.sampled_from(["request", "reply"]),
        st.binary(min_size=6, max_size=6).map(Mac),
        st.ip_addresses(v=4),
        st.binary(min_size=6, max_size=6).map(Mac),
        st.ip_addresses(v=4),
    )
)
def test_arp_is_decoded_to_what_was_encoded(arp: Arp) -> None:
    assert decode_arp(encode_arp(arp, BROADCAST)) == arp


@given(st.binary(max_size=120))
def test_garbage_raises_frame_errors_only(data: bytes) -> None:
    for head in (b"", bytes(12) + b"\x08\x06", bytes(12) + b"\x86\xdd"):
        for decode in (decode_arp, decode_advertisement):
            try:
                decode(head + data)
            except FrameError:
                continue
