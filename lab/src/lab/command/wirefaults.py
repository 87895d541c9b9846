"""What strangers do on the wire: `purelb-lab fault wire KIND SUBJECT`.

Owns the table of these faults and which last; frames are `neighbours.frames`', the cables of strange hosts
`wire.network`'s. A strange host is on the subnet that the address is of, has a MAC of its own, and is gone with `heal`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import random
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address
from typing import Final

from lab.errors import FaultRefused
from lab.neighbours import frames
from lab.settings import WIRE_FAULTS
from lab.wire.network import Network, Stranger
from lab.wire.topology import Subnet

log = logging.getLogger("lab.faults")

RATE: Final = 500
"""Frames per second of a flood."""
LONGEST: Final = 300.0
"""Seconds after which a flood is over by itself: whoever began it may be gone."""
MOST_FLOODS: Final = 8
"""At a time: they share the machine with all that they are to trouble."""
LISTEN: Final = 2.0
"""Seconds for which gossip is recorded, from the first packet on."""
MOST: Final = 300
"""Packets that are recorded."""
_PATIENCE: Final = 60.0
"""Seconds that a first packet is waited for."""
_TICK: Final = 0.02


class WireFaults:
    """All that strangers do in one lab."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._strangers: dict[Subnet, Stranger] = {}
        self._active: dict[str, list[str]] = {}
        """Kind -> its subjects."""
        self._floods: set[asyncio.Task[None]] = set()
        self._recorded: list[tuple[Subnet, bytes]] = []
        self._lock = asyncio.Lock()
        self._kinds: Mapping[str, Callable[[str | None], Awaitable[str]]] = {
            "answer": self._answer,
            "arp-flood": self._flood_claims,
            "gossip-flood": self._flood_gossip,
            "record": self._record,
            "replay": self._replay,
        }

    async def begin(self, kind: str, subject: str | None) -> str:
        """Begin one; a sentence about it. Raises LabError."""
        if kind not in self._kinds:
            raise FaultRefused(f"no fault {kind!r} of the wire; there are: {', '.join(WIRE_FAULTS)}")
        if kind == "record":  # waits, and needs no stranger
            return f"wire: {await self._record(subject)}"
        async with self._lock:
            return f"wire: {await self._kinds[kind](subject)}"

    async def end(self) -> str:
        """Take all strangers off the wire; a sentence about it."""
        async with self._lock:
            healed = self.active()
            for task in self._floods:
                task.cancel()
            await asyncio.gather(*self._floods, return_exceptions=True)
            self._active.clear()
            for stranger in self._strangers.values():
                await asyncio.to_thread(self._network.remove_stranger, stranger)
            self._strangers.clear()
        return f"wire: {', '.join(healed) + ' healed' if healed else 'nothing to heal'}"

    def active(self) -> list[str]:
        """What lasts, with its subjects."""
        return [f"{kind} {subject}".strip() for kind, subjects in self._active.items() for subject in subjects]

    # --- claims of an address ---

    async def _answer(self, subject: str | None) -> str:
        address, subnet = self._address("answer", subject)
        stranger = await self._stranger(subnet)
        await asyncio.to_thread(self._network.take, stranger, address)
        self._remember("answer", str(address))
        return f"{stranger.mac.hex(':')} on {subnet.name} answers for {address}"

    async def _flood_claims(self, subject: str | None) -> str:
        address, subnet = self._address("arp-flood", subject)
        if f"arp-flood {address}" not in self.active():
            stranger = await self._stranger(subnet)
            chance = random.Random()
            self._flood("arp-flood", str(address), stranger, lambda: frames.claim(address, frames.random_mac(chance)))
        return f"{RATE} times a second another MAC claims {address}, for {LONGEST:g} s or until `heal`"

    # --- gossip ---

    async def _flood_gossip(self, subject: str | None) -> str:
        _nothing("gossip-flood", subject)
        if not any(node.ipv4 for node in self._network.topology.nodes):
            raise FaultRefused("gossip-flood speaks IPv4, and no node of this lab does")
        is_new = "gossip-flood" not in self.active()
        chance = random.Random()
        for subnet in self._network.topology.subnets if is_new else ():
            nics = [nic for node in self._network.topology.nodes if (nic := node.nic_on(subnet)) is not None]
            targets = [(bytes.fromhex(nic.mac.replace(":", "")), nic.ipv4.ip) for nic in nics if nic.ipv4 is not None]
            if targets and subnet.ipv4 is not None:
                stranger = await self._stranger(subnet)
                self._flood("gossip-flood", "", stranger, partial(_junk, stranger, subnet.ipv4, targets, chance))
        return f"{RATE} times a second junk reaches the gossip's port of a node, for {LONGEST:g} s or until `heal`"

    async def _record(self, subject: str | None) -> str:
        node = self._network.topology.find(subject or self._network.topology.nodes[0].name)
        if not node.is_node:
            raise FaultRefused(f"{node.name} is no node: nobody gossips there")
        nic = node.nics[0]
        with await asyncio.to_thread(self._network.mirror, nic) as port:
            found = await _heard(port)
        if not found:
            raise FaultRefused(f"no gossip of {node.name} was heard within {_PATIENCE:g} s")
        self._recorded = [(nic.subnet, frame) for frame in found]
        return f"recorded {len(found)} packets of the gossip at the switch port of {node.name}"

    async def _replay(self, subject: str | None) -> str:
        _nothing("replay", subject)
        if not self._recorded:
            raise FaultRefused("nothing is recorded: purelb-lab fault wire record [NODE]")
        subnet = self._recorded[0][0]
        stranger = await self._stranger(subnet)
        with await asyncio.to_thread(self._network.mouth, stranger) as mouth:
            for _, frame in self._recorded:
                _send(mouth, frames.sent_by(frame, stranger.mac))
        return f"{stranger.mac.hex(':')} on {subnet.name} sent {len(self._recorded)} recorded packets again"

    # --- strangers ---

    def _flood(self, kind: str, subject: str, stranger: Stranger, make: Callable[[], bytes]) -> None:
        if len(self._floods) >= MOST_FLOODS:
            raise FaultRefused(f"{MOST_FLOODS} floods are as many as a lab bears: purelb-lab heal wire")

        def end(task: asyncio.Task[None]) -> None:
            self._floods.discard(task)
            with contextlib.suppress(KeyError, ValueError):
                self._active[kind].remove(subject)

        task = asyncio.create_task(flood(self._network.mouth(stranger), make, LONGEST))
        self._floods.add(task)
        self._remember(kind, subject)
        task.add_done_callback(end)

    def _remember(self, kind: str, subject: str) -> None:
        subjects = self._active.setdefault(kind, [])
        if subject not in subjects:
            subjects.append(subject)

    async def _stranger(self, subnet: Subnet) -> Stranger:
        if subnet not in self._strangers:
            self._strangers[subnet] = await asyncio.to_thread(self._network.add_stranger, subnet)
        return self._strangers[subnet]

    def _address(self, kind: str, text: str | None) -> tuple[IPv4Address | IPv6Address, Subnet]:
        if text is None:
            raise FaultRefused(f"{kind} needs an address: purelb-lab fault wire {kind} ADDRESS")
        try:
            address = ip_address(text)
        except ValueError as wrong:
            raise FaultRefused(f"{kind} needs an address: {wrong}") from None
        for subnet in self._network.topology.subnets:
            if any(address in network for network in subnet.networks):
                return address, subnet
        raise FaultRefused(f"{address} is on no subnet of this lab: nobody asks for it there")


def _nothing(kind: str, subject: str | None) -> None:
    if subject is not None:
        raise FaultRefused(f"{kind} befalls all nodes: {subject} has no place there")


def _junk(
    stranger: Stranger, network: IPv4Network, targets: list[tuple[bytes, IPv4Address]], chance: random.Random
) -> bytes:
    source = network[chance.randrange(1, network.num_addresses - 1)]
    return frames.junk((stranger.mac, source), targets, chance)


async def flood(mouth: socket.socket, make: Callable[[], bytes], seconds: float) -> None:
    """Send as many frames as `RATE` makes in so many seconds, and close the socket."""
    try:
        with mouth:
            for _ in range(round(seconds / _TICK)):
                for _ in range(round(RATE * _TICK)):
                    _send(mouth, make())
                await asyncio.sleep(_TICK)
    except Exception:  # nobody waits for this task: its end must be seen
        log.exception("a flood ended")


def _send(mouth: socket.socket, frame: bytes) -> None:
    """What the queue doesn't take is lost, as on any wire."""
    try:
        mouth.send(frame)
    except OSError as full:
        if full.errno not in (errno.EAGAIN, errno.ENOBUFS):
            raise


async def _heard(port: socket.socket) -> list[bytes]:
    """Gossip at a switch port: for `LISTEN` from the first packet on, at most `MOST` packets."""
    loop = asyncio.get_running_loop()
    found: list[bytes] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE) as limit:
            while len(found) < MOST:
                frame = await loop.sock_recv(port, 65535)
                if frames.is_gossip(frame):
                    if not found:
                        limit.reschedule(loop.time() + LISTEN)
                    found.append(frame)
    return found
