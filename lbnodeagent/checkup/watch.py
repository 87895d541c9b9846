"""Looks at the node every ten seconds or so and tells what is wrong. Owns the schedule and what is sent for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from lbnodeagent.checkup.facts import Expected, Facts
from lbnodeagent.checkup.findings import findings
from lbnodeagent.checkup.reading import look
from lbnodeagent.checkup.suspicion import Suspicion
from lbnodeagent.messages import Peer
from purelb.addresses import IPAddress, parse_address
from purelb.checks import Finding
from purelb.errors import AddressError

LOOK: Final = (10.0, 15.0)
"""Seconds between two looks, anything between the two."""
BEGIN: Final = 30
"""Seconds for which an agent that starts may not know yet where it announces."""
PATIENCE: Final = 3.0
"""Seconds that a TCP connection to a peer may take."""
_DISCARD: Final = 9
"""A UDP port where what is sent is of no use to anybody (RFC 863)."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found."""

    findings: tuple[Finding, ...]
    facts: Facts


class CheckupWatch:
    """``expect``: what is meant to be; ``peers``: the agents heard; ``detours``: those to whom UDP doesn't pass."""

    def __init__(
        self,
        expect: Callable[[], Expected],
        peers: Callable[[], Sequence[Peer]],
        detours: Callable[[], Collection[str]],
        chance: Random,
    ) -> None:
        self._expect = expect
        self._peers = peers
        self._detours = detours
        self._chance = chance
        self._suspicion = Suspicion(chance)

    async def run(self, tell: Callable[[Looked], None]) -> None:
        """Tell of each look, until cancelled."""
        for _ in range(BEGIN):
            if self._expect().subnets:
                break
            await asyncio.sleep(1.0)
        while True:
            tell(await self.look())
            await asyncio.sleep(self._chance.uniform(*LOOK))

    async def look(self) -> Looked:
        """One look."""
        expected, peers = self._expect(), self._peers()
        facts = await asyncio.to_thread(look, expected)
        own = frozenset(facts.neighbours[one] for one in _addresses(peers) if one in facts.neighbours)
        strangers = self._suspicion.seen(facts, expected, own)
        _ask(self._suspicion.to_ask)
        closed = await self._closed(self._suspicion.to_try(peers), expected.gossip_port)
        facts = replace(
            facts,
            neighbours=strangers,
            by_detour=tuple(sorted(self._detours())),
            closed=self._suspicion.tried(closed),
        )
        return Looked(self._suspicion.lasting(findings(facts, expected)), facts)

    async def _closed(self, peers: Sequence[Peer], port: int) -> list[str]:
        are_open = await asyncio.gather(*(_is_open(peer.address, port) for peer in peers))
        return [peer.node for peer, is_open in zip(peers, are_open, strict=True) if not is_open]


async def _is_open(host: str, port: int) -> bool:
    """Whether a TCP connection comes about; it's closed at once."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (TimeoutError, OSError):
        return False
    with contextlib.suppress(OSError):
        writer.transport.abort()
    return True


def _ask(neighbours: Sequence[IPAddress]) -> None:
    """Have the kernel find out whether these are there: it asks by ARP before it sends anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
        sending.setblocking(False)
        for neighbour in neighbours:
            with contextlib.suppress(OSError):
                sending.sendto(b"", (str(neighbour), _DISCARD))


def _addresses(peers: Sequence[Peer]) -> list[IPAddress]:
    found = []
    for peer in peers:
        with contextlib.suppress(AddressError):
            found.append(parse_address(peer.address))
    return found
