"""The data plane's core on a node: waits, feeds the core, carries out what it says, and feeds back what came of it.

Owns the clock, the tasks and all that is between the core and kernel, wire, gossip and mailboxes; decides nothing. Runs
on a loop of its own and never waits for Kubernetes: the control plane's tables come and the reports go through a
Mailbox each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, assert_never

from lbnodeagent.bird.watch import BirdWatch
from lbnodeagent.dataplane.core import Core
from lbnodeagent.dataplane.executor import Executor
from lbnodeagent.dataplane.gauges import Gauges
from lbnodeagent.dataplane.invariants import Refusal
from lbnodeagent.dataplane.looplag import measure_lag
from lbnodeagent.dataplane.outputs import Adopted, Counted, Execute, JoinAtOnce, Output, RemovedOften, SayMeta, Swept
from lbnodeagent.dataplane.reports import Reported, Reports
from lbnodeagent.dataplane.rivals import Rivals
from lbnodeagent.dataplane.standstill import Standstill
from lbnodeagent.dataplane.takeovers import Takeover
from lbnodeagent.election.negotiation import Send
from lbnodeagent.errors import FrameError
from lbnodeagent.flows.tables import FlowsOutput, Stray
from lbnodeagent.gate.watch import GateWatch
from lbnodeagent.gossip.events import StoodStill
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.kernel.netlink import Netlink
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Begun, Configured, KeysKnown, PeersKnown, Told, ToldKey
from lbnodeagent.returnpath.keeper import ReturnKeeper
from lbnodeagent.returnpath.ways import ReturnWays
from lbnodeagent.tables import (
    Announcement,
    Conflict,
    IfIndex,
    KeepsFlows,
    KeptFlows,
    Members,
    Report,
    ReportKey,
    Serving,
    StrayAnswers,
    Surroundings,
    Wiped,
)
from lbnodeagent.wire.frames import claim_of
from lbnodeagent.wire.garp import Announce
from lbnodeagent.wire.neighbours import Probe
from lbnodeagent.wire.rawsocket import FrameListener, FrameSender
from lbnodeagent.wire.sending import Sending
from purelb.addresses import IPAddress
from purelb.membership import Attendance
from purelb.metrics import AgentMetrics
from purelb.pulse import BEAT, Pulse
from purelb.returnpath import ReturnPathTrouble
from purelb.statedump import Table

if TYPE_CHECKING:
    from lbnodeagent.flows.keeper import FlowKeeper

log = logging.getLogger(__name__)

STILL: Final = 15.0
"""Seconds without a turn after which the data plane counts as dead."""


class DataPlane:
    """One node's VIPs. ``start``, then ``run`` until cancelled; before that ``leave``, which gives the VIPs away.

    With a ``router``, routed VIPs that aren't here yet wait until it routes; with a ``gate`` the node
    serves while its data path looks well; with a ``keeper`` flows outlive a planned move of their VIP.
    """

    def __init__(
        self,
        core: Core,
        netlink: Netlink,
        sender: FrameSender,
        listener: FrameListener,
        peers: Peers,
        inbox: Mailbox[ToldKey, Told],
        outbox: Mailbox[ReportKey, Report],
        metrics: AgentMetrics,
        returns: ReturnKeeper,
        router: BirdWatch | None = None,
        gate: GateWatch | None = None,
        keeper: FlowKeeper | None = None,
    ) -> None:
        self._core = core
        self._netlink = netlink
        self._executor = Executor(netlink, metrics)
        self._sending = Sending(sender, metrics)
        self._listener = listener
        self._peers = peers
        self._inbox = inbox
        self._metrics = metrics
        self._router = router
        self._gate = gate
        self._keeper = keeper
        self._returns = returns
        self._gauges = Gauges(core, peers, metrics)
        self._reports = Reports(outbox, Rivals(netlink.neighbours))
        self._wake = asyncio.Event()
        self._departed = asyncio.Event()
        self._to_execute: deque[Execute] = deque()
        self._standstill = Standstill()
        self.pulse = Pulse("the data plane", STILL)
        """Shown at each turn: neither a loop that is blocked nor a kernel that never answers goes unseen."""

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the kernel, and adopt what an earlier run left. Raises KernelError."""
        self._core.start(self._now(), await self._netlink.read())
        if self._router is not None:
            self._core.await_router(self._now())
        if self._gate is not None:
            self._core.await_looks(self._now())
        if self._keeper is not None:
            begun = await self._keeper.begin()
            self._reports.of_flows(begun)
            if begun.trouble:
                self._keeper = None
            else:
                self._core.keep_flows(self._now(), self._keeper.adopted)

    async def run(self) -> None:
        """Keep the VIPs where they belong, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_kernel())
            tasks.create_task(self._listener.hear(self._heard))
            tasks.create_task(self._follow_peers())
            tasks.create_task(self._follow_inbox())
            if self._router is not None:
                tasks.create_task(self._follow_router(self._router))
            if self._gate is not None:
                tasks.create_task(self._follow_gate(self._gate))
            if self._keeper is not None:
                tasks.create_task(self._keeper.run(self._flows_looked, self._flows_astray, self._reports.of_flows))
            tasks.create_task(self._returns.run(self._reports.of_returns))
            tasks.create_task(self._gauges.show_subnets())
            tasks.create_task(self._reports.name_rivals(self._now))
            tasks.create_task(self._reports.look_for_stray_answers())
            tasks.create_task(measure_lag(self._metrics, self._standstill, self._peers.wake_within))
            tasks.create_task(self._take_turns())

    async def leave(self, timeout: float) -> None:
        """Hand over the VIPs that get a new owner and withdraw the rest, within ``timeout`` seconds.

        To be called while ``run`` still runs.
        """
        self._core.leave(self._now())
        self._fed()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._departed.wait()
                return
        log.warning("shutdown took too long, VIPs expire by themselves", extra={"timeout": timeout})

    async def pause(self, timeout: float, within: int) -> bool:
        """Have the VIPs stay for the next agent, which is there ``within`` seconds; False: they can't, ``leave``.

        To be called while ``run`` still runs; after ``timeout`` seconds it ends as things are.
        """
        if not self._core.may_pause:
            return False
        self._core.pause(self._now(), within)
        self._fed()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._departed.wait()
        return True

    async def end(self) -> None:
        """Leave no rule behind by which answers leave. To be called when ``run`` has ended."""
        await self._returns.end()

    def tables(self) -> tuple[Table, ...]:
        """All that is known here, for whoever debugs it."""
        return self._core.tables(self._now())

    # --- feeding -----------------------------------------------------------------------------------------------------

    async def _follow_kernel(self) -> None:
        async for changes in self._netlink.changes():
            self._core.kernel(self._moment(), changes)
            self._fed()

    def _heard(self, index: IfIndex, frame: bytes) -> None:
        try:
            claim = claim_of(frame)
        except FrameError:
            return
        if claim is not None and self._core.claim(self._moment(), index, *claim):
            self._fed()

    async def _follow_peers(self) -> None:
        async for event in self._peers.events():
            self._core.peer(self._moment(), event)
            self._fed()

    async def _follow_router(self, router: BirdWatch) -> None:
        async for status in router.statuses():
            self._core.router(self._moment(), status)
            self._fed()

    async def _follow_gate(self, gate: GateWatch) -> None:
        async for looked in gate.looks():
            self._core.looked(self._moment(), looked)
            self._fed()

    def _flows_looked(self, counts: Mapping[IPAddress, int]) -> None:
        self._core.flows_looked(self._now(), counts)
        self._fed()

    def _flows_astray(self, version: int, strays: Sequence[Stray]) -> None:
        self._core.flows_astray(self._now(), version, strays)
        self._fed()

    async def _follow_inbox(self) -> None:
        self._inbox.open()
        try:
            while True:
                for told in (await self._inbox.take()).values():
                    match told:
                        case Begun():
                            self._reports.begin_again()
                        case Configured():
                            self._reports.configured()
                        case KeysKnown(keys):
                            self._peers.set_keys(keys)
                        case PeersKnown(peers, _):
                            self._reports.pods_are(peers)
                            self._peers.set_addresses(told.addresses)
                        case _:
                            pass
                    self._core.told(self._moment(), told)
                self._fed()
        finally:
            self._inbox.close()

    def _moment(self) -> float:
        """Now, for the core: that this agent stood still it hears before all that happened meanwhile."""
        now = self._now()
        if self._standstill.has_been(now):
            log.warning("the agent stood still")
            self._core.peer(now, StoodStill())
        return now

    def _fed(self) -> None:
        """Something happened: say at once what there is to say, and see in the next turn what there is to do."""
        self._say()
        self._wake.set()

    # --- carrying out ------------------------------------------------------------------------------------------------

    async def _take_turns(self) -> None:
        while True:
            self._wake.clear()
            self.pulse.show_life()
            self._core.tick(self._moment())
            self._say()
            while self._to_execute:
                if self._keeper is not None:
                    await self._keeper.applied()
                outcomes = await self._executor.execute(self._to_execute.popleft().actions)
                self._core.executed(self._now(), outcomes)
                self._say()
            deadline = self._core.next_deadline()
            if deadline <= self._now():
                await asyncio.sleep(0)  # the other tasks have their turn too
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(deadline, self._now() + BEAT)):
                    await self._wake.wait()

    def _say(self) -> None:
        """Carry out all that needs no waiting; what the kernel is to do is left to the turn."""
        self._reports.put([said for output in self._core.outputs() if (said := self._carry_out(output)) is not None])
        self._gauges.show(self._keeper)
        if self._core.has_left:
            self._departed.set()

    def _carry_out(self, output: Output) -> Reported | None:
        """Do it; what is left is to be reported."""
        if isinstance(output, FlowsOutput):
            if self._keeper is not None:
                self._keeper.put(output)
            return None
        match output:
            case Execute():
                self._to_execute.append(output)
            case Adopted(addresses):
                self._netlink.adopt(addresses)
            case Swept(present):
                self._netlink.swept(present)
            case Announce() | Probe():
                self._sending.send(output)
            case Send(to, message):
                self._peers.send(to, message)
            case ReturnWays():
                self._returns.put(output)
            case SayMeta(meta):
                self._peers.set_meta(meta)
            case JoinAtOnce():
                self._peers.hurry()
            case Counted():
                self._gauges.count(output)
            case Takeover(cause, seconds):
                self._metrics.takeover_seconds.labels(cause).observe(seconds)
            case Refusal(vip, interface, rule, reason):
                self._metrics.refusals.labels(rule).inc()
                log.warning("refused", extra={"vip": str(vip), "interface": interface, "rule": rule, "reason": reason})
            case (
                RemovedOften()
                | Announcement()
                | Conflict()
                | Surroundings()
                | Wiped()
                | StrayAnswers()
                | Members()
                | Serving()
                | KeptFlows()
                | KeepsFlows()
                | Attendance()
                | ReturnPathTrouble()
            ):
                return output
            case _:
                assert_never(output)
        return None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
