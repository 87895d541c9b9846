"""Asks the wire who has an address, as a neighbour does that wants to send to it. Owns its sockets meanwhile.

The questions are those of duplicate address detection (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2): nobody learns
anything from them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from lbnodeagent.errors import FrameError
from lbnodeagent.tables import IfIndex, Mac
from lbnodeagent.wire.frames import arp_probe, claim_of, neighbour_probe
from lbnodeagent.wire.rawsocket import FrameListener, FrameSender
from purelb.addresses import IPAddress

WAIT: Final = 1.0
"""Seconds for which answers are waited for."""
MOST: Final = 1000
"""Frames that are listened to meanwhile: a wire that is flooded is not worth the processor's time."""


class _Enough(Exception):
    """So many frames were heard that no more are listened to."""


async def who_has(questions: Iterable[tuple[str, Mac, IPAddress]]) -> Mapping[IPAddress, frozenset[Mac]]:
    """Who answers for each address; ``questions``: by which NIC to ask, from which MAC, for what. Raises OSError."""
    answers: dict[IPAddress, set[Mac]] = {}
    with FrameSender() as sender, FrameListener() as listener:
        for nic, mac, address in questions:
            answers[address] = set()
            match address:
                case IPv4Address():
                    sender.send(nic, arp_probe(address, mac))
                case IPv6Address():
                    sender.send(nic, neighbour_probe(address, mac))
        left = MOST

        def heard(_: IfIndex, frame: bytes) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise _Enough
            with contextlib.suppress(FrameError):
                claim = claim_of(frame)
                if claim is not None and claim[0] in answers:
                    answers[claim[0]].add(claim[1])

        with contextlib.suppress(TimeoutError, _Enough):
            async with asyncio.timeout(WAIT):
                await listener.hear(heard)
    return {address: frozenset(macs) for address, macs in answers.items()}
