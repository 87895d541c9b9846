"""One real core and a script: what it is told, what it answers.  For the tests of the state machine."""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from typing import Any, TypeVar

from memberlist.codec import compound, encode
from memberlist.config import Config
from memberlist.core import Core
from memberlist.crypto import Keyring
from memberlist.delegate import Delegate
from memberlist.events import Event
from memberlist.messages import Alive, Endpoint, NodeState, PacketMessage, Ping, State, StreamMessage
from memberlist.outbox import Dial, SendPacket
from memberlist.packets import PacketCodec

Kind = TypeVar("Kind")

VERSIONS = bytes([1, 5, 2, 0, 0, 0])
PORT = 7946


def address(number: int) -> bytes:
    return bytes([10, 0, 0, number])


def where(number: int) -> Endpoint:
    return Endpoint(ipaddress.IPv4Address(address(number)), PORT)


def alive(number: int, incarnation: int = 1, **changes: Any) -> Alive:
    """Member n<number> at 10.0.0.<number> says that it lives."""
    claim = Alive(incarnation, f"n{number}", address(number), PORT, b"", VERSIONS)
    return dataclasses.replace(claim, **changes)


class Dialogue:
    """A core called n0 at 10.0.0.0 that knows n1 .. n<peers>; `at` is its time."""

    def __init__(
        self,
        peers: int = 0,
        *,
        keyring: Keyring | None = None,
        label: str = "",
        delegate: Delegate | None = None,
        seed: int = 1,
        **settings: Any,
    ) -> None:
        self.config = dataclasses.replace(Config(), **settings)
        self.at = 1000.0
        self.events: list[Event] = []
        self.packets: list[tuple[Endpoint, list[PacketMessage]]] = []
        self.dials: list[Dial] = []
        self.wire = PacketCodec(self.config, keyring, label)
        own = where(0)
        self.core = Core(
            "n0",
            own.address,
            own.port,
            config=self.config,
            rng=random.Random(seed),
            keyring=keyring,
            label=label,
            delegate=delegate,
        )
        self.core.start(self.at)
        self.core.restore(
            self.at,
            tuple(
                NodeState(f"n{number}", address(number), PORT, b"", 1, State.ALIVE, VERSIONS)
                for number in range(1, peers + 1)
            ),
        )
        self.forget()

    # --- what happens to it ---

    def hears(self, *messages: PacketMessage, source: int = 1) -> None:
        """A packet with these messages comes from 10.0.0.<source>."""
        parts = [encode(message) for message in messages]
        self.receives(self.wire.seal(parts[0] if len(parts) == 1 else compound(parts), crc=True), source=source)

    def receives(self, packet: bytes, *, source: int = 1) -> None:
        self.core.receive_packet(self.at, packet, where(source))
        self._collect()

    def is_asked(self, message: StreamMessage) -> StreamMessage | None:
        """A peer sends `message` by TCP; what it is answered."""
        reply = self.core.receive_request(self.at, message, where(1))
        self._collect()
        return None if reply is None else self.core.reply_decoder().feed(reply)

    def waits(self, seconds: float) -> None:
        """Time passes, every deadline is kept."""
        until = self.at + seconds
        while self.core.next_deadline() <= until:
            self.at = max(self.at, self.core.next_deadline())
            self.core.tick(self.at)
            self._collect()
        self.at = until

    def sleeps(self, seconds: float) -> None:
        """Time passes, and nothing is done meanwhile: the process was stopped."""
        self.at += seconds

    def wakes(self) -> None:
        self.core.tick(self.at)
        self._collect()

    def waits_for_a_probe(self) -> tuple[int, Any]:
        """Until it pings somebody directly: whom, and the ping."""
        for _ in range(100):
            self.forget()
            self.at = max(self.at, self.core.next_deadline())
            self.wakes()
            for to, messages in self.packets:
                for message in messages:
                    if isinstance(message, Ping):
                        return to.address.packed[-1], message
        raise AssertionError("it probes nobody")

    # --- what it did ---

    def forget(self) -> None:
        self._collect()
        self.events.clear()
        self.packets.clear()
        self.dials.clear()

    def sent(self, kind: type[Kind], to: int | None = None) -> list[Kind]:
        """Messages of one kind that it sent, in order; perhaps only those to one member."""
        self._collect()
        return [
            message
            for target, messages in self.packets
            for message in messages
            if isinstance(message, kind) and (to is None or target == where(to))
        ]

    def saw(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def believes(self, number: int) -> State | None:
        member = self.core.members().get(f"n{number}")
        return None if member is None else member.state

    def incarnation(self, number: int) -> int:
        return self.core.members()[f"n{number}"].incarnation

    def _collect(self) -> None:
        for output in self.core.outputs():
            if isinstance(output, SendPacket):
                messages, broken = self.wire.open(output.data)
                assert not broken
                self.packets.append((output.to, messages))
            elif isinstance(output, Dial):
                self.dials.append(output)
            else:
                self.events.append(output)
