"""Pings addresses at a steady pace until SIGTERM, and prints then when each request was sent and answered.

A program of its own, run inside the client's network: ``python -m bench.pinger SECONDS-BETWEEN ADDRESS...``. Every
address gets one request per interval, spread evenly over it. Nothing is printed meanwhile, so that no reader can slow
it. Output: one JSON object per address; times are CLOCK_MONOTONIC, in seconds, null for a request without a reply.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final

from lab.demo.stopwatch import checksum

HEADER: Final = struct.Struct("!BBHHHHI")
"""Type, code, checksum, identifier, sequence (RFC 792, RFC 4443); then which address, and which of its requests."""
LATE: Final = 0.3
"""Seconds for which replies are still taken after the last request."""


class Target:
    """One address, and what became of each request to it."""

    def __init__(self, number: int, address: str, identifier: int) -> None:
        self.address = address
        self.sent: list[float] = []
        self.received: list[float | None] = []
        self._is_ipv6 = isinstance(ip_address(address), IPv6Address)
        self._number = number
        self._identifier = identifier

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if self._is_ipv6 else socket.AF_INET

    def request(self, now: float) -> bytes:
        """The next echo request; the kernel sums ICMPv6 itself."""
        sequence = len(self.sent)
        self.sent.append(now)
        self.received.append(None)
        kind = 128 if self._is_ipv6 else 8
        fields = (self._identifier, sequence & 0xFFFF, self._number, sequence)
        summed = 0 if self._is_ipv6 else checksum(HEADER.pack(kind, 0, 0, *fields))
        return HEADER.pack(kind, 0, summed, *fields)


def reply_of(packet: bytes, family: int, identifier: int) -> tuple[int, int] | None:
    """Which address and which of its requests a packet answers; None for what answers nobody or somebody else."""
    # A raw IPv4 socket gives the IP header too, an IPv6 one does not.
    payload = packet[(packet[0] & 0x0F) * 4 :] if family == socket.AF_INET else packet
    if len(payload) < HEADER.size:
        return None
    kind, _, _, found, _, number, sequence = HEADER.unpack_from(payload)
    if kind != (0 if family == socket.AF_INET else 129) or found != identifier:
        return None
    return number, sequence


def ping(targets: Sequence[Target], interval: float, identifier: int, end: list[int]) -> None:
    """Ping until ``end`` has an entry."""
    with contextlib.ExitStack() as stack:
        sockets = {}
        for family, protocol in ((socket.AF_INET, socket.IPPROTO_ICMP), (socket.AF_INET6, socket.IPPROTO_ICMPV6)):
            if any(target.family == family for target in targets):
                sockets[family] = stack.enter_context(socket.socket(family, socket.SOCK_RAW, protocol))
                sockets[family].setblocking(False)
                sockets[family].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        begin = time.monotonic()
        due = [(begin + interval * number / len(targets), number) for number in range(len(targets))]
        until = float("inf")
        while (now := time.monotonic()) < until:
            if end and until == float("inf"):
                until, due = now + LATE, [(now + 2 * LATE, 0)]
            while due[0][0] <= now:
                at, number = due[0]
                heapq.heapreplace(due, (max(at + interval, now), number))
                target = targets[number]
                with contextlib.suppress(OSError):  # no neighbour yet: the kernel tells of earlier packets here
                    sockets[target.family].sendto(target.request(now), (target.address, 0))
            wait = min(due[0][0], until) - time.monotonic()
            ready, _, _ = select.select(list(sockets.values()), [], [], min(max(0.0, wait), 0.1))
            for one in ready:
                _take_replies(one, targets, identifier)


def _take_replies(one: socket.socket, targets: Sequence[Target], identifier: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            answered = reply_of(one.recv(2048), one.family, identifier)
            if answered is not None and targets[answered[0]].received[answered[1]] is None:
                targets[answered[0]].received[answered[1]] = time.monotonic()


def main() -> None:
    end: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: end.append(number))
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # the client is not what is measured
    identifier = os.getpid() & 0xFFFF
    targets = [Target(number, address, identifier) for number, address in enumerate(sys.argv[2:])]
    print("pinging", flush=True)
    ping(targets, float(sys.argv[1]), identifier, end)
    for target in targets:
        print(json.dumps({"address": target.address, "sent": target.sent, "received": target.received}))


if __name__ == "__main__":
    main()
