"""The failure detector: whom to probe when, answering probes, relaying them, and the verdicts.

Owns the probe rounds and sequence numbers (SWIM section 4.1, Lifeguard section IV; memberlist `state.go`).  What a
verdict means is membership.py's business.
"""

from __future__ import annotations

import itertools
import logging
import math
import random

from memberlist.awareness import Awareness
from memberlist.codec import encode
from memberlist.complaints import Complaints
from memberlist.config import Config
from memberlist.delegate import Delegate
from memberlist.detours import Detours
from memberlist.members import MemberTable, Record
from memberlist.membership import Membership
from memberlist.messages import (
    Ack,
    Dead,
    Endpoint,
    IndirectPing,
    Nack,
    Ping,
    State,
    StreamMessage,
    Suspect,
    endpoint,
)
from memberlist.outbox import Outbox
from memberlist.probe import ProbeRound, Relay, Stage
from memberlist.streams import StreamCodec

log = logging.getLogger(__name__)

RELAYS_MAX = 1024
"""Pings that we have under way for others; requests beyond are ignored, so that we can't be made to flood anybody."""
ROUNDS_MAX = 16
"""Probes under way at once; when half of the cluster is suspected, its turn must do for the rest."""
TCP_PING_FROM = 3
NACK_FROM = 4
"""The protocol versions from which members answer TCP pings, and send nacks."""


class Detector:
    """Probes one member per interval, in random round robin."""

    def __init__(
        self,
        config: Config,
        rng: random.Random,
        table: MemberTable,
        membership: Membership,
        awareness: Awareness,
        outbox: Outbox,
        streams: StreamCodec,
        delegate: Delegate,
        complaints: Complaints,
    ) -> None:
        self._config = config
        self._rng = rng
        self._table = table
        self._membership = membership
        self._awareness = awareness
        self._outbox = outbox
        self._streams = streams
        self._delegate = delegate
        self._complaints = complaints
        self._sequences = itertools.count(
            rng.getrandbits(32)
        )  # not 1: an ack of an earlier run must fit no ping of this
        self._rounds: dict[int, ProbeRound] = {}
        self._in_turn: ProbeRound | None = None
        self._relays: dict[int, Relay] = {}
        self._dials: dict[int, ProbeRound] = {}
        self._next_turn = math.inf
        self._turns = 0
        self.detours = Detours()
        self.answered_at = -math.inf
        """When one of our probes was answered last, in any way, or somebody said that he got no answer either."""

    def start(self, now: float) -> None:
        self._next_turn = now + self._rng.random() * self._config.probe_interval

    # --- time ---

    def deadline(self) -> float:
        """When `tick` is due next."""
        due = math.inf if self._in_turn is not None else self._next_turn
        for running in self._rounds.values():
            due = min(due, running.deadline)
        for relay in self._relays.values():  # all take the same time, so the first one is due first
            return min(due, relay.until)
        return due

    def turn_until(self, until: float) -> float | None:
        """The last moment until then at which a probe begins; None: none does."""
        if until < self._next_turn:
            return None
        return self._next_turn + (until - self._next_turn) // self._config.probe_interval * self._config.probe_interval

    def tick(self, now: float) -> None:
        for running in [running for running in self._rounds.values() if running.deadline <= now]:
            self._advance(now, running)
        while self._relays:
            number, relay = next(iter(self._relays.items()))
            if relay.until > now:
                break
            del self._relays[number]
            if relay.wants_nack:
                self._outbox.answer(relay.requester, Nack(relay.their_sequence))
        if self._in_turn is None and now >= self._next_turn:
            missed = (now - self._next_turn) // self._config.probe_interval
            self._next_turn += (missed + 1) * self._config.probe_interval
            target = self._whose_turn(now)
            if target is not None:
                self._begin(now, target, in_turn=True)

    def _whose_turn(self, now: float) -> Record | None:
        """The member that is watched, every so often; else the next one in the random order."""
        self._turns += 1
        watched = None
        if self._config.watch_turns and self._turns % self._config.watch_turns == 0:
            watched = self._table.successor()
        return watched or self._table.next_to_probe(now, self._config.gossip_to_the_dead_time)

    def postpone(self, seconds: float) -> None:
        """We were stopped for so long: whoever we asked gets that time back."""
        for running in self._rounds.values():
            running.postpone(seconds)

    def confirm(self, now: float, suspect: Record) -> None:
        """Somebody suspects this member: perhaps look for ourselves at once (see `Config.confirmers`)."""
        if len(self._rounds) >= ROUNDS_MAX:
            return
        others = max(1, len(self._table) - 2)
        if self._rng.random() * others >= self._config.confirmers:
            return
        if suspect.name != self._membership.name and not any(
            running.target is suspect and not running.is_extended for running in self._rounds.values()
        ):
            self._begin(now, suspect, in_turn=False)

    def knock(self, now: float) -> None:
        """Ask one of the dead, at random, whether it lives; rarely, if there are many of us to ask (as Serf does)."""
        lost = self._table.lost(now, self._config.knock_for)
        if not lost or self._rng.random() * len(self._table) > len(lost):
            return
        door = self._rng.choice(lost)
        ping = self._own_ping(self._sequence(), door.name)
        self._outbox.send_parts(
            door.endpoint, encode(ping), encode(Dead(door.incarnation, door.name, self._membership.name))
        )

    # --- messages ---

    def ping(self, ping: Ping, source: Endpoint) -> None:
        if ping.node and ping.node != self._membership.name:
            log.debug("ping for somebody else", extra={"member": ping.node})
            return
        back = self._reply_to(ping, source)
        self._outbox.answer(back, Ack(ping.sequence, self._delegate.ack_payload()))
        sender = self._table.get(ping.source_node)
        if sender is not None and sender.state is State.DEAD and sender.endpoint == back:
            # It lives, as it pings; only it can say so with a higher incarnation, if it learns what we believe.
            self._outbox.send_to_member(sender, encode(Dead(sender.incarnation, sender.name, self._membership.name)))

    def stream_ping(self, ping: Ping) -> Ack | None:
        """The answer on the same stream, if we are meant."""
        if ping.node and ping.node != self._membership.name:
            return None
        return Ack(ping.sequence)

    def indirect_ping(self, now: float, request: IndirectPing, source: Endpoint) -> None:
        target = endpoint(request.target, request.port or self._membership.own.port)
        if target is None or len(self._relays) >= RELAYS_MAX:
            return
        number = self._sequence()
        self._relays[number] = Relay(
            requester=self._reply_to(request, source),
            their_sequence=request.sequence,
            until=now + self._config.probe_timeout,
            wants_nack=request.nack,
        )
        self._outbox.answer(target, self._own_ping(number, request.node))

    def ack(self, now: float, ack: Ack, source: Endpoint) -> None:
        relay = self._relays.pop(ack.sequence, None)
        if relay is not None:
            self._outbox.answer(relay.requester, Ack(relay.their_sequence))
            return
        running = self._rounds.get(ack.sequence)
        if running is None:
            return
        if running.stage is Stage.DIRECT:
            self._delegate.ping_completed(running.target.view, now - running.started, ack.payload)
        target = running.target
        # A member with several addresses may answer from another one; only another member's is a detour for sure.
        is_direct = running.stage is Stage.DIRECT or not self._table.is_of_another(source, target)
        self.detours.answered(target.name, is_direct=is_direct)
        self._succeed(now, running)

    def not_sent(self, now: float, to: Endpoint) -> None:
        """A packet to `to` didn't leave this machine: direct probes of it end without a verdict."""
        for running in list(self._rounds.values()):
            if running.stage is Stage.DIRECT and running.target.endpoint == to:
                self._end(now, running)

    def refused(self, now: float, to: Endpoint) -> None:
        """Nothing arrives at `to`: who is probed there is asked for by other ways at once (memberlist `probeNode`)."""
        for running in list(self._rounds.values()):
            if running.stage is Stage.DIRECT and running.target.endpoint == to:
                self._advance(now, running)

    def nack(self, now: float, nack: Nack) -> None:
        running = self._rounds.get(nack.sequence)
        if running is not None:
            running.nacks += 1
            self.answered_at = now  # by the one who was asked to ask: it is heard, and hears us

    def stream_accepted(self, dial: int) -> None:
        """The machine at the other end took the connection, whoever asked for it."""
        running = self._dials.get(dial)
        if running is not None:
            running.is_accepted = True

    def stream_answered(self, dial: int, message: StreamMessage) -> bool:
        """Whether `dial` was ours; its answer counts if it is the right one."""
        running = self._dials.pop(dial, None)
        if running is None:
            return False
        if isinstance(message, Ack) and message.sequence == running.sequence:
            running.answered_by_stream = True
        return True

    def stream_failed(self, dial: int) -> bool:
        """Whether `dial` was ours."""
        return self._dials.pop(dial, None) is not None

    # --- rounds ---

    def _begin(self, now: float, target: Record, *, in_turn: bool) -> None:
        sequence = self._sequence()
        running = ProbeRound(
            target=target,
            sequence=sequence,
            incarnation=target.incarnation,
            started=now,
            indirect_at=now + self._config.probe_timeout,
            until=now + self._awareness.scale(self._config.probe_length or self._config.probe_interval),
            in_turn=in_turn,
        )
        self._rounds[sequence] = running
        if in_turn:
            self._in_turn = running
        ping = self._own_ping(sequence, target.name)
        if target.state is State.SUSPECT:  # tell it in the same packet, so that it can refute at once (LHA-Suspicion)
            accusation = Suspect(target.incarnation, target.name, self._membership.name)
            self._outbox.send_to_member(target, encode(ping), encode(accusation))
        else:
            self._outbox.send(target.endpoint, ping)

    def _advance(self, now: float, running: ProbeRound) -> None:
        if running.until <= now:
            self._conclude(now, running)
        elif running.stage is Stage.DIRECT:
            running.stage = Stage.INDIRECT
            self._ask_others(running)
            if not self._config.disable_tcp_pings and running.target.protocol_max >= TCP_PING_FROM:
                data = self._streams.seal(encode(self._own_ping(running.sequence, running.target.name)), dialled=True)
                deadline = running.until + self._config.busy_grace
                dial = self._outbox.dial(running.target.endpoint, data, replies=True, deadline=deadline)
                self._dials[dial] = running

    def _ask_others(self, running: ProbeRound) -> None:
        own = self._membership.own
        helpers = self._table.pick(
            self._config.indirect_checks,
            lambda record: record.state is State.ALIVE and record is not own and record is not running.target,
        )
        for helper in helpers:
            nacks = helper.protocol_max >= NACK_FROM
            running.expected_nacks += nacks
            request = IndirectPing(
                sequence=running.sequence,
                target=running.target.address,
                port=running.target.port,
                node=running.target.name,
                nack=nacks,
                source_address=own.address,
                source_port=own.port,
                source_node=own.name,
            )
            self._outbox.send(helper.endpoint, request)

    def _conclude(self, now: float, running: ProbeRound) -> None:
        if running.answered_by_stream:
            sentence = f"{running.target.name} answers TCP but not UDP"
            self._complaints.about(now, "UDP unanswered", sentence, running.target.endpoint)
            self.detours.answered(running.target.name, is_direct=False)
            self._succeed(now, running)
            return
        if running.is_accepted and not running.is_extended and self._config.busy_grace > 0:
            running.extend(now + self._config.busy_grace)
            self._end_turn(now, running)
            return
        self._end(now, running)
        self.detours.failed(running.target.name)
        self._awareness.change(running.health_after_failure())
        self._membership.suspect(now, Suspect(running.incarnation, running.target.name, self._membership.name))

    def _succeed(self, now: float, running: ProbeRound) -> None:
        self._end(now, running)
        self.answered_at = now
        self._awareness.change(-1)

    def _end(self, now: float, running: ProbeRound) -> None:
        del self._rounds[running.sequence]
        self._end_turn(now, running)

    def _end_turn(self, now: float, running: ProbeRound) -> None:
        if self._in_turn is running:
            self._in_turn = None
            self._next_turn = max(self._next_turn, now)  # an overrun delays the next turn; that isn't lateness

    # --- details ---

    def _sequence(self) -> int:
        return next(self._sequences) & 0xFFFF_FFFF

    def _own_ping(self, sequence: int, node: str) -> Ping:
        own = self._membership.own
        return Ping(sequence, node, own.address, own.port, own.name)

    @staticmethod
    def _reply_to(message: Ping | IndirectPing, source: Endpoint) -> Endpoint:
        if message.source_address and message.source_port:
            return endpoint(message.source_address, message.source_port) or source
        return source
