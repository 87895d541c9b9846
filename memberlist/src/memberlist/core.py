"""One member of the cluster, without sockets and without a clock.

Owns the schedule and the routing of inputs: `now` (seconds, monotonic) with a packet, a stream's message, the outcome
of a dial, a wish of the application, or only the time (`tick`).  After each, carry out `outputs()` and call `tick` at
`next_deadline()`.  The same inputs and the same `rng` give the same outputs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

from memberlist.awareness import Awareness
from memberlist.broadcasts import Broadcasts, Rumour
from memberlist.codec import COMPOUND_OVERHEAD, encode
from memberlist.complaints import Complaints
from memberlist.config import Config
from memberlist.crypto import Keyring
from memberlist.delegate import Delegate
from memberlist.detector import Detector
from memberlist.errors import ConfigError, WireError
from memberlist.events import Member, UserMessage
from memberlist.gossip import Gossip, next_tick
from memberlist.members import MemberTable
from memberlist.membership import INCARNATION_MAX, Membership
from memberlist.messages import (
    META_MAX,
    Ack,
    Address,
    Alive,
    Dead,
    Endpoint,
    ErrorReply,
    IndirectPing,
    Nack,
    NodeState,
    PacketMessage,
    Ping,
    PushPull,
    StreamMessage,
    Suspect,
    User,
)
from memberlist.outbox import Outbox, Output
from memberlist.packets import PacketCodec
from memberlist.pushpull import PushPulls
from memberlist.streams import StreamCodec, StreamDecoder
from memberlist.usermessages import UserMessages


class Core:
    """Created idle; `start` makes it a cluster of one."""

    def __init__(
        self,
        name: str,
        address: Address,
        port: int,
        *,
        config: Config,
        rng: random.Random,
        keyring: Keyring | None = None,
        label: str = "",
        meta: bytes = b"",
        incarnation: int = 1,
        delegate: Delegate | None = None,
    ) -> None:
        if not name:
            raise ConfigError("a member needs a name")
        if not 1 <= incarnation <= INCARNATION_MAX:
            raise ConfigError(f"an incarnation is 1 .. {INCARNATION_MAX}")
        self.name = name
        self.endpoint = Endpoint(address, port)
        self._config = config
        self._rng = rng
        self._meta = _checked_meta(meta)
        self._incarnation = incarnation
        self._delegate = delegate or Delegate()
        self._packets = PacketCodec(config, keyring, label)
        self.streams = StreamCodec(config, keyring, label)
        self._awareness = Awareness(config.awareness_max_multiplier)
        largest = config.udp_buffer_size - 2 - self._packets.overhead - COMPOUND_OVERHEAD
        self._rumours = Broadcasts(config.retransmit_mult, largest)
        self.table = MemberTable(name, rng)
        self._outbox = Outbox(config, self._packets, self._rumours, self.table)
        self._user_messages = UserMessages(config, self._packets, self.streams, self.table, self._rumours, self._outbox)
        self._complaints = Complaints()
        counters = self._complaints.counters
        self._membership = Membership(
            name, config, self.table, self._rumours, self._awareness, self._outbox, self._delegate, counters
        )
        self._detector = Detector(
            config,
            rng,
            self.table,
            self._membership,
            self._awareness,
            self._outbox,
            self.streams,
            self._delegate,
            self._complaints,
        )
        self._push_pulls = PushPulls(
            config,
            self.table,
            self._membership,
            self._outbox,
            self.streams,
            self._delegate,
            self._complaints,
        )
        self._gossip = Gossip(name, config, self.table, self._rumours, self._outbox)
        self._knock_at = math.inf
        self._parting: Rumour | None = None
        self._now = -math.inf
        self.counters = counters
        """What was received, refused, suspected and found late, by kind."""

    # --- life ---

    def start(self, now: float) -> None:
        """Enter our own table and set all timers, each at a random moment of its interval."""
        self._now = now
        own = self.endpoint
        self._membership.start(now, own.address.packed, own.port, self._meta, self._incarnation)
        self._detector.start(now)
        self._gossip.start(now, self._rng)
        self._push_pulls.start(now, self._rng)
        if self._config.knock_interval > 0:
            self._knock_at = now + self._rng.random() * self._config.knock_interval

    def leave(self, now: float) -> None:
        """Tell the others that we go; `has_left` becomes true when they have been told often enough."""
        now = self._forward(now)
        if not self._membership.leaving:
            self._parting = self._membership.leave(now)

    @property
    def has_left(self) -> bool:
        told = self._parting is None or self._parting.finished or not self.table.anyone_else_alive()
        return self._membership.leaving and told

    def update_meta(self, now: float, meta: bytes) -> None:
        """Announce other metadata; raises ConfigError above 512 bytes."""
        self._membership.update_meta(self._forward(now), _checked_meta(meta))

    def broadcast(self, payload: bytes) -> None:
        """Queue a user message for gossip; raises ConfigError if it fits no packet."""
        self._user_messages.broadcast(payload)

    def send(self, now: float, name: str, payload: bytes) -> int:
        """Dial a member to give it a user message; the dial's id.

        Raises UnknownMember if it isn't there or is dead, ConfigError above 20 MiB (with a key, 64 bytes less).
        """
        return self._user_messages.dial(self._forward(now), name, payload)

    def send_best_effort(self, name: str, payload: bytes) -> None:
        """One UDP packet with a user message.

        Raises UnknownMember if the member isn't there or is dead, ConfigError if it fits no UDP packet.
        """
        self._user_messages.packet(name, payload)

    def push_pull(self, now: float, to: Endpoint, *, join: bool) -> int:
        """Dial a peer to exchange all that both know; the dial's id."""
        return self._push_pulls.dial(self._forward(now), to, join=join)

    @property
    def health(self) -> int:
        return self._awareness.score

    @property
    def answered_at(self) -> float:
        """When one of our probes was answered last, directly, by a detour or by TCP, or by who asked in vain for us.

        Minus infinity: never.
        """
        return self._detector.answered_at

    def by_detour(self) -> frozenset[str]:
        """Members that answer through others or by TCP alone."""
        return self._detector.detours.members(self.table.is_alive)

    def members(self) -> Mapping[str, Member]:
        """Everybody who isn't forgotten, ourselves included; a snapshot."""
        return self.table.snapshot()

    def restore(self, now: float, states: tuple[NodeState, ...]) -> None:
        """Believe a table that was saved, or that a simulation begins with, without spreading it as news."""
        self._membership.merge(self._forward(now), states)
        self._rumours.clear()

    # --- time ---

    def outputs(self) -> list[Output]:
        """What is to be done now, in this order; it is handed out once."""
        return self._outbox.drain()

    def next_deadline(self) -> float:
        """When `tick` must be called next."""
        gossip = self._gossip.deadline(self._now)
        # Knocking waits for the next probe: it is worth no wake-up of its own.
        return min(self._detector.deadline(), self._membership.deadline(), self._push_pulls.due, gossip)

    def turn_until(self, until: float) -> float | None:
        """The last moment until `until` at which one of our probes begins; None: none does."""
        return self._detector.turn_until(until)

    def tick(self, now: float) -> None:
        """Do what is due.  Feed all packets that wait before calling it: they may prove that somebody lives."""
        now = self._forward(now)
        late = now - self.next_deadline()
        if late > self._config.late_after:
            self._excuse_lateness(late)
        self._detector.tick(now)
        self._membership.tick(now)
        self._confirm_suspicions(now)
        self._gossip.tick(now)
        if now >= self._knock_at:
            self._knock_at = next_tick(self._knock_at, self._config.knock_interval, now)
            self._detector.knock(now)
        self._push_pulls.tick(now)

    # --- packets ---

    def receive_packet(self, now: float, data: bytes, source: Endpoint) -> bool:
        """A UDP packet from `source`; whether anything in it could be read.  Nothing that it contains can raise."""
        now = self._forward(now)
        self.counters["packets received"] += 1
        self.counters["bytes received"] += len(data)
        try:
            messages, broken = self._packets.open(data)
        except WireError as error:
            self._complaints.about_bytes(now, error, source)
            return False
        if broken:
            self._complaints.about(now, "malformed", f"{broken} messages in the packet can't be read", source)
        for message in messages:
            self._dispatch(now, message, source)
        self._confirm_suspicions(now)
        return True

    def _dispatch(self, now: float, message: PacketMessage, source: Endpoint) -> None:
        match message:
            case Ping():
                self._detector.ping(message, source)
            case Ack():
                self._detector.ack(now, message, source)
            case Nack():
                self._detector.nack(now, message)
            case IndirectPing():
                self._detector.indirect_ping(now, message, source)
            case Alive():
                self._membership.alive(now, message)
            case Suspect():
                self._membership.suspect(now, message)
            case Dead():
                self._membership.dead(now, message)
            case User():
                self._outbox.event(UserMessage(message.payload))

    def ports_at(self, address: Address) -> set[int]:
        """The ports of all members at this address, those who are dead and not forgotten included."""
        return {record.endpoint.port for record in self.table if record.endpoint.address == address}

    def banned(self, now: float, source: Endpoint) -> None:
        """The driver listens no more to `source` for a while."""
        self._complaints.about(self._forward(now), "sources banned", "too many packets that can't be read", source)

    def packet_refused(self, now: float, to: Endpoint) -> None:
        """The other side can't be reached, says the kernel: a direct probe of it need not wait for an answer."""
        self._detector.refused(self._forward(now), to)

    def packet_not_sent(self, now: float, to: Endpoint) -> None:
        """Our own side could not send: a probe that begins with it says nothing about its target."""
        self._detector.not_sent(self._forward(now), to)

    # --- streams ---

    def request_decoder(self) -> StreamDecoder:
        """For what a peer sends on a stream that it opened."""
        return self.streams.decoder(dialled=False)

    def reply_decoder(self) -> StreamDecoder:
        """For what a peer answers on a stream that we dialled."""
        return self.streams.decoder(dialled=True)

    def receive_request(self, now: float, message: StreamMessage, source: Endpoint) -> bytes | None:
        """A complete message on a stream that `source` opened; the bytes to answer, or None to close."""
        now = self._forward(now)
        self.counters["streams accepted"] += 1
        match message:
            case Ping():
                ack = self._detector.stream_ping(message)
                return None if ack is None else self.streams.seal(encode(ack), dialled=False)
            case PushPull():
                reply = self.streams.seal(encode(self._push_pulls.local_state(message.join)), dialled=False)
                self._push_pulls.merge(now, message, source)
                self._confirm_suspicions(now)
                return reply
            case User():
                self._outbox.event(UserMessage(message.payload))
                return None
            case Ack() | ErrorReply():
                return None

    def refuse_request(self, now: float, error: WireError, source: Endpoint) -> bytes:
        """A stream that could not be read: the error message to answer before closing."""
        self._complaints.about_bytes(self._forward(now), error, source)
        return self.streams.seal(encode(ErrorReply(str(error))), dialled=False)

    def dial_accepted(self, dial: int) -> None:
        """The connection of one of our dials is established; that says only that the machine at its other end lives."""
        self._detector.stream_accepted(dial)

    def dial_answered(self, now: float, dial: int, message: StreamMessage, source: Endpoint) -> str | None:
        """The reply to one of our dials; a sentence if it isn't what was asked for."""
        now = self._forward(now)
        if self._detector.stream_answered(dial, message):
            return None
        refusal = self._push_pulls.answered(now, dial, message, source)
        self._confirm_suspicions(now)
        return refusal

    def dial_failed(self, now: float, dial: int) -> None:
        """One of our dials came to nothing."""
        self._forward(now)
        self._push_pulls.failed(dial)
        self._detector.stream_failed(dial)

    # --- inner ---

    def _forward(self, now: float) -> float:
        """Time as the protocol sees it never runs backwards, whatever the clock does."""
        self._now = max(self._now, now)
        return self._now

    def _excuse_lateness(self, late: float) -> None:
        self.counters["late ticks"] += 1
        self._awareness.change(+1)
        self._detector.postpone(late)
        self._membership.postpone(late)

    def _confirm_suspicions(self, now: float) -> None:
        for record in self._membership.take_newly_suspected():
            self._detector.confirm(now, record)


def _checked_meta(meta: bytes) -> bytes:
    if len(meta) > META_MAX:
        raise ConfigError(f"metadata have at most {META_MAX} bytes, these have {len(meta)}")
    return meta
