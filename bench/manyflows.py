"""Puts many established connections to a VIP into the conntrack of a node, as kube-proxy would have translated them.

`manyflows.py VIP POD COUNT`, on that node; prints how many there are. Their clients are 10.31.192.0 and on, who
aren't there.
"""

from __future__ import annotations

import socket
import struct
import sys
from ipaddress import IPv4Address
from typing import Final

from lbnodeagent.flows.nfnetlink import NESTED, Message, encode
from lbnodeagent.kernel.attributes import attribute

_NEW: Final = 1 << 8
_CREATE, _ACK = 0x400, 0x004
_FIRST_CLIENT: Final = IPv4Address("10.31.192.0")
_PORTS: Final = 50_000
_AT_ONCE: Final = 500
_STATUS: Final = 1 << 1 | 1 << 2 | 1 << 3
"""IPS_SEEN_REPLY, ASSURED, CONFIRMED."""


def _tuple(kind: int, source: bytes, destination: bytes, port: int, destination_port: int) -> bytes:
    addresses = attribute(1 | NESTED, attribute(1, source) + attribute(2, destination))
    ports = attribute(2, struct.pack("!H", port)) + attribute(3, struct.pack("!H", destination_port))
    return attribute(kind | NESTED, addresses + attribute(2 | NESTED, attribute(1, b"\6") + ports))


def connection(number: int, vip: bytes, pod: bytes) -> bytes:
    """One, as ctnetlink takes it: established, translated to port 8080 of the pod."""
    client, port = (_FIRST_CLIENT + number // _PORTS).packed, 1024 + number % _PORTS
    target = attribute(1, struct.pack("!H", 8080)) + attribute(2, struct.pack("!H", 8080))
    return (
        _tuple(1, client, vip, port, 80)
        + _tuple(2, vip, client, 80, port)
        + attribute(3, struct.pack("!I", _STATUS))
        + attribute(7, struct.pack("!I", 86_400))
        + attribute(4 | NESTED, attribute(1 | NESTED, attribute(1, b"\3")))
        + attribute(13 | NESTED, attribute(1, pod) + attribute(2, pod) + attribute(3 | NESTED, target))
    )


def main() -> None:
    vip, pod, count = IPv4Address(sys.argv[1]).packed, IPv4Address(sys.argv[2]).packed, int(sys.argv[3])
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netlink:
        netlink.bind((0, 0))
        for begin in range(0, count, _AT_ONCE):
            end = min(begin + _AT_ONCE, count)
            requests = (
                encode(Message(_NEW, _CREATE | _ACK * (number == end - 1), 2, connection(number, vip, pod)), number)
                for number in range(begin, end)
            )
            netlink.send(b"".join(requests))
            (code,) = struct.unpack_from("=i", netlink.recv(65536), 16)
            if code:
                sys.exit(f"the kernel refuses connection {end}: {code}")
    print(count, flush=True)


if __name__ == "__main__":
    main()
