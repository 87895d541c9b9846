"""Our rtnetlink requests, judged by the bytes that pyroute2's own AsyncIPRoute sends for the same wish."""

from __future__ import annotations

import errno
import socket
import struct
import subprocess
import sys
from ipaddress import ip_network

import pytest

from lbnodeagent.kernel import rtnetlink
from lbnodeagent.kernel.messages import marked_route
from lbnodeagent.tables import IfIndex

NETWORK, NETWORK6, INDEX = ip_network("10.9.0.0/24"), ip_network("fd00::/64"), IfIndex(2)

# Sequence numbers are 1 and ports 0 here.
ROUTE = "3400000018000505010000000000000002180000fe50fd0100000000080001000a090000080004000200000008000600901f0000"
NO_ROUTE = "3400000019000500010000000000000002180000fe50fd0000000000080001000a090000080004000200000008000600901f0000"
ROUTE6 = (
    "480000001800050501000000000000000a400000fe500001000000001400"
    "0100fd000000000000000000000000000000080004000200000008000600901f00000800170014000000"
)
LINK = (
    "400000001000050601000000000000000000000000000000000000000000"
    "00000d0003006b7562652d6c623000000000100012000a00010064756d6d79000000"
)
UP_AND_NAMED = "30000000100005000100000000000000000000000700000001000000010000000d001400707572656c62207800000000"
UP = "2000000010000500010000000000000000000000070000000100000001000000"
GONE = "2000000011000500010000000000000000000000070000000000000000000000"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (rtnetlink.set_route(NETWORK, INDEX, 0, 1), ROUTE),
        (rtnetlink.delete_route(NETWORK, INDEX, 1), NO_ROUTE),
        (rtnetlink.set_route(NETWORK6, INDEX, 20, 1), ROUTE6),
        (rtnetlink.create_link("kube-lb0", "dummy", 1), LINK),
        (rtnetlink.set_link_up(IfIndex(7), 1, "purelb x"), UP_AND_NAMED),
        (rtnetlink.set_link_up(IfIndex(7), 1), UP),
        (rtnetlink.delete_link(IfIndex(7), 1), GONE),
        (rtnetlink.all_links(), "2000000012000103000000000000000000000000000000000000000000000000"),
        (rtnetlink.all_addresses(), "180000001600010300000000000000000000000000000000"),
        (rtnetlink.all_routes(socket.AF_INET), "1c0000001a000103000000000000000002000000fe00000000000000"),
        (rtnetlink.all_neighbours(socket.AF_INET), "1c0000001e0001030000000000000000020000000000000000000000"),
    ],
)
def test_a_request_is_what_another_implementation_makes_of_it(request_: bytes, expected: str) -> None:
    assert request_.hex() == expected


def test_what_a_socket_gave_is_cut_into_messages() -> None:
    route, link = bytes.fromhex(ROUTE), bytes.fromhex(UP_AND_NAMED)

    assert [raw.data for raw in rtnetlink.messages_in(route + link)] == [route, link]
    assert [raw.data for raw in rtnetlink.messages_in(route + link[:-1])] == [route]
    assert list(rtnetlink.messages_in(bytes(15))) == []
    assert list(rtnetlink.messages_in(bytes(64))) == []


def test_a_route_of_ours_is_known_before_it_is_read_and_after() -> None:
    (raw,) = rtnetlink.messages_in(bytes.fromhex(ROUTE6))
    (message,) = rtnetlink.read([raw])

    assert raw.is_marked_route
    assert not raw.is_default_route
    assert message["event"] == "RTM_NEWROUTE"
    assert marked_route(message) == (INDEX, NETWORK6)


def test_a_route_with_our_mark_in_another_table_is_not_one_of_an_aggregate() -> None:
    data = bytearray.fromhex(ROUTE)
    data[20] = 80

    (message,) = rtnetlink.read(rtnetlink.messages_in(bytes(data)))

    assert marked_route(message) is None


def test_the_end_of_an_answer_says_how_it_went() -> None:
    done = struct.pack("=IHHIIi", 20, 3, 0x2 | 0x10, 0, 0, 0)
    refused = struct.pack("=IHHIIi", 36, 2, 0, 0, 0, -errno.EPERM) + bytes(16)

    ends = list(rtnetlink.messages_in(done + refused))

    assert [end.is_end for end in ends] == [True, True]
    assert [end.errno for end in ends] == [0, errno.EPERM]
    assert [end.is_interrupted for end in ends] == [True, False]


def test_what_nobody_knows_and_half_a_message_are_left_out() -> None:
    unknown = struct.pack("=IHHII", 16, 99, 0, 0, 0)
    halves = [struct.pack("=IHHII", 16, kind, 0, 0, 0) for kind in (16, 20, 24)]

    assert list(rtnetlink.read(rtnetlink.messages_in(b"".join([unknown, *halves])))) == []


def test_whoever_needs_all_of_pyroute2_in_the_same_program_gets_it() -> None:
    code = """
import sys
from lbnodeagent.kernel import light_pyroute2
print("pyroute2.iproute" in sys.modules)
from pyroute2 import IPRoute
from pyroute2.netlink.rtnl.rtmsg import rtmsg
print(rtmsg is light_pyroute2.rtmsg, len(IPRoute().get_links()) > 0)
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True", "True"]
