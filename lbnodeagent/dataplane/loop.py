"""The loop that keeps VIPs where they belong: wake, plan, execute, report. It never waits for Kubernetes.

Everything that happens only marks VIPs to be looked at; what is then done follows from what is. Runs on a loop of its
own; the control plane's tables come and the reports go through a Mailbox each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from itertools import islice
from typing import Final

from lbnodeagent.bird.status import BirdStatus
from lbnodeagent.dataplane.executor import Executor
from lbnodeagent.dataplane.inbox import Inbox, Listener
from lbnodeagent.dataplane.linger import Linger
from lbnodeagent.dataplane.looplag import measure_lag
from lbnodeagent.dataplane.planner import Situation, plan, plan_adopted, plan_links
from lbnodeagent.dataplane.routergate import RouterGate
from lbnodeagent.dataplane.status import Statuses
from lbnodeagent.dataplane.sweeps import Sweeps
from lbnodeagent.dataplane.wanted import WantedVips
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.changes import Changes
from lbnodeagent.election.negotiation import Marks, Negotiation
from lbnodeagent.election.subnets import Subnets
from lbnodeagent.gossip.meta import HandoverMessage
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.kernel.netlink import Netlink
from lbnodeagent.kernel.present import Present
from lbnodeagent.kernel.removals import Removals
from lbnodeagent.kernel.routes import Aggregates
from lbnodeagent.kernel.watch import Listeners, Watch
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Told, ToldKey
from lbnodeagent.tables import FOREVER, Place, PresentAddress, Remove, Report, ReportKey
from lbnodeagent.wire.conflicts import Conflicts
from lbnodeagent.wire.dad import DuplicateDetection
from lbnodeagent.wire.garp import Garp
from lbnodeagent.wire.neighbours import Neighbours, Owners
from lbnodeagent.wire.rawsocket import FrameListener, FrameSender
from purelb.addresses import IPAddress
from purelb.metrics import AgentMetrics
from purelb.nodeagents import NodeAgentConfig

log = logging.getLogger(__name__)

BATCH: Final = 64
"""VIPs per pass: a failover waits for no more than that when a thousand VIPs are being placed."""
REPORT_HOLD: Final = 1.0
"""Seconds for which reports wait at most while there are VIPs to be looked at."""


class DataPlane:
    """One node's VIPs. ``start``, then ``run`` until cancelled; before that ``leave``, which gives the VIPs away."""

    def __init__(
        self,
        node: str,
        netlink: Netlink,
        sender: FrameSender,
        listener: FrameListener,
        peers: Peers,
        inbox: Mailbox[ToldKey, Told],
        outbox: Mailbox[ReportKey, Report],
        metrics: AgentMetrics,
    ) -> None:
        self._node = node
        self._peers = peers
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._config = NodeAgentConfig()
        self._present = Present()
        self._conflicts = Conflicts()
        self._candidacy = Candidacy(node, peers)
        self._whereabouts = Subnets(self._present, self._candidacy, outbox)
        self._first = DuplicateDetection()
        self._wants = WantedVips(self._candidacy, self._first)
        announcer = Garp(sender, metrics, self._present.is_on)
        self._neighbours = Neighbours(
            announcer,
            listener,
            self._present,
            peers.roster,
            self._conflicts,
            self._first,
            outbox,
            metrics,
            Owners(self._is_owner, lambda: peers.is_running, self._mark),
        )
        self._news = Changes(node, peers, self._candidacy, self._present, outbox, metrics, self._mark)
        marks = Marks(self._mark, self._news.owners_changed)
        self._negotiation = Negotiation(
            node, peers, self._candidacy, self._present, self._neighbours, self._first, marks
        )
        self._executor = Executor(netlink, self._present, metrics)
        self._kernel = Watch(
            netlink, self._present, Listeners(self._mark, self._surroundings_changed, self._vip_removed)
        )
        self._wiping = Removals(self._present, self._conflicts, outbox, metrics)
        self._standing = Statuses(self._present, outbox, self._candidacy.owner, node)
        self._intake = Inbox(
            inbox,
            peers,
            self._candidacy,
            self._wants,
            self._news,
            (self._standing.repeat, self._whereabouts.repeat, self._news.repeat),
            Listener(self._configured, self._mark, self._mark_all, self._wake.set),
        )
        self._dirty: dict[IPAddress, None] = {}
        self._links_dirty = True
        self._routes_dirty = True
        self._is_configured = False
        self._rounds = Sweeps()
        self._report_at = 0.0
        self._farewell = Linger()
        self._aggregates = Aggregates(netlink, self._present)
        self._router = RouterGate()
        self._withdrawn = asyncio.Event()

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the kernel, and adopt what an earlier run left. Raises KernelError."""
        await self._kernel.read()
        await self._aggregates.adopt()
        for there in list(self._present.all_ours()):
            self._standing.adopt(there.address)
            self._wants.adopt(there)
        if adopted := list(self._wants):
            self._mark(adopted)
            log.info("adopted", extra={"vips": len(adopted)})

    async def run(self) -> None:
        """Keep the VIPs where they belong, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._kernel.follow())
            tasks.create_task(self._neighbours.listen(time.monotonic, self._wake.set))
            tasks.create_task(self._intake.follow())
            tasks.create_task(measure_lag(self._metrics))
            tasks.create_task(self._loop())

    async def leave(self, timeout: float) -> None:
        """Hand over the VIPs that get a new owner and withdraw the rest, within ``timeout`` seconds.

        Routed VIPs stay, with a lifetime: other nodes have them too, and a restart is nothing that routers need to hear
        of. To be called while ``run`` still runs.
        """
        self._candidacy.is_leaving = True
        self._links_dirty = True
        self._news.candidacy_changed()
        self._mark_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._withdrawn.wait()
                await self._aggregates.leave()
                return
        log.warning("shutdown took too long, VIPs expire by themselves", extra={"timeout": timeout})

    # --- what happens ------------------------------------------------------------------------------------------------

    def members_changed(self) -> None:
        """The gossip has news: elect again, as far as it matters."""
        self._news.candidacy_changed()

    def await_router(self) -> None:
        """Hold routed VIPs that aren't here yet back until ``router_is`` says that something routes them."""
        self._router.begin(time.monotonic())

    def router_is(self, status: BirdStatus) -> None:
        """How the routing software is."""
        if self._router.is_now(status, time.monotonic()):
            self._mark_all()

    def message_received(self, message: HandoverMessage) -> None:
        """Another agent asks or tells about VIPs."""
        self._negotiation.message_received(message)

    def _configured(self, config: NodeAgentConfig) -> None:
        self._config, self._neighbours.garp = config, config.garp
        self._is_configured = True
        self._surroundings_changed()

    def _surroundings_changed(self) -> None:
        """An interface, a default route, an address of the node's own or the configuration changed."""
        self._links_dirty = True
        config = self._config if self._is_configured else None
        self._news.owners_changed(self._whereabouts.look(config, time.monotonic()))
        self._mark_all()
        self._wake.set()

    def _vip_removed(self, gone: PresentAddress, by: int) -> None:
        """Somebody else took one of ours away; the next pass puts it back."""
        if gone.dad == "running" and self._first.is_new(gone.address):
            # The kernel removes an address of finite lifetime that another host turned out to have.
            self._first.failed(gone.address, time.monotonic())
        elif gone.address in self._wants:
            self._wiping.noticed(gone, by, time.monotonic())

    # --- the pass ----------------------------------------------------------------------------------------------------

    async def _loop(self) -> None:
        while True:
            self._wake.clear()
            self._run_timers(time.monotonic())
            if self._links_dirty and self._is_configured:
                self._links_dirty = False
                await self._pass_links()
            if self._routes_dirty and self._candidacy.is_synced and not self._candidacy.is_leaving:
                self._routes_dirty = False
                await self._aggregates.renew()
            batch = list(islice(self._dirty, BATCH))
            for vip in batch:
                del self._dirty[vip]
            if batch:
                await self._pass(batch)
            self._send_reports(time.monotonic())
            if self._dirty:
                await asyncio.sleep(0)
                continue
            if self._candidacy.is_leaving and all(self._may_stay(there) for there in self._present.all_ours()):
                self._withdrawn.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_timer()):
                    await self._wake.wait()

    def _send_reports(self, now: float) -> None:
        """Tell how VIPs stand once all are looked at; while there is no end of that, every now and then."""
        if not self._standing.has_unsent:
            self._report_at = now + REPORT_HOLD
        elif not self._dirty or now >= self._report_at:
            self._standing.send()
            self._report_at = now + REPORT_HOLD

    async def _pass_links(self) -> None:
        now = time.monotonic()
        if await self._executor.execute(plan_links(self._situation(now))):
            self._rounds.retry_links(now)

    async def _pass(self, vips: list[IPAddress]) -> None:
        now = time.monotonic()
        for vip in vips:
            self._negotiation.settle(vip, now, is_wanted=vip in self._wants)
            self._farewell.look(vip, now, is_going=self._is_going(vip))
        if self._is_configured:
            actions, blocked = plan(vips, self._situation(now))
        else:
            actions, blocked = plan_adopted(vips, self._situation(now)), []
        await self._aggregates.prepare(actions)
        failures = await self._executor.execute(actions)
        for action in actions:
            match action:
                case Place(vip, spot, is_renewal=False) if spot.is_local:
                    self._neighbours.placed(vip, now)
                case Remove(vip):
                    self._conflicts.forget(vip)
        await self._aggregates.note(vips)
        self._neighbours.announce_placed(vips, now)
        self._negotiation.answer(vips)
        self._standing.note(vips, actions, blocked, failures, self._config.dummy_interface, now)
        self._standing.forget(vip for vip in vips if vip not in self._wants)

    def _situation(self, now: float) -> Situation:
        return Situation(
            node=self._node,
            config=self._config,
            present=self._present,
            wanted=self._wants.table,
            owner=self._candidacy.owner,
            is_onlink=self._peers.roster.is_onlink,
            is_held=self._negotiation.holds,
            now=now,
            leaving=self._candidacy.is_leaving,
            is_spokesman=self._candidacy.is_spokesman,
            is_claimed=self._neighbours.claimed.__contains__,
            is_new=self._first.is_new,
            is_duplicate=lambda vip: self._first.is_duplicate(vip, now),
            is_excluded=self._candidacy.is_excluded,
            lingers=lambda vip: self._farewell.lingers(vip, now),
            router_trouble=self._router.trouble,
        )

    def _is_going(self, vip: IPAddress) -> bool:
        """Whether this node has a routed VIP for which only others have endpoints."""
        wanted = self._wants.table.get(vip)
        endpoints = wanted.endpoints if wanted is not None else None
        return bool(endpoints) and self._node not in (endpoints or ()) and bool(self._present.ours(vip))

    def _may_stay(self, there: PresentAddress) -> bool:
        """Whether an address may outlive this agent: a routed VIP that has a lifetime."""
        link = self._present.links.get(there.index)
        return link is not None and not link.has_neighbours and there.expires != FOREVER

    # --- timers and small questions ----------------------------------------------------------------------------------

    def _run_timers(self, now: float) -> None:
        self._negotiation.run_due(now)
        self._neighbours.run_due(now)
        self._mark(self._standing.due(now))
        self._mark(self._farewell.due(now))
        if self._router.look(now):
            self._mark_all()
        if not self._candidacy.is_candidate and not self._candidacy.is_leaving:
            self._news.candidacy_changed()
        due = self._rounds.due(now, self._config.local_addressing.valid_lifetime)
        if due.renewals:
            self._mark([there.address for there in self._present.all_ours() if there.expires != FOREVER])
        if due.everything:
            self._routes_dirty = True
            self._mark_all()
        self._links_dirty = self._links_dirty or due.links or due.everything

    def _next_timer(self) -> float:
        timers = [self._rounds.deadline, self._neighbours.deadline, self._router.deadline]
        others = (
            self._negotiation.deadline,
            self._standing.deadline,
            self._farewell.deadline,
            self._candidacy.deadline(time.monotonic()),
        )
        return min([*timers, *(timer for timer in others if timer is not None)])

    def _mark(self, vips: Iterable[IPAddress]) -> None:
        """Look at these VIPs in the next pass."""
        marked = dict.fromkeys(vips)
        if marked:
            self._dirty.update(marked)
            self._wake.set()

    def _mark_all(self) -> None:
        self._mark(self._wants)
        self._mark([there.address for there in self._present.all_ours()])

    def _is_owner(self, vip: IPAddress) -> bool:
        return self._candidacy.owner(vip) == self._node

    def _is_placed(self, vip: IPAddress) -> bool:
        """Whether the VIP sits on a NIC by our doing."""
        return bool(self._present.nics_with(vip))
