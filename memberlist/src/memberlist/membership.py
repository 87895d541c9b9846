"""Who is alive: the claims alive, suspect and dead, refutation of claims about ourselves, and suspicion timers.

Owns every change of the member table and every rumour about a member (SWIM section 4.2; memberlist `state.go`).  What
becomes of a claim is read from the table in verdicts.py.  Sends nothing: rumours go into the queue, events into the
outbox.
"""

from __future__ import annotations

import heapq
import ipaddress
import logging
import math
from collections import Counter
from typing import assert_never

from memberlist.awareness import Awareness
from memberlist.broadcasts import Broadcasts, Rumour
from memberlist.codec import encode
from memberlist.config import Config
from memberlist.delegate import Delegate
from memberlist.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
)
from memberlist.members import MemberTable, Record
from memberlist.messages import META_MAX, Alive, Claim, Dead, Endpoint, NodeState, State, Suspect, endpoint
from memberlist.outbox import Outbox
from memberlist.suspicion import Suspicion
from memberlist.verdicts import Says, Standing, Verdict, age, judge

log = logging.getLogger(__name__)

INCARNATION_MAX = 0xFFFF_FFFF
NAME_MAX = 512
"""Not in memberlist.  Who has a longer name, or speaks under one, is ignored: a datagram has room for 64 KiB of it."""
CONFLICT_EVERY = 60.0
"""Seconds between two words about a name that two machines claim: who repeats an old claim can't flood the log."""


class Membership:
    """One member's belief about all, itself included."""

    def __init__(
        self,
        name: str,
        config: Config,
        table: MemberTable,
        rumours: Broadcasts,
        awareness: Awareness,
        outbox: Outbox,
        delegate: Delegate,
        counters: Counter[str],
    ) -> None:
        self.name = name
        self.leaving = False
        self._config = config
        self._table = table
        self._rumours = rumours
        self._awareness = awareness
        self._outbox = outbox
        self._delegate = delegate
        self._counters = counters
        self._suspicions: dict[str, Suspicion] = {}
        self._timers: list[tuple[float, str]] = []  # a heap; outdated entries are skipped when they come to its top
        self._own_port = 0
        self._newly_suspected: list[Record] = []

    @property
    def own(self) -> Record:
        """Our own record; only after `start`."""
        record = self._table.get(self.name)
        assert record is not None
        return record

    def start(self, now: float, address: bytes, port: int, meta: bytes, incarnation: int) -> None:
        """Enter ourselves, and queue the news."""
        self._own_port = port
        self.alive(now, Alive(incarnation, self.name, address, port, meta, self._config.versions), own_word=True)

    def update_meta(self, now: float, meta: bytes) -> None:
        """Tell everybody of our new metadata."""
        own = self.own
        incarnation = _above(own.incarnation, own.incarnation)
        self.alive(now, Alive(incarnation, own.name, own.address, own.port, meta, own.versions), own_word=True)

    def leave(self, now: float) -> Rumour | None:
        """Say that we go; the rumour to wait for, or None if we had left already."""
        claim = Dead(self.own.incarnation, self.name, self.name)
        verdict = self._verdict(now, claim, Says.OUR_LEFT)
        self.leaving = True
        return self._act(now, claim, verdict)

    # --- claims ---

    def alive(self, now: float, claim: Alive, *, own_word: bool = False) -> None:
        """Somebody is alive, says a rumour, a push/pull, or (`own_word`) we ourselves."""
        if claim.port == 0:  # protocol version 1 had no ports: the receiver's own is meant
            claim = Alive(claim.incarnation, claim.node, claim.address, self._own_port, claim.meta, claim.versions)
        where = endpoint(claim.address, claim.port)
        if where is None or not self._is_acceptable(claim, where):
            return
        verdict = self._verdict(now, claim, Says.OUR_ALIVE if own_word else self._alive_says(claim))
        if verdict is Verdict.IGNORE or not self._delegate_accepts(claim, where):
            return
        if self._table.get(claim.node) is None:
            if len(self._table) >= self._config.members_max:
                log.debug("too many members", extra={"member": claim.node})
                return
            self._table.insert(Record(claim.node, claim.address, claim.port, now))
        self._act(now, claim, verdict)

    def suspect(self, now: float, claim: Suspect) -> None:
        """Somebody is suspected, by a rumour or by our own probe."""
        if len(claim.source) > NAME_MAX:
            return
        self._act(now, claim, self._verdict(now, claim, Says.SUSPECT))

    def dead(self, now: float, claim: Dead) -> None:
        """Somebody is dead or leaves."""
        if len(claim.source) > NAME_MAX:
            return
        self._act(now, claim, self._verdict(now, claim, Says.LEFT if claim.node == claim.source else Says.DEAD))

    def merge(self, now: float, states: tuple[NodeState, ...]) -> None:
        """What a peer knows; its "dead" is only a reason for us to suspect, as it may be out of date."""
        for node in states:
            match node.state:
                case State.ALIVE:
                    self.alive(
                        now,
                        Alive(node.incarnation, node.name, node.address, node.port, node.meta, node.versions),
                    )
                case State.LEFT:
                    self.dead(now, Dead(node.incarnation, node.name, node.name))
                case State.SUSPECT | State.DEAD:
                    self.suspect(now, Suspect(node.incarnation, node.name, self.name))

    # --- time ---

    def deadline(self) -> float:
        """When the next suspicion runs out; infinity if none runs."""
        timers = self._timers
        while timers:
            due, name = timers[0]
            running = self._suspicions.get(name)
            if running is not None and running.deadline == due:
                return due
            heapq.heappop(timers)
        return math.inf

    def tick(self, now: float) -> None:
        """Declare dead whose time is over."""
        while self.deadline() <= now:
            _, name = heapq.heappop(self._timers)
            self.dead(now, Dead(self._suspicions[name].incarnation, name, self.name))

    def postpone(self, seconds: float) -> None:
        """We were stopped for so long: refutations may still be waiting to be read."""
        for running in self._suspicions.values():
            running.postpone(seconds)
        self._timers = [(running.deadline, name) for name, running in self._suspicions.items()]
        heapq.heapify(self._timers)

    def take_newly_suspected(self) -> list[Record]:
        """Members whom others came to suspect since the last call."""
        suspected, self._newly_suspected = self._newly_suspected, []
        return suspected

    # --- the verdict ---

    def _verdict(self, now: float, claim: Claim, says: Says) -> Verdict:
        known = self._table.get(claim.node)
        incarnation = 0 if known is None else known.incarnation
        return judge(self._standing(now, claim.node, known), says, age(claim.incarnation, incarnation))

    def _standing(self, now: float, name: str, known: Record | None) -> Standing:
        if known is None:
            return Standing.UNKNOWN
        if name == self.name:
            return Standing.LEAVING if self.leaving else Standing.OURSELVES
        match known.state:
            case State.ALIVE:
                return Standing.ALIVE
            case State.SUSPECT:
                return Standing.SUSPECT
            case State.DEAD:
                reclaim = self._config.dead_node_reclaim_time
                return Standing.LONG_DEAD if reclaim > 0 and now - known.since > reclaim else Standing.DEAD
            case State.LEFT:
                return Standing.LEFT
            case _:
                assert_never(known.state)

    def _alive_says(self, claim: Alive) -> Says:
        known = self._table.get(claim.node)
        if known is None:
            return Says.ALIVE
        if (known.address, known.port) != (claim.address, claim.port):
            return Says.ELSEWHERE
        if claim.node == self.name and (known.meta, known.versions) != (claim.meta, claim.versions):
            return Says.ALTERED
        return Says.ALIVE

    def _act(self, now: float, claim: Claim, verdict: Verdict) -> Rumour | None:
        """Do what was decided; the rumour if somebody is gone by it."""
        if verdict is Verdict.IGNORE:
            return None
        known = self._table.get(claim.node)
        assert known is not None  # of strangers only their alive is not ignored, and `alive` has entered them
        match verdict:
            case Verdict.CONFLICT:
                assert isinstance(claim, Alive)
                self._conflict(now, known, claim)
            case Verdict.REFUTE:
                self._refute(known, claim.incarnation)
            case Verdict.REMIND:
                self._rumours.about(self.name, encode(known.claim()))
            case Verdict.JOIN | Verdict.UPDATE | Verdict.CLEAR:
                assert isinstance(claim, Alive)
                self._accept(now, known, claim, verdict)
            case Verdict.SUSPECT:
                assert isinstance(claim, Suspect)
                self._begin_suspicion(now, known, claim)
            case Verdict.CONFIRM:
                assert isinstance(claim, Suspect)
                self._confirm(claim)
            case Verdict.FAIL | Verdict.LEAVE:
                assert isinstance(claim, Dead)
                return self._bury(now, known, claim, verdict)
            case _:
                assert_never(verdict)
        return None

    def _accept(self, now: float, known: Record, claim: Alive, verdict: Verdict) -> None:
        old_meta = known.meta
        if verdict is Verdict.CLEAR:
            self._counters["suspicions refuted"] += 1
        self._suspicions.pop(claim.node, None)
        self._rumours.about(claim.node, encode(claim))
        known.adopt(claim)
        if verdict is not Verdict.UPDATE:
            known.become(State.ALIVE, now)
        self._table.changed()
        if verdict is Verdict.JOIN:
            log.info("join", extra={"member": claim.node})
            self._outbox.event(MemberJoined(known.view))
        elif verdict is Verdict.CLEAR or old_meta != claim.meta:
            self._outbox.event(MemberUpdated(known.view))

    def _begin_suspicion(self, now: float, known: Record, claim: Suspect) -> None:
        self._rumours.about(claim.node, encode(claim))
        known.believe(claim.incarnation)
        known.become(State.SUSPECT, now)
        self._table.changed()
        running = Suspicion(now, self._config, len(self._table), claim.source, claim.incarnation)
        self._suspicions[claim.node] = running
        heapq.heappush(self._timers, (running.deadline, claim.node))
        if claim.source != self.name:
            self._newly_suspected.append(known)
        self._counters["suspicions"] += 1
        log.info("suspect", extra={"member": claim.node, "source": claim.source})
        self._outbox.event(MemberSuspected(known.view))

    def _confirm(self, claim: Suspect) -> None:
        running = self._suspicions[claim.node]
        if running.confirm(claim.source):
            heapq.heappush(self._timers, (running.deadline, claim.node))
            self._rumours.about(claim.node, encode(claim))

    def _bury(self, now: float, known: Record, claim: Dead, verdict: Verdict) -> Rumour:
        leaves = verdict is Verdict.LEAVE
        self._suspicions.pop(claim.node, None)
        rumour = self._rumours.about(claim.node, encode(claim))
        known.believe(claim.incarnation)
        known.become(State.LEFT if leaves else State.DEAD, now)
        self._table.changed()
        log.info("left" if leaves else "failed", extra={"member": claim.node, "source": claim.source})
        self._outbox.event(MemberLeft(known.view) if leaves else MemberFailed(known.view))
        return rumour

    def _conflict(self, now: float, known: Record, claim: Alive) -> None:
        if now - known.conflict_told < CONFLICT_EVERY:
            return
        known.conflict_told = now
        claimed = endpoint(claim.address, claim.port)
        assert claimed is not None
        log.warning("name conflict", extra={"member": claim.node, "claimed": str(claimed)})
        self._outbox.event(NameConflict(known.view, claimed.address, claimed.port))

    def _refute(self, own: Record, accused: int) -> None:
        """Contradict a claim about ourselves with a higher incarnation, which no one else may give out."""
        own.believe(_above(own.incarnation, accused))
        self._table.changed()
        self._awareness.change(+1)
        self._counters["refutations"] += 1
        log.info("refute", extra={"incarnation": own.incarnation})
        self._rumours.about(self.name, encode(own.claim()))

    # --- what is no matter of state ---

    def _is_acceptable(self, claim: Alive, where: Endpoint) -> bool:
        versions = claim.versions
        if len(versions) != 6:  # memberlist takes it, and then no exchange in the cluster works until it's forgotten
            return False
        if versions[0] == 0 or versions[1] == 0 or versions[0] > versions[1]:
            return False
        if len(claim.node) > NAME_MAX or len(claim.meta) > META_MAX:
            return False
        networks = self._config.allowed_networks
        return not networks or any(_contains(network, where) for network in networks)

    def _delegate_accepts(self, claim: Alive, where: Endpoint) -> bool:
        if type(self._delegate).accepts is Delegate.accepts:
            return True
        candidate = Record(claim.node, claim.address, claim.port, 0.0)
        candidate.adopt(claim)
        candidate.become(State.ALIVE, 0.0)
        return self._delegate.accepts(candidate.view)


def _above(own: int, accused: int) -> int:
    """The next incarnation of ours that beats `accused`; at the end of 32 bits there is none and the last one stays."""
    return min(INCARNATION_MAX, max(own, accused) + 1)


def _contains(network: ipaddress.IPv4Network | ipaddress.IPv6Network, where: Endpoint) -> bool:
    return where.address.version == network.version and where.address in network
