"""Push/pull: from time to time, and when joining, two members tell each other all that they know.

Owns its schedule, the states that we send, and which of those that come may be merged (SWIM's anti-entropy; memberlist
`state.go`, `net.go`).  Opens no stream; what a merged state means is membership.py's business.
"""

from __future__ import annotations

import math
import random

from memberlist.codec import encode
from memberlist.complaints import Complaints
from memberlist.config import Config
from memberlist.delegate import Delegate
from memberlist.members import MemberTable, Record, claimed_view
from memberlist.membership import Membership
from memberlist.messages import Endpoint, ErrorReply, PushPull, State, StreamMessage
from memberlist.outbox import Outbox
from memberlist.streams import StreamCodec
from memberlist.versions import incompatible

SCALE_FROM = 32


class PushPulls:
    """Exchanges of everything with one peer at a time."""

    def __init__(
        self,
        config: Config,
        table: MemberTable,
        membership: Membership,
        outbox: Outbox,
        streams: StreamCodec,
        delegate: Delegate,
        complaints: Complaints,
    ) -> None:
        self._config = config
        self._table = table
        self._membership = membership
        self._outbox = outbox
        self._streams = streams
        self._delegate = delegate
        self._complaints = complaints
        self._dials: set[int] = set()
        self.due = math.inf

    def start(self, now: float, rng: random.Random) -> None:
        self.due = now + rng.random() * self._config.push_pull_interval

    def tick(self, now: float) -> None:
        if now < self.due:
            return
        interval = self._config.push_pull_interval * push_pull_scale(len(self._table))
        self.due += ((now - self.due) // interval + 1) * interval
        for record in self._table.pick(1, self._is_other_alive):
            self.dial(now, record.endpoint, join=False)

    def dial(self, now: float, to: Endpoint, *, join: bool) -> int:
        """Ask a peer for an exchange; the dial's id."""
        data = self._streams.seal(encode(self.local_state(join)), dialled=True)
        dial = self._outbox.dial(to, data, replies=True, deadline=now + self._config.tcp_timeout)
        self._dials.add(dial)
        return dial

    def answered(self, now: float, dial: int, message: StreamMessage, source: Endpoint) -> str | None:
        """The reply to one of our dials; a sentence if it isn't what was asked for."""
        if dial in self._dials:
            self._dials.discard(dial)
            match message:
                case PushPull():
                    return self.merge(now, message, source)
                case ErrorReply():
                    return f"the peer says: {message.error}"
        return "an unexpected reply"

    def failed(self, dial: int) -> None:
        self._dials.discard(dial)

    def local_state(self, join: bool) -> PushPull:
        return PushPull(join, tuple(record.line() for record in self._table), self._delegate.local_state(join))

    def merge(self, now: float, message: PushPull, source: Endpoint) -> str | None:
        """Believe what a peer knows, or a sentence on why not."""
        refusal = incompatible(message.nodes, self._table)
        if refusal is None and message.join and type(self._delegate) is not Delegate:
            members = [claimed_view(node) for node in message.nodes]
            if not self._delegate.accepts_merge(members):
                refusal = "the application refuses the merge"
        if refusal is not None:
            self._complaints.about(now, "merges refused", refusal, source)
            return refusal
        self._membership.merge(now, message.nodes)
        if message.user_state:
            self._delegate.merge_remote_state(message.user_state, message.join)
        return None

    def _is_other_alive(self, record: Record) -> bool:
        return record.state is State.ALIVE and record.name != self._membership.name


def push_pull_scale(members: int) -> int:
    """How much longer the push/pull interval is in large clusters (memberlist `pushPullScale`)."""
    if members <= SCALE_FROM:
        return 1
    return math.ceil(math.log2(members) - math.log2(SCALE_FROM)) + 1
