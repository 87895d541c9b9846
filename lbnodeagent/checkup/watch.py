"""Looks at the node every ten seconds or so and tells what is wrong. Owns the schedule and what is sent for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, TypeAlias

from lbnodeagent.checkup.answers import ASKED, Answers, Doubt
from lbnodeagent.checkup.asking import who_has
from lbnodeagent.checkup.clients import Detour, FarClients, detour_of
from lbnodeagent.checkup.facts import Expected, Facts, Nic
from lbnodeagent.checkup.findings import findings
from lbnodeagent.checkup.listening import far_clients
from lbnodeagent.checkup.reading import has, look
from lbnodeagent.checkup.suspicion import Suspicion
from lbnodeagent.checkup.ways import leaves_by
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
Wire: TypeAlias = tuple[str, int]
"""A NIC, and the version of IP that is asked for by it."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found."""

    findings: tuple[Finding, ...]
    facts: Facts


class CheckupWatch:
    """``expect``: what is meant to be; ``peers``: the agents heard; ``detours``: those to whom UDP doesn't pass.

    ``announced``: some VIPs, those that are named among them, with the other nodes that announce them.
    """

    def __init__(
        self,
        expect: Callable[[], Expected],
        peers: Callable[[], Sequence[Peer]],
        detours: Callable[[], Collection[str]],
        announced: Callable[[Collection[IPAddress]], Mapping[IPAddress, str]],
        chance: Random,
    ) -> None:
        self._expect = expect
        self._peers = peers
        self._detours = detours
        self._announced = announced
        self._answers = Answers(chance)
        self._chance = chance
        self._suspicion = Suspicion(chance)
        self._clients = FarClients()

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
            doubts=await self._doubts(facts, peers),
            detours=await self._detoured(facts, expected),
            neighbours=strangers,
            by_detour=tuple(sorted(self._detours())),
            closed=self._suspicion.tried(closed),
        )
        return Looked(self._suspicion.lasting(findings(facts, expected)), facts)

    async def _doubts(self, facts: Facts, peers: Sequence[Peer]) -> tuple[Doubt, ...]:
        """What a neighbour would be answered for some of the others' VIPs."""
        announced = self._announced(self._answers.suspects)
        living = by_nics(_addresses(peers), facts.nics)
        near = {vip: nic for vip, nic in by_nics(announced, facts.nics).items() if not has(vip)}
        asked = self._answers.to_ask({vip: announced[vip] for vip in near}, len(peers) + 1)
        wires = sorted({_wire(vip, near) for vip in asked})
        witnesses = {wire: self._witnesses(wire, living, near) for wire in wires}
        nics = {**living, **near}
        questions = {one: nics[one] for one in (*asked, *(one for there in witnesses.values() for one in there))}
        if not questions:
            return ()
        try:
            answers = await who_has((nic.name, nic.mac, one) for one, nic in questions.items() if nic.mac is not None)
        except OSError:
            return ()
        heard = {wire for wire, there in witnesses.items() if any(answers.get(one) for one in there)}
        return self._answers.heard({vip: node for vip, node in asked.items() if _wire(vip, near) in heard}, answers)

    def _witnesses(
        self, wire: Wire, living: Mapping[IPAddress, Nic], near: Mapping[IPAddress, Nic]
    ) -> Sequence[IPAddress]:
        """Of whom one must answer on this wire, else it is this node that hears nothing there.

        Whoever lives must. Where no peer is known there, as they gossip by IPv4 say, another VIP does too.
        """
        there = [one for one in living if _wire(one, living) == wire]
        return [self._chance.choice(there)] if there else [vip for vip in near if _wire(vip, near) == wire][:ASKED]

    async def _detoured(self, facts: Facts, expected: Expected) -> tuple[Detour, ...]:
        """Where the answers to clients of other subnets leave by another NIC; what is dropped is told of by itself."""
        nics = [nic for nic in facts.nics if not nic.has_default and not nic.drops_far]
        came = await far_clients(nics, lambda address: address in expected.vips and has(address))
        known = self._clients.seen(came, expected.vips)
        found = []
        for nic, client in known.items():
            marked = (leaves_by(client.address, mark) for mark in expected.marks)
            found.append(detour_of(client, nic, leaves_by(client.address), marked))
        return tuple(detour for detour in found if detour is not None)

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


def by_nics(addresses: Iterable[IPAddress], nics: Sequence[Nic]) -> dict[IPAddress, Nic]:
    """By which NIC each of these is asked for; what is on none, or on one without a MAC, is left out."""
    asking = [(nic, (*nic.subnets, *nic.subnets6)) for nic in nics if nic.mac is not None]
    return {one: nic for one in addresses for nic, subnets in asking if any(one in subnet for subnet in subnets)}


def _wire(address: IPAddress, by: Mapping[IPAddress, Nic]) -> Wire:
    return by[address].name, address.version


def _addresses(peers: Sequence[Peer]) -> list[IPAddress]:
    found = []
    for peer in peers:
        with contextlib.suppress(AddressError):
            found.append(parse_address(peer.address))
    return found
