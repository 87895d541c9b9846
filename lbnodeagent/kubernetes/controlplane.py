"""The Kubernetes half: from API objects to what the data plane is told, and from its reports to what users see.

Wires the parts that do it and owns how they begin and end. Nothing here is waited for by the data plane: with the API
server away, it keeps what it was told.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, assert_never

from lbnodeagent.checkup.watch import CheckupWatch
from lbnodeagent.kubernetes import landmarks, successor
from lbnodeagent.kubernetes.checkups import Checkups
from lbnodeagent.kubernetes.configuration import Configuration
from lbnodeagent.kubernetes.following import (
    Following,
    Learned,
    OfAgents,
    OfGroups,
    OfNode,
    OfPods,
    OfSecret,
    OfServices,
    OfSlices,
    ServiceAnswers,
    merged,
)
from lbnodeagent.kubernetes.gossipkey import GossipKeys
from lbnodeagent.kubernetes.nodefeed import NodeFeed, OwnNode
from lbnodeagent.kubernetes.nodelease import NodeLease
from lbnodeagent.kubernetes.nodewarnings import NodeWarnings
from lbnodeagent.kubernetes.publisher import REQUESTS, Publisher
from lbnodeagent.kubernetes.reporter import Reporter
from lbnodeagent.kubernetes.servicefeed import Consequences, ServiceFeed
from lbnodeagent.kubernetes.unheard import UnheardAgents
from lbnodeagent.kubernetes.viptable import WantedTable
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Begun, BehindApi, FoundWrong, Synced, Told, ToldKey, VipChanged, key_of
from lbnodeagent.tables import (
    UNCONFIGURED,
    Announcement,
    Conflict,
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
from purelb import memory, names
from purelb.checks import Check
from purelb.events import EventRecorder
from purelb.kopfrunner import run_operator
from purelb.kube import Kube
from purelb.membership import Attendance
from purelb.metrics import AgentMetrics
from purelb.missingrights import own_pod, tell
from purelb.pace import Pace
from purelb.returnpath import ReturnPathTrouble
from purelb.rights import Rights
from purelb.settings import AgentSettings

log = logging.getLogger(__name__)

FLUSH: Final = 1.0
"""Seconds that unsent events and annotations may hold up a stop."""
LOOK: Final = 1.0
"""Seconds between two looks at who isn't heard, and at what is to be told again."""


class ControlPlane:
    """``run`` it on a loop of its own."""

    def __init__(
        self,
        settings: AgentSettings,
        inbox: Mailbox[ToldKey, Told],
        outbox: Mailbox[ReportKey, Report],
        metrics: AgentMetrics,
        pace: Pace | None = None,
        detours: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """``detours``: the nodes that the gossip reaches by detours alone."""
        self._detours = detours
        self._settings = settings
        self._pace = pace
        self._inbox = inbox
        self._outbox = outbox
        self._metrics = metrics
        self._following: Following | None = None
        self._keys: GossipKeys | None = None
        self._learned = Learned()
        self._rights = Rights()
        self._unheard = UnheardAgents()
        self._warnings: NodeWarnings | None = None
        self._checkups: Checkups | None = None
        self._kube: Kube | None = None
        self._node: OwnNode | None = None
        self.is_synced = False
        self.is_done = threading.Event()
        """Everything was said; what is left to do at a stop is kopf's own."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set; then it says what is left to say and is done, and ends with its thread.

        Raises SettingsError if there is no way to the API server at all.
        """
        settings, metrics = self._settings, self._metrics
        kubeconfig: Path | None = settings.common.kubeconfig
        kube_of = partial(Kube, user_agent=names.AGENT_COMPONENT, pace=self._pace, requested=metrics.requested)
        async with kube_of(kubeconfig) as kube:
            wanted = WantedTable(keeps_local=settings.local_policy == "keep")
            events = EventRecorder(kube, names.AGENT_COMPONENT)
            following = Following(kube, metrics, settings)
            self._kube, self._following, self._rights = kube, following, kube.rights
            answers = ServiceAnswers(following.services)
            reporter = Reporter(
                settings.node_name,
                kube,
                events,
                wanted,
                metrics,
                answers,
                settings.announcing_format,
                settings.gossip_port,
                has_router=settings.bird_socket is not None,
            )
            metrics.routed.vips = reporter.routed
            publisher = Publisher(settings.node_name, settings.common.namespace, kube, metrics)
            configuration = Configuration(settings.node_name, events, metrics)
            warnings = NodeWarnings(settings.node_name, settings.gossip_port, events, metrics)
            self._warnings = warnings
            lease = self._lease(kube)
            chance = random.Random()
            checkups = self._checkups = Checkups(settings, wanted, warnings, lease, chance)
            checkup = CheckupWatch(checkups.expected, checkups.heard_peers, self._detours, checkups.announced, chance)
            keys = self._keys = GossipKeys()
            servers = ((await kube.credentials()).server, settings.api_host)
            kopf_begun, kopf_stop = asyncio.Event(), asyncio.Event()
            begun = Begun()
            self._inbox.start_over(key_of(begun), begun)
            self._outbox.open()
            if settings.gossip_key is not None:
                self._tell(*keys.fixed(settings.gossip_key).told)
            try:
                async with asyncio.TaskGroup() as tasks:
                    # kopf ends in its own time, up to 5 s: the program that is stopped doesn't wait for it.
                    tasks.create_task(run_operator(kube, begun=kopf_begun, stop=kopf_stop))
                    await kopf_begun.wait()
                    running = [
                        tasks.create_task(events.run()),
                        tasks.create_task(tell(kube.rights, own_pod(settings.common), events, metrics, time.monotonic)),
                        tasks.create_task(reporter.annotator.run()),
                        tasks.create_task(publisher.run()),
                        tasks.create_task(self._follow_outbox(reporter, configuration, warnings, lease, publisher)),
                        tasks.create_task(checkup.run(lambda looked: checkups.looked(looked, time.monotonic()))),
                        tasks.create_task(landmarks.follow(servers, reporter.landmarks_are)),
                        tasks.create_task(self._look_around(following, warnings)),
                        tasks.create_task(memory.tidy(following.recovered)),
                        tasks.create_task(
                            self._follow(following, answers, wanted, configuration, keys, reporter, warnings, lease)
                        ),
                    ]
                    if lease is not None:
                        running.append(tasks.create_task(lease.run()))
                    await stop.wait()
                    await asyncio.gather(
                        reporter.annotator.flush(FLUSH),
                        events.flush(FLUSH),
                        *([] if lease is None else [lease.leave(FLUSH)]),
                    )
                    for task in running:
                        task.cancel()
                    self.is_done.set()
                    kopf_stop.set()
            finally:
                self._outbox.close()

    def _lease(self, kube: Kube) -> NodeLease | None:
        settings = self._settings
        if not settings.publishes_lease:
            return None
        instance = settings.common.pod[1] if settings.common.pod is not None else ""
        return NodeLease(settings.node_name, settings.common.namespace, instance, kube, random.Random())

    def _tell(self, *told: Told | None) -> None:
        """Pass on to the data plane what there is."""
        if self._checkups is not None:
            self._checkups.told(told)
        self._inbox.put_all({key_of(one): one for one in told if one is not None})

    def trouble(self, now: float) -> str | None:
        """What can't be followed for longer than a moment, or is missing, in one sentence.

        ``now`` is monotonic seconds.
        """
        if self._following is None or self._keys is None:
            return None
        trouble = self._following.trouble(now) or self._keys.trouble or self._rights.trouble(now, but_for=REQUESTS)
        if trouble is None and self._settings.requires_peers and self._warnings is not None:
            trouble = self._warnings.unheard
        if trouble is None and self._learned.lacks_node:
            trouble = f"there is no Node {self._settings.node_name}"
        return trouble

    async def without_successor(self) -> str | None:
        """Why no agent comes after this one, in one clause; None: one does."""
        if self._kube is None:
            return "whether one does isn't known: the API server wasn't asked yet"
        return await successor.trouble(self._kube, self._settings.common, self._node)

    async def _follow(
        self,
        following: Following,
        answers: ServiceAnswers,
        wanted: WantedTable,
        configuration: Configuration,
        keys: GossipKeys,
        reporter: Reporter,
        warnings: NodeWarnings,
        lease: NodeLease | None,
    ) -> None:
        """Pass on what happens, and say when everything was learned once."""
        feed, around, learned = ServiceFeed(wanted), NodeFeed(), self._learned
        async with asyncio.TaskGroup() as tasks:
            async for news in merged(following, answers, tasks):
                self._metrics.updates.inc()
                match news:
                    case OfServices(one):
                        self._pass_on(feed.services(one), reporter)
                    case OfGroups(one):
                        self._pass_on(feed.groups(one), reporter)
                    case OfSlices(one):
                        self._pass_on(feed.slices(one), reporter)
                    case OfAgents(one):
                        self._tell(configuration.agents(one))
                    case OfNode(one):
                        of_node = around.node(one)
                        self._node = of_node.node
                        self._tell(*of_node.told)
                        if of_node.node is not None:
                            self._tell(configuration.set_labels(of_node.node.labels))
                            if lease is not None and of_node.node.uid:
                                lease.node_is(of_node.node.uid)
                    case OfPods(one):
                        of_pods = around.pods(one)
                        self._unheard.agents(of_pods.running, time.monotonic())
                        self._tell(*of_pods.told)
                    case OfSecret(one):
                        of_secret = keys.heard(one)
                        warnings.gossip_key(of_secret.complaint, of_secret.about, time.monotonic())
                        self._tell(*of_secret.told)
                    case _:
                        assert_never(news)
                learned.heard(news)
                if not self.is_synced and learned.is_all(needs_slices=wanted.needs_endpoints):
                    self._synced(wanted, configuration, reporter)

    def _synced(self, wanted: WantedTable, configuration: Configuration, reporter: Reporter) -> None:
        """Everything was learned once."""
        self.is_synced = True
        log.info("synced", extra={"services": len(wanted.services), "vips": len(wanted.table)})
        self._tell(configuration.synced())
        reporter.synced()
        self._tell(Synced())

    def _pass_on(self, then: Consequences, reporter: Reporter) -> None:
        for key in then.gone:
            reporter.service_gone(key)
        self._tell(*(VipChanged(vip, wanted) for vip, wanted in then.vips.items()))
        for service in then.changed:
            reporter.service_changed(service)

    async def _look_around(self, following: Following, warnings: NodeWarnings) -> None:
        was_behind: bool | None = None
        found_before: frozenset[Check] = frozenset()
        while True:
            now = time.monotonic()
            if (is_behind := following.are_services_behind(now)) != was_behind:
                self._tell(BehindApi(is_behind))
                was_behind = is_behind
            is_current = following.pods.standing.behind_since is None
            warnings.agents_unheard(self._unheard.look(now, is_current=is_current), now)
            warnings.repeat(now)
            if self._checkups is not None:
                self._checkups.publish(now)
            if (found := frozenset(one.check for one in warnings.found(now))) != found_before:
                self._tell(FoundWrong(found))
                found_before = found
            await asyncio.sleep(LOOK)

    async def _follow_outbox(
        self,
        reporter: Reporter,
        configuration: Configuration,
        warnings: NodeWarnings,
        lease: NodeLease | None,
        publisher: Publisher,
    ) -> None:
        """What the data plane reports."""
        while True:
            for report in (await self._outbox.take()).values():
                match report:
                    case Announcement():
                        reporter.vip_stands(report)
                        if report.error == UNCONFIGURED:
                            configuration.announces_nowhere()
                    case Conflict():
                        reporter.conflict_heard(report)
                        warnings.stranger_heard(report, time.monotonic())
                    case Wiped(is_nodes_own=True):
                        warnings.own_address_removed(report, time.monotonic())
                    case Wiped():
                        reporter.vip_wiped(report)
                        warnings.vip_removed(report, time.monotonic())
                    case Surroundings():
                        configuration.looked_around(report)
                        warnings.without_subnet(report.subnetless, time.monotonic())
                    case StrayAnswers(nics):
                        warnings.stray_answers(nics, time.monotonic())
                    case Serving(trouble):
                        warnings.not_serving(trouble, time.monotonic())
                    case KeptFlows():
                        reporter.flows_kept(report)
                    case KeepsFlows():
                        warnings.keeps_flows(report, time.monotonic())
                    case Members(nodes):
                        reporter.members_are(report)
                        self._unheard.members(nodes, time.monotonic())
                        if self._checkups is not None:
                            self._checkups.members_are(report)
                        if lease is not None and nodes:
                            lease.subnets_are(report.subnets)
                    case Attendance():
                        publisher.attends(report)
                    case ReturnPathTrouble(reasons):
                        configuration.answers_astray(reasons)
                    case _:
                        assert_never(report)
