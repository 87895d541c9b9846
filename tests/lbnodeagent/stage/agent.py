"""One agent on the stage: the data plane's real core, with what its driver does played in virtual time.

An agent is one process: while it is frozen, what comes to it waits, and is heard in its order when it goes on.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, assert_never

from lbnodeagent.dataplane.core import Core
from lbnodeagent.dataplane.invariants import Refusal
from lbnodeagent.dataplane.outputs import Adopted, Counted, Execute, JoinAtOnce, Output, RemovedOften, SayMeta, Swept
from lbnodeagent.dataplane.standstill import Standstill
from lbnodeagent.dataplane.takeovers import Takeover
from lbnodeagent.election.negotiation import Send
from lbnodeagent.flows import tables as flows
from lbnodeagent.gate.looks import Looked
from lbnodeagent.gossip.correspondence import Correspondence
from lbnodeagent.gossip.envelope import LIFE_SIZE, Life
from lbnodeagent.gossip.events import CutOff, GossipStarted, PeerAlive, PeerGone, StoodStill
from lbnodeagent.gossip.hearing import Hearing
from lbnodeagent.gossip.meta import Meta
from lbnodeagent.kernel.notifications import Change
from lbnodeagent.messages import Begun, BehindApi, Peer, PeersKnown
from lbnodeagent.returnpath.ways import ReturnWays
from lbnodeagent.tables import (
    FOREVER,
    Action,
    AddRoute,
    Announcement,
    Conflict,
    CreateDummy,
    DeleteDummy,
    DeleteRoute,
    IfIndex,
    KeepsFlows,
    KeptFlows,
    Mac,
    Members,
    Report,
    Serving,
    SetUp,
    StrayAnswers,
    Surroundings,
    Wiped,
)
from lbnodeagent.wire.garp import Announce
from lbnodeagent.wire.neighbours import Probe
from memberlist.errors import UnknownMember
from memberlist.events import Event, MemberFailed, MemberSuspected, MemberUpdated
from memberlist.simulation import Simulation
from purelb.addresses import IPAddress
from purelb.membership import Attendance
from purelb.returnpath import ReturnPathTrouble
from purelb.version import Version
from tests.lbnodeagent.stage.api import Kind, Objects
from tests.lbnodeagent.stage.controlplane import ControlPlane
from tests.lbnodeagent.stage.kernel import FakeKernel
from tests.lbnodeagent.stage.netlink import FakeNetlink, Seam

SLOW: tuple[float, float] = (0.001, 0.02)
"""Seconds that links and routes take; addresses are done within the request."""
SPIN = 200
"""Turns at one moment that are no way to wait."""


class Surrounding(Protocol):
    """Where an agent says something."""

    def announce(self, sender: str, announce: Announce) -> None: ...
    def probe(self, sender: str, probe: Probe) -> None: ...
    def sent(self, sender: str, send: Send) -> None: ...
    def overhear(self, to: str, payload: bytes) -> None: ...
    def executed(self, node: str, actions: Sequence[Action]) -> None: ...


class Agent:
    """A run of the agent on a node; ``begin`` when its member of the gossip is there."""

    def __init__(
        self,
        name: str,
        kernel: FakeKernel,
        seam: Seam,
        simulation: Simulation,
        around: Surrounding,
        chance: random.Random,
        probe_interval: float,
    ) -> None:
        self.name = name
        self._hearing = Hearing(probe_interval)
        self._peers: set[str] = set()
        self.core = Core(name, Version())
        self.control = ControlPlane(name)
        self.correspondence = Correspondence(name, Life(chance.randbytes(LIFE_SIZE)))
        self.has_gossip = False
        self.said = Meta()
        """Before it had."""
        self.is_frozen = False
        self.is_over = False
        self.reports: list[Report] = []
        self.removals: list[RemovedOften] = []
        self.counted: Counter[str] = Counter()
        self.takeovers: list[Takeover] = []
        self.began_at = self.thawed_at = simulation.now
        self.netlink = FakeNetlink(name, kernel, seam, chance, lambda: self._now, self._after, self._heard)
        self._simulation = simulation
        self._around = around
        self._chance = chance
        self._standstill = Standstill()
        self._waiting: list[Callable[[], None]] = []
        self._heard_at: dict[Kind, float] = {}
        self._tick_at = FOREVER
        self._spins = (0.0, 0)

    def begin(self, peers: frozenset[str]) -> None:
        """Read the kernel; the gossip starts later."""
        self.core.start(self._now, self.netlink.read())
        self.core.await_looks(self._now)
        self.core.told(self._now, Begun())
        self.core.told(self._now, PeersKnown(frozenset(Peer(node, node) for node in peers), peers))
        self._carry_out()

    def gossip_starts(self) -> None:
        """It has its key and its port."""
        self.has_gossip = True
        self._do(lambda: self.core.peer(self._now, GossipStarted()))

    # --- what happens to it ------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        self.is_frozen = True
        self._standstill.expect(self._now)

    def thaw(self) -> None:
        """Go on, with all that waited."""
        self.is_frozen, self.thawed_at = False, self._now
        if self._standstill.has_been(self._now):
            self._do(lambda: self.core.peer(self._now, StoodStill()))
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            self._do(action)

    def end(self) -> None:
        """It is killed."""
        self.is_over = True

    def told(self, kind: Kind, objects: Objects, late: float) -> None:
        """The API has news of a kind, which is heard after ``late`` seconds, and after what came before."""
        at = self._heard_at[kind] = max(self._now + late, self._heard_at.get(kind, 0.0))

        def hear() -> None:
            for one in self.control.hear(kind, objects):
                self.core.told(self._now, one)

        self._after(at - self._now, hear)

    def behind(self, *, is_behind: bool) -> None:
        """It notices that it doesn't hear of Services any more, or again."""
        self._do(lambda: self.core.told(self._now, BehindApi(is_behind)))

    def gossip(self, event: Event) -> None:
        def hear() -> None:
            if isinstance(event, MemberFailed | MemberSuspected | MemberUpdated):
                self._listen(is_death=isinstance(event, MemberFailed))
            happened = self.correspondence.hear(event)
            match happened:
                case None:
                    return
                case PeerAlive(node):
                    self._peers.add(node)
                case PeerGone(node):
                    self._peers.discard(node)
                case _:
                    pass
            self.core.peer(self._now, happened)

        self._do(hear)

    def listen(self) -> None:
        """Whether anybody answers, as gossip/peers.py looks."""
        self._do(self._listen)

    def _listen(self, *, is_death: bool = False) -> None:
        answered_at = self._simulation.nodes[self.name].core.answered_at
        if self._hearing.look(self._now, answered_at, has_peers=bool(self._peers), is_death=is_death):
            self.core.peer(self._now, CutOff(self._hearing.is_cut_off))

    def claim(self, index: IfIndex, vip: IPAddress, mac: Mac) -> None:
        self._do(lambda: void(self.core.claim(self._now, index, vip, mac)))

    def looked(self, looked: Looked) -> None:
        """It looks at its node's data path."""
        self._do(lambda: self.core.looked(self._now, looked))

    def leave(self) -> None:
        self._do(lambda: self.core.leave(self._now))

    def pause(self, within: int) -> None:
        """It ends, and another one comes; by then what it has stays."""
        self._do(lambda: self.core.pause(self._now, within))

    def _heard(self, changes: list[Change]) -> None:
        self.core.kernel(self._now, changes)

    # --- what it does ------------------------------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return self._simulation.now

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._simulation.after(seconds, lambda: self._do(action))

    def _do(self, action: Callable[[], None]) -> None:
        if self.is_over:
            return
        if self.is_frozen:
            self._waiting.append(action)
            return
        action()
        self._carry_out()

    def _carry_out(self) -> None:
        while outputs := self.core.outputs():
            for output in outputs:
                self._carry_out_one(output)
        due = max(self._now, self.core.next_deadline())
        if due < self._tick_at and due != FOREVER:
            self._tick_at = due
            self._after(due - self._now, lambda: self._tick(due))

    def _tick(self, due: float) -> None:
        if due != self._tick_at:
            return  # an earlier one was queued meanwhile
        self._tick_at = FOREVER
        at, spins = self._spins
        self._spins = (self._now, spins + 1 if at == self._now else 0)
        assert spins < SPIN, f"{self.name} turns and turns at {self._now}"
        if self.core.next_deadline() <= self._now:
            self.core.tick(self._now)

    def _carry_out_one(self, output: Output) -> None:
        match output:
            case Execute(actions):
                slow = (CreateDummy, SetUp, DeleteDummy, AddRoute, DeleteRoute)
                if any(isinstance(action, slow) for action in actions):
                    self._after(self._chance.uniform(*SLOW), lambda: self._execute(output))
                else:
                    self._execute(output)
            case Announce():
                self._around.announce(self.name, output)
            case Probe():
                self._around.probe(self.name, output)
            case Send(to, message) if self.has_gossip:
                self._around.sent(self.name, output)
                for payload in self.correspondence.write(to, message):
                    self._around.overhear(to, payload)
                    try:
                        self._simulation.send_best_effort(self.name, to, payload)
                    except UnknownMember:
                        return
            case SayMeta(meta) if not self.has_gossip:
                self.said = meta
            case SayMeta(meta):
                self._simulation.update_meta(self.name, self.correspondence.meta(meta))
            case Adopted(addresses):
                self.netlink.adopt(addresses)
            case Swept(present):
                self.netlink.swept(present)
            case Counted(what, times):
                self.counted[what] += times
            case Takeover():
                self.takeovers.append(output)
            case RemovedOften():
                self.removals.append(output)
            case JoinAtOnce() | Refusal() | Send() | ReturnWays():
                pass
            case (
                flows.Look()
                | flows.OfferEnded()
                | flows.Keep()
                | flows.Change()
                | flows.Await()
                | flows.Account()
                | flows.Disown()
            ):
                pass  # no kernel here keeps any
            case flows.Fellows() | flows.Routed() | flows.Located() | flows.Released() | flows.Settled():
                pass
            case flows.Ask() | flows.Find():
                pass  # nor holds any back
            case Announcement() | Conflict() | Wiped() | Surroundings() | StrayAnswers() | Members():
                self.reports.append(output)
            case Serving() | KeptFlows() | KeepsFlows() | Attendance() | ReturnPathTrouble():
                self.reports.append(output)
            case _:
                assert_never(output)

    def _execute(self, execute: Execute) -> None:
        outcomes = self.netlink.execute(execute.actions)
        self._around.executed(self.name, execute.actions)
        self.core.executed(self._now, outcomes)


def void(_: object) -> None:
    """A result that nobody needs."""
