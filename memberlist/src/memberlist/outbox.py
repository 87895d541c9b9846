"""What a member wants done: packets to send, streams to dial, events to tell.

Owns the output of one core, and the filling of packets with rumours (piggyback).  Opens no socket.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from memberlist.broadcasts import Broadcasts
from memberlist.codec import COMPOUND_OVERHEAD, COMPOUND_PARTS_MAX, compound, encode
from memberlist.config import Config
from memberlist.events import Event
from memberlist.members import MemberTable, Record
from memberlist.messages import Endpoint, Message
from memberlist.packets import PacketCodec

CRC_FROM = 5
"""The protocol version from which a member understands CRC."""


@dataclass(frozen=True, slots=True)
class SendPacket:
    """Send `data` by UDP from the listening socket."""

    to: Endpoint
    data: bytes


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect by TCP, write `data`, and if `replies` read one message.

    The outcome goes back to the core under `id`; all of it must be over at `deadline` (in the clock of `now`).
    """

    id: int
    to: Endpoint
    data: bytes
    replies: bool
    deadline: float


Output = SendPacket | Dial | Event


class Outbox:
    """Collects outputs in order; the driver takes them after each input."""

    def __init__(self, config: Config, codec: PacketCodec, rumours: Broadcasts, table: MemberTable) -> None:
        self._budget = config.udp_buffer_size - 2 - codec.overhead
        self._codec = codec
        self._rumours = rumours
        self._table = table
        self._outputs: list[Output] = []
        self._dials = itertools.count(1)

    def drain(self) -> list[Output]:
        outputs, self._outputs = self._outputs, []
        return outputs

    def event(self, event: Event) -> None:
        self._outputs.append(event)

    def send(self, to: Endpoint, message: Message) -> None:
        """A message of the failure detector, with as many rumours as fit beside it."""
        self._send(to, message, counts=True)

    def answer(self, to: Endpoint, message: Message) -> None:
        """Likewise, but somebody else made us send it: rumours that go along don't count as told.

        Otherwise whoever sends recorded pings again and again would use up our news.
        """
        self._send(to, message, counts=False)

    def _send(self, to: Endpoint, message: Message, *, counts: bool) -> None:
        data = encode(message)
        if len(self._rumours):
            room = self._budget - len(data)
            members, most = len(self._table), COMPOUND_PARTS_MAX - 1
            extra = self._rumours.fill(COMPOUND_OVERHEAD, room, members, most, counts=counts)
            if extra:
                data = compound([data, *extra])
        self._outputs.append(SendPacket(to, self._codec.seal(data, crc=False)))

    def send_to_member(self, record: Record, *parts: bytes) -> None:
        """Exactly these messages, with a CRC if the member is known to understand it."""
        data = parts[0] if len(parts) == 1 else compound(parts)
        crc = record.protocol_max >= CRC_FROM
        self._outputs.append(SendPacket(record.endpoint, self._codec.seal(data, crc=crc)))

    def send_parts(self, to: Endpoint, *parts: bytes) -> None:
        """Exactly these messages to somebody who isn't in the table."""
        self._outputs.append(SendPacket(to, self._codec.seal(compound(parts), crc=False)))

    def gossip(self, record: Record) -> bool:
        """A packet full of rumours; false if there are none."""
        parts = self._rumours.fill(COMPOUND_OVERHEAD, self._budget, len(self._table), COMPOUND_PARTS_MAX)
        if parts:
            self.send_to_member(record, *parts)
        return bool(parts)

    def dial(self, to: Endpoint, data: bytes, *, replies: bool, deadline: float) -> int:
        """The id under which the outcome will be reported."""
        number = next(self._dials)
        self._outputs.append(Dial(number, to, data, replies, deadline))
        return number
