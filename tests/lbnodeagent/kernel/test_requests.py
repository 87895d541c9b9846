"""The bytes of our rtnetlink requests, read back by another implementation, and the kernel's answers."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

from lbnodeagent.kernel.requests import NewAddress, decode_answers, encode_delete, encode_new
from lbnodeagent.tables import IfIndex
from purelb.addresses import IPAddress
from tests.lbnodeagent.scenes import VIP, VIP6


def new(vip: IPAddress, *, broadcast: IPAddress | None = None, replaces: bool = False) -> NewAddress:
    return NewAddress(IfIndex(7), vip, 16, 0x200, 18, 0, 80, broadcast, replaces)


@pytest.mark.parametrize(("vip", "family"), [(VIP, socket.AF_INET), (VIP6, socket.AF_INET6)])
def test_a_new_address_reads_as_it_was_meant(vip: IPAddress, family: int) -> None:
    message = ifaddrmsg(encode_new(new(vip), 42))
    message.decode()

    assert (message["family"], message["prefixlen"], message["index"]) == (family, 16, 7)
    assert message["header"]["sequence_number"] == 42
    assert message["header"]["type"] == 20
    assert message.get_attr("IFA_LOCAL") == message.get_attr("IFA_ADDRESS") == str(vip)
    assert message.get_attr("IFA_FLAGS") == 0x200
    assert message.get_attr("IFA_PROTO") == 80
    assert message.get_attr("IFA_BROADCAST") is None
    cache = message.get_attr("IFA_CACHEINFO")
    assert (cache["ifa_valid"], cache["ifa_preferred"]) == (18, 0)


def test_a_broadcast_address_is_carried() -> None:
    message = ifaddrmsg(encode_new(new(VIP, broadcast=VIP), 0))
    message.decode()

    assert message.get_attr("IFA_BROADCAST") == str(VIP)


def test_a_first_placement_must_not_replace_and_a_renewal_must() -> None:
    flags = [struct.unpack_from("=IHH", encode_new(new(VIP, replaces=replaces), 0))[2] for replaces in (False, True)]

    assert flags == [0x1 | 0x4 | 0x400 | 0x200, 0x1 | 0x4 | 0x400 | 0x100]


def test_a_removal_names_the_address_and_its_prefix() -> None:
    message = ifaddrmsg(encode_delete(IfIndex(7), VIP, 16, 3))
    message.decode()

    assert message["header"]["type"] == 21
    assert (message["index"], message["prefixlen"], message.get_attr("IFA_LOCAL")) == (7, 16, str(VIP))


def answer(sequence: int, code: int) -> bytes:
    return struct.pack("=IHHIIi", 36, 2, 0, sequence, 0, -code) + bytes(16)


def test_answers_are_told_apart_by_their_number() -> None:
    data = answer(0, 0) + answer(1, errno.EEXIST)

    assert list(decode_answers(data)) == [(0, 0), (1, errno.EEXIST)]


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 40, answer(0, 0)[:15]])
def test_what_is_no_answer_is_passed_over(data: bytes) -> None:
    assert list(decode_answers(data)) == []
