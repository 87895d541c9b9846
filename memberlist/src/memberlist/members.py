"""The member table and the order of probing.

Owns records and their public view.  Knows no rules, packets, timers or broadcasts (memberlist `state.go`, `util.go`).
"""

from __future__ import annotations

import ipaddress
import math
import random
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from memberlist.events import Member, Versions
from memberlist.messages import Alive, Endpoint, NodeState, State, endpoint

UNREACHABLE = Endpoint(ipaddress.IPv4Address(0), 0)
FORGOTTEN_MAX = 1024
"""Dead members that are remembered for knocking after they left the table; the oldest go first."""
GONE = (State.DEAD, State.LEFT)


class Record:
    """What is known of one member.  `since`: its state last changed; `conflict_told`: we last spoke of a conflict."""

    __slots__ = (
        "_view",
        "address",
        "conflict_told",
        "endpoint",
        "incarnation",
        "meta",
        "name",
        "port",
        "since",
        "state",
        "versions",
    )

    def __init__(self, name: str, address: bytes, port: int, since: float) -> None:
        self.name = name
        self.meta = b""
        self.versions = bytes(6)
        self.incarnation = 0
        self.state = State.DEAD
        self.since = since
        self.conflict_told = -math.inf
        self._view: Member | None = None
        self.move(address, port)

    def move(self, address: bytes, port: int) -> None:
        """Give it another address; the raw bytes are kept as its owner wrote them."""
        self.address = address
        self.port = port
        self.endpoint = endpoint(address, port) or UNREACHABLE
        self._view = None

    def adopt(self, claim: Alive) -> None:
        """Take over all that its owner says of itself."""
        self.incarnation = claim.incarnation
        self.meta = claim.meta
        if len(claim.versions) == 6:
            self.versions = claim.versions
        if (claim.address, claim.port) != (self.address, self.port):
            self.move(claim.address, claim.port)
        self._view = None

    def become(self, state: State, now: float) -> None:
        self.state = state
        self.since = now
        self._view = None

    def believe(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self._view = None

    @property
    def is_gone(self) -> bool:
        return self.state in GONE

    @property
    def protocol_max(self) -> int:
        return self.versions[1]

    @property
    def view(self) -> Member:
        """The frozen public form, made anew only after a change."""
        if self._view is None:
            self._view = Member(
                name=self.name,
                address=self.endpoint.address,
                port=self.port,
                meta=self.meta,
                state=self.state,
                incarnation=self.incarnation,
                versions=Versions(*self.versions),
            )
        return self._view

    def claim(self) -> Alive:
        """The alive message that says what is known of it."""
        return Alive(self.incarnation, self.name, self.address, self.port, self.meta, self.versions)

    def line(self) -> NodeState:
        """Its line of a push/pull."""
        return NodeState(self.name, self.address, self.port, self.meta, self.incarnation, self.state, self.versions)


def claimed_view(node: NodeState) -> Member:
    """The public form of a push/pull line that nobody has believed yet."""
    record = Record(node.name, node.address, node.port, 0.0)
    record.adopt(Alive(node.incarnation, node.name, node.address, node.port, node.meta, node.versions))
    record.become(node.state, 0.0)
    return record.view


class Lost(NamedTuple):
    """A member that died and may live: where it was, and the last that we knew of it."""

    name: str
    endpoint: Endpoint
    incarnation: int
    since: float


class MemberTable:
    """All members ever heard of and not yet forgotten, ourselves included."""

    def __init__(self, own_name: str, rng: random.Random) -> None:
        self._own_name = own_name
        self._rng = rng
        self._records: dict[str, Record] = {}
        self._ring: list[Record] = []
        self._next = 0
        self._snapshot: Mapping[str, Member] | None = None
        self._forgotten: dict[str, Lost] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._ring)

    def get(self, name: str) -> Record | None:
        return self._records.get(name)

    def changed(self) -> None:
        """A record was changed: the next snapshot is made anew."""
        self._snapshot = None

    def snapshot(self) -> Mapping[str, Member]:
        """The members by name, as they are now; it doesn't change later."""
        if self._snapshot is None:
            self._snapshot = MappingProxyType({name: record.view for name, record in self._records.items()})
        return self._snapshot

    def insert(self, record: Record) -> None:
        """Add a new member at a random place of the probing order, so that nobody's turn can be foreseen."""
        self._records[record.name] = record
        self._forgotten.pop(record.name, None)
        ring = self._ring
        ring.append(record)
        place = self._rng.randrange(len(ring))
        ring[place], ring[-1] = ring[-1], ring[place]
        self._snapshot = None

    def next_to_probe(self, now: float, forget_after: float) -> Record | None:
        """The next live or suspect member in the order; at its end the long dead are forgotten and it is shuffled.

        None if there is nobody to probe.  (memberlist gives up after as many skips as there are members and so
        loses turns in a cluster of two; we don't.)
        """
        skipped = 0
        while skipped < 2 * len(self._ring):  # the rest of this order, and all of the next
            if self._next >= len(self._ring):
                self._reap(now, forget_after)
                self._rng.shuffle(self._ring)
                self._next = 0
            record = self._ring[self._next]
            self._next += 1
            if record.name == self._own_name or record.is_gone:
                skipped += 1
                continue
            return record
        return None

    def successor(self) -> Record | None:
        """The next live or suspect member after ourselves by name, and round: the one of all that we watch."""
        own = self._own_name
        others = (record for record in self._ring if not record.is_gone and record.name != own)
        return min(others, key=lambda record: (record.name < own, record.name), default=None)

    def pick(self, count: int, fits: Callable[[Record], bool]) -> list[Record]:
        """Up to `count` different members that fit, at random; in a large table perhaps fewer than there are."""
        ring = self._ring
        if len(ring) < 3 * count:
            chosen = [record for record in ring if fits(record)]
            self._rng.shuffle(chosen)
            return chosen[:count]
        chosen = []
        for _ in range(3 * len(ring)):
            record = ring[self._rng.randrange(len(ring))]
            if record not in chosen and fits(record):
                chosen.append(record)
                if len(chosen) == count:
                    break
        return chosen

    def lost(self, now: float, within: float) -> list[Lost]:
        """All who died in the last `within` seconds, the forgotten included, but none who left."""
        dead = [
            Lost(record.name, record.endpoint, record.incarnation, record.since)
            for record in self._ring
            if record.state is State.DEAD and now - record.since <= within
        ]
        return dead + [lost for lost in self._forgotten.values() if now - lost.since <= within]

    def is_alive(self, name: str) -> bool:
        record = self._records.get(name)
        return record is not None and not record.is_gone

    def is_of_another(self, source: Endpoint, target: Record) -> bool:
        """Whether a packet came from a member that isn't `target`."""
        return any(record.endpoint == source for record in self._ring if record is not target)

    def anyone_else_alive(self) -> bool:
        return any(record.name != self._own_name and not record.is_gone for record in self._ring)

    def _reap(self, now: float, older_than: float) -> None:
        forgotten = {
            record.name
            for record in self._ring
            if record.is_gone and record.name != self._own_name and now - record.since > older_than
        }
        if not forgotten:
            return
        self._ring = [record for record in self._ring if record.name not in forgotten]
        for name in forgotten:
            record = self._records.pop(name)
            if record.state is State.DEAD:
                self._forgotten[name] = Lost(name, record.endpoint, record.incarnation, record.since)
        while len(self._forgotten) > FORGOTTEN_MAX:
            del self._forgotten[next(iter(self._forgotten))]
        self._snapshot = None
