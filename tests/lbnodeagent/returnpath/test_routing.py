"""Which rules and routes there are to be, and the bytes of their messages, read back by another implementation."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address, ip_network

import pytest
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from lbnodeagent.kernel.messages import MARK
from lbnodeagent.returnpath.routing import (
    PROTOCOL,
    Entry,
    Route,
    Rule,
    decode,
    encode_drop,
    encode_have,
    encode_routes_dump,
    entries_of,
    plan,
)
from lbnodeagent.returnpath.ways import Way
from tests.lbnodeagent.scenes import ETH1

LAN, LAN6 = ip_network("172.30.0.0/24"), ip_network("fd00:172:30::/64")
ROUTER, ROUTER6 = ip_address("172.30.0.254"), ip_address("fe80::1")
WAY = Way(LAN, ETH1, "eth1", ROUTER, (), 1, 0x1000, 0x3000)
WAY6 = Way(LAN6, ETH1, "eth1", ROUTER6, (), 2, 0x2000, 0x3000)
ENTRIES: list[Entry] = [
    Route(79341, LAN, ETH1),
    Route(79341, ip_network("0.0.0.0/0"), ETH1, ROUTER),
    Rule(4, 79341, 0x1000, 0x3000),
    Route(79342, LAN6, ETH1),
    Route(79342, ip_network("::/0"), ETH1, ROUTER6, True),
    Rule(6, 79342, 0x2000, 0x3000),
]


def test_a_way_is_its_subnet_a_default_route_and_a_rule_for_its_mark() -> None:
    assert entries_of([WAY, WAY6]) == ENTRIES


def test_what_is_reached_leaves_nothing_to_do() -> None:
    assert plan(ENTRIES, reversed(ENTRIES)) == ([], [])


def test_rules_go_before_routes_and_come_after_them() -> None:
    going, coming = plan(ENTRIES[:3], ENTRIES[3:])

    assert [type(entry) for entry in going] == [Rule, Route, Route]
    assert coming == ENTRIES[:3]


def test_a_rule_reads_as_it_was_meant() -> None:
    message = fibmsg(encode_have(ENTRIES[2], 7))
    message.decode()

    assert (message["family"], message["action"]) == (socket.AF_INET, 1)
    assert message.get_attr("FRA_TABLE") == 79341
    assert (message.get_attr("FRA_FWMARK"), message.get_attr("FRA_FWMASK")) == (0x1000, 0x3000)
    assert message.get_attr("FRA_PRIORITY") == 7934
    assert message["header"]["type"] == 32
    assert message["header"]["sequence_number"] == 7


def test_a_route_reads_as_it_was_meant() -> None:
    message = rtmsg(encode_have(ENTRIES[1], 7))
    message.decode()

    assert (message["family"], message["dst_len"], message["proto"], message["scope"]) == (2, 0, 80, 0)
    assert message.get_attr("RTA_TABLE") == 79341
    assert (message.get_attr("RTA_OIF"), message.get_attr("RTA_GATEWAY")) == (ETH1, str(ROUTER))
    assert message.get_attr("RTA_DST") is None


def test_our_protocol_is_that_of_our_addresses() -> None:
    assert PROTOCOL == MARK


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_the_kernel_has_of_ours_is_known_again(entry: Entry) -> None:
    """It tells of an entry as it was asked for it."""
    assert list(decode(encode_have(entry, 3) + done(3), 3)) == [entry, 0]
    assert encode_drop(entry, 3)[16:] == encode_have(entry, 3)[16:]


@pytest.mark.parametrize("entry", [Rule(4, 100, 0x1000, 0x1000), Route(254, LAN, ETH1)])
def test_what_is_in_another_table_is_not_ours(entry: Entry) -> None:
    assert list(decode(encode_have(entry, 3), 3)) == []


@pytest.mark.parametrize("entry", [ENTRIES[1], ENTRIES[2]])
def test_what_has_not_our_protocol_is_not_ours(entry: Entry) -> None:
    data = bytearray(encode_have(entry, 3))
    at = 16 + 5 if isinstance(entry, Route) else len(data) - 4
    assert data[at] == PROTOCOL
    data[at] = 4

    assert list(decode(bytes(data), 3)) == []


def test_an_answer_to_an_earlier_question_is_none() -> None:
    assert list(decode(encode_have(ENTRIES[0], 2) + done(2), 3)) == []


def test_what_is_cut_off_or_lies_about_its_length_ends_the_answer() -> None:
    assert list(decode(struct.pack("=IHHII", 4, 32, 0, 3, 0), 3)) == []
    assert list(decode(encode_have(ENTRIES[0], 3)[:20], 3)) == []


def test_of_a_table_our_routes_alone_are_asked_for() -> None:
    message = rtmsg(encode_routes_dump(6, 79341, 1))
    message.decode()

    assert (message["family"], message["proto"], message.get_attr("RTA_TABLE")) == (10, 80, 79341)


def done(sequence: int, code: int = 0) -> bytes:
    return struct.pack("=IHHIIi", 20, 3, 0, sequence, 0, -code)
