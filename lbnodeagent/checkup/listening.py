"""Hears who of other subnets sends to a VIP by a NIC (AF_PACKET). Owns its sockets, for as long as it listens.

The kernel passes on only what comes from another subnet, and the first packet ends it: on a busy NIC that is at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from lbnodeagent.checkup.clients import Client
from lbnodeagent.checkup.facts import Nic

WAIT: Final = 1.0
"""Seconds for which it listens."""
MOST: Final = 256
"""Packets that are looked at: what comes from far for the node's own addresses is among them."""
SUBNETS: Final = 16
"""Of a NIC that are looked at: jumps of a filter have eight bits."""
_ETHERTYPE_IPV4: Final = 0x0800
_SO_ATTACH_FILTER: Final = 26
_SOURCE, _DESTINATION = 26, 30
"""Where a frame has its addresses."""
_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
"""BPF_LD|W|ABS, ALU|AND|K, JMP|JEQ|K, RET|K (linux/bpf_common.h)."""
_KEPT: Final = 64
"""Bytes of a frame that are passed on."""


async def far_clients(nics: Iterable[Nic], is_vip: Callable[[IPv4Address], bool]) -> dict[str, Client]:
    """For each of these NICs one that came in by it, where any did. ``is_vip``: whether an address here is one."""
    heard = await asyncio.gather(*(_heard(nic, is_vip) for nic in nics))
    return {nic: client for nic, client in heard if client is not None}


async def _heard(nic: Nic, is_vip: Callable[[IPv4Address], bool]) -> tuple[str, Client | None]:
    subnets = [subnet for subnet in nic.subnets if isinstance(subnet, IPv4Network)][:SUBNETS]
    loop = asyncio.get_running_loop()
    with (
        contextlib.suppress(OSError, TimeoutError),
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as listening,
    ):
        listening.setblocking(False)
        _attach(listening, program(subnets))
        listening.bind((nic.name, _ETHERTYPE_IPV4))  # from here on it receives anything
        async with asyncio.timeout(WAIT):
            for _ in range(MOST):
                frame, sender = await loop.sock_recvfrom(listening, _KEPT)
                client = client_of(frame)
                if sender[2] == socket.PACKET_HOST and client is not None and is_vip(client.vip):
                    return nic.name, client
    return nic.name, None


def client_of(frame: bytes) -> Client | None:
    """Who has sent a frame, and where to; None: it is cut off."""
    if len(frame) < _DESTINATION + 4:
        return None
    source, destination = (frame[at : at + 4] for at in (_SOURCE, _DESTINATION))
    return Client(IPv4Address(source), IPv4Address(destination))


def program(subnets: Sequence[IPv4Network]) -> list[tuple[int, int, int, int]]:
    """What passes comes from none of these subnets, and is for one of them. Classic BPF: code, jump if so, if not, k.

    For each subnet three steps: load the address, mask it, compare it; at the end drop, and pass.
    """
    comparisons = [(at, subnet) for at in (_SOURCE, _DESTINATION) for subnet in subnets]
    drop = 3 * len(comparisons)
    steps: list[tuple[int, int, int, int]] = []
    for at, subnet in comparisons:
        here = len(steps) + 3
        where = drop if at == _SOURCE else drop + 1
        steps += [
            (_LOAD, 0, 0, at),
            (_AND, 0, 0, int(subnet.netmask)),
            (_EQUAL, where - here, 0, int(subnet.network_address)),
        ]
    return [*steps, (_RETURN, 0, 0, 0), (_RETURN, 0, 0, _KEPT)]


def _attach(listening: socket.socket, steps: Sequence[tuple[int, int, int, int]]) -> None:
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = struct.pack("@HP", len(steps), ctypes.addressof(buffer))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
