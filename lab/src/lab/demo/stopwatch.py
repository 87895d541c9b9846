"""Sends ICMP echo requests to one address at a steady pace and prints when each reply came.

A program of its own, run inside the client's network: `python -m lab.demo.stopwatch ADDRESS SECONDS-BETWEEN`.
Output: one line for each reply, `SENT RECEIVED`, both CLOCK_MONOTONIC in seconds, which is one clock for all
processes of a machine. It ends when its output is closed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass

_HEADER = struct.Struct("!BBHHHd")  # type, code, checksum, identifier, sequence (RFC 792, RFC 4443), time sent
_PROTOCOLS = {4: (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)}


def checksum(data: bytes) -> int:
    """Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(kind: int, identifier: int, sequence: int, sent: float) -> bytes:
    """An echo request that carries its own time of sending; the kernel sums ICMPv6 itself."""
    blank = _HEADER.pack(kind, 0, 0, identifier, sequence, sent)
    return _HEADER.pack(kind, 0, checksum(blank), identifier, sequence, sent)


def parse_reply(packet: bytes, version: int, identifier: int) -> float | None:
    """When the request of this reply was sent; None for packets that answer nobody or somebody else."""
    # A raw IPv4 socket gives the IP header too, an IPv6 one does not.
    payload = packet[(packet[0] & 0x0F) * 4 :] if version == 4 else packet
    if len(payload) < _HEADER.size:
        return None
    kind, _, _, found, _, sent = _HEADER.unpack_from(payload)
    if kind != _PROTOCOLS[version][3] or found != identifier:
        return None
    return float(sent)


def run(address: str, interval: float) -> None:
    """Ping until nobody reads."""
    version = ipaddress.ip_address(address).version
    family, protocol, request, _ = _PROTOCOLS[version]
    identifier = os.getpid() & 0xFFFF
    with socket.socket(family, socket.SOCK_RAW, protocol) as ping:
        ping.setblocking(False)
        sequence, due = 0, time.monotonic()
        while True:
            now = time.monotonic()
            if now >= due:
                sequence, due = (sequence + 1) & 0xFFFF, max(due + interval, now)
                with contextlib.suppress(OSError):  # no neighbour yet: the kernel tells of earlier packets here
                    ping.sendto(echo_request(request, identifier, sequence, now), (address, 0))
            ready, _, broken = select.select([ping], [], [sys.stdout.fileno()], max(0.0, due - time.monotonic()))
            if broken:
                return
            for one in ready:
                try:
                    sent = parse_reply(one.recv(2048), version, identifier)
                except OSError:
                    continue
                if sent is not None:
                    print(f"{sent:.6f} {time.monotonic():.6f}", flush=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """Times on CLOCK_MONOTONIC, in seconds."""

    sent: float
    received: float


class Replies:
    """Reads what a stopwatch prints, from the file descriptor of its output."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""

    def next(self, deadline: float) -> Reply | None:
        """The next reply; None at the deadline (CLOCK_MONOTONIC) or when the stopwatch has ended."""
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(self._fd, 65536) if ready else b""
            if not part:
                return None
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        sent, received = line.split()
        return Reply(float(sent), float(received))


def main() -> None:
    try:
        run(sys.argv[1], float(sys.argv[2]))
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # stdout is gone; flushing it at exit would complain


if __name__ == "__main__":
    main()
