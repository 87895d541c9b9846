"""The Kubernetes half: from API objects to what the data plane is told, and from its reports to what users see.

Owns the tables of Services, groups, configurations and endpoints. Nothing here is waited for by the data plane: with
the API server away, it keeps what it was told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias, assert_never

from lbnodeagent.agentconfig import choose_config
from lbnodeagent.gossipkey import gossip_key
from lbnodeagent.handlers import build_registry
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import (
    Configured,
    KeyKnown,
    NodeExcluded,
    PeersKnown,
    Synced,
    Told,
    ToldKey,
    VipChanged,
    key_of,
)
from lbnodeagent.reporter import Reporter
from lbnodeagent.tables import Announcement, Conflict, Report, ReportKey, Surroundings, Wiped
from lbnodeagent.wanted import Changes, WantedTable
from purelb import names
from purelb.errors import KubeError, SpecError, UnavailableError
from purelb.events import EventRecorder, ObjectReference
from purelb.kube import Kube, Listing, core_path, custom_path, group_path, services_path
from purelb.metrics import AgentMetrics
from purelb.operator import run_operator
from purelb.persistence import persist
from purelb.resources import NodeAgentConfig, parse_node_agent, parse_service_group
from purelb.services import ServiceKey, ServiceView, view_service
from purelb.settings import AgentSettings

Json: TypeAlias = Mapping[str, Any]

log = logging.getLogger(__name__)

RELIST: Final = 300.0
"""Seconds between two comparisons with a fresh list: kopf tells no deletion that it didn't see happen."""
RELIST_AFTER_GAP: Final = 1.0
"""Seconds after which that is done when a watch has begun anew, or the API server is there again."""
DOUBT: Final = 75.0
"""Seconds for which a watch may be dead without our knowing, after the network was away: kopf's inactivity_timeout."""
RELIST_IN_DOUBT: Final = 20.0
NODE_LOOK: Final = 5.0
"""Seconds between two looks at this node's own Node object (labels, cordon)."""
PEERS_LOOK: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between two lists of the agents' pods; the last value repeats."""
EXCLUDE_LABEL: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
FLUSH: Final = 1.0
"""Seconds that unsent events may hold up a stop."""


class ControlPlane:
    """``run`` it on a loop of its own."""

    def __init__(
        self,
        settings: AgentSettings,
        inbox: Mailbox[ToldKey, Told],
        outbox: Mailbox[ReportKey, Report],
        metrics: AgentMetrics,
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._outbox = outbox
        self._metrics = metrics
        self._wanted = WantedTable()
        self._configs: dict[tuple[str, str], NodeAgentConfig] = {}
        self._refused: set[tuple[str, str]] = set()
        self._labels: dict[str, str] = {}
        self._touched: set[ServiceKey] | None = None
        """Services that changed while a list was being read; None: none is."""
        self._gap = asyncio.Event()
        self._doubt_until = 0.0
        self._kopf_stop = asyncio.Event()
        self._reporter: Reporter | None = None
        self._events: EventRecorder | None = None
        self._config: NodeAgentConfig | None = None
        self._ignored: tuple[NodeAgentConfig, ...] = ()
        self.is_synced = False
        self.is_done = threading.Event()
        """Everything was said; what is left to do at a stop is kopf's own."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set; then it says what is left to say and is done, and ends with its thread.

        Raises SettingsError if there is no way to the API server at all.
        """
        kubeconfig: Path | None = self._settings.common.kubeconfig
        async with Kube(kubeconfig, user_agent="purelb-lbnodeagent") as kube:
            self._events = EventRecorder(kube, names.AGENT_COMPONENT)
            self._reporter = Reporter(
                self._settings.node_name, kube, self._events, self._wanted, self._metrics, self.service_read
            )
            self._outbox.open()
            try:
                async with asyncio.TaskGroup() as tasks:
                    running = [
                        tasks.create_task(self._events.run()),
                        tasks.create_task(self._reporter.run()),
                        tasks.create_task(self._follow_outbox(self._reporter)),
                        tasks.create_task(self._fetch_key(kube)),
                        tasks.create_task(self._follow_node(kube)),
                        tasks.create_task(self._find_peers(kube)),
                        tasks.create_task(self._sync(kube)),
                    ]
                    # kopf ends in its own time, up to 5 s: the program that is stopped doesn't wait for it.
                    tasks.create_task(run_operator(build_registry(self), None, kube, stop=self._kopf_stop))
                    await stop.wait()
                    await self._events.flush(FLUSH)
                    for task in running:
                        task.cancel()
                    self.is_done.set()
            finally:
                self._outbox.close()

    def _tell(self, told: Told) -> None:
        self._inbox.put(key_of(told), told)

    def _tell_changes(self, changes: Changes) -> None:
        told = [VipChanged(vip, wanted) for vip, wanted in changes.items()]
        self._inbox.put_all({key_of(one): one for one in told})

    # --- what kopf sees ----------------------------------------------------------------------------------------------

    def observe_service(self, body: Json, *, is_gone: bool, is_listed: bool) -> None:
        """A Service came, changed or went."""
        self._metrics.updates.inc()
        if is_listed and self.is_synced:
            self._gap.set()
        service = view_service(body)
        if self._touched is not None:
            self._touched.add(service.key)
        if is_gone:
            self._service_gone(service.key)
        else:
            self.service_read(service)

    def service_read(self, service: ServiceView) -> None:
        """A Service as the API server has it now."""
        known = self._wanted.service(service.key)
        if known is not None and _is_older(service, known):
            return
        self._tell_changes(self._wanted.set_service(service))
        if self._reporter is not None:
            self._reporter.service_changed(service)

    def _service_gone(self, key: ServiceKey) -> None:
        changes = self._wanted.drop_service(key)
        if self._reporter is not None:
            self._reporter.service_gone(key)
        self._tell_changes(changes)

    def observe_group(self, body: Json, *, is_gone: bool) -> None:
        """A ServiceGroup came, changed or went. What is wrong with one is the allocator's to say."""
        metadata = body["metadata"]
        try:
            if not is_gone:
                self._tell_changes(self._wanted.set_group(parse_service_group(body)))
                return
        except SpecError as error:
            log.info("ServiceGroup not understood", extra={"group": metadata["name"], "reason": str(error)})
        self._tell_changes(self._wanted.drop_group(metadata.get("namespace", ""), metadata["name"]))

    def observe_agent(self, body: Json, *, is_gone: bool) -> None:
        """An LBNodeAgent came, changed or went. A wrong one leaves what was right before in force."""
        metadata = body["metadata"]
        key = metadata.get("namespace", ""), metadata["name"]
        self._refused.discard(key)
        if is_gone:
            self._configs.pop(key, None)
        else:
            try:
                self._configs[key] = parse_node_agent(body)
            except SpecError as error:
                self._refused.add(key)
                self._refuse(NodeAgentConfig(metadata["name"], key[0], metadata.get("uid", "")), error)
        self._reconfigure()

    def _refuse(self, config: NodeAgentConfig, error: SpecError) -> None:
        log.warning("LBNodeAgent refused", extra={"config": config.name, "reason": str(error)})
        if str(error).startswith("nodeSelector"):
            text = f"nodeSelector could not be evaluated ({error}); this LBNodeAgent applies to no node"
            self._warn(config, names.REASON_INVALID_NODE_SELECTOR, text)
            return
        is_known = (config.namespace, config.name) in self._configs
        going_on = (
            "goes on with what was right before" if is_known else "is announcing nothing by it until this is fixed"
        )
        text = f"invalid configuration: {error}; node {self._settings.node_name} {going_on}"
        self._warn(config, names.REASON_CONFIG_ERROR, text)

    def _warn(self, config: NodeAgentConfig | None, reason: str, text: str) -> None:
        """A Warning event on an LBNodeAgent; the built-in one has no object."""
        if self._events is not None and config is not None and config.uid:
            api_version = f"{names.GROUP}/{names.READ_VERSION}"
            about = ObjectReference(api_version, "LBNodeAgent", config.namespace, config.name, config.uid)
            self._events.record(about, "Warning", reason, text)

    def observe_slice(self, body: Json, *, is_gone: bool) -> None:
        """An EndpointSlice came, changed or went."""
        self._tell_changes(self._wanted.drop_slice(body) if is_gone else self._wanted.set_slice(body))

    def _reconfigure(self) -> None:
        choice = choose_config(self._configs.values(), self._labels, is_any_refused=bool(self._refused))
        config = choice.config
        if not self.is_synced:
            return
        winner = f"LBNodeAgent {config.namespace}/{config.name} takes precedence on node {self._settings.node_name}"
        for ignored in choice.ignored:
            if ignored not in self._ignored:
                self._warn(ignored, names.REASON_CONFIG_IGNORED, winner)
        self._ignored = choice.ignored
        if config == self._config:
            return
        self._config = config
        self._metrics.config_loaded.set(config.announces)
        log.info("configured", extra={"config": config.name, "interface": config.local_interface})
        self._tell(Configured(config))

    # --- whole lists -------------------------------------------------------------------------------------------------

    async def _sync(self, kube: Kube) -> None:
        """Learn everything once, then compare again and again."""
        for path, observe in (
            (custom_path(names.LB_NODE_AGENTS), self.observe_agent),
            (custom_path(names.SERVICE_GROUPS), self.observe_group),
        ):
            for body in (await _listed(kube, path)).items:
                observe(body, is_gone=False)
        await self._compare_services(kube)
        if any(service.external_traffic_policy == "Local" for service in self._wanted.services.values()):
            for body in (await _listed(kube, group_path("discovery.k8s.io/v1", "endpointslices"))).items:
                self.observe_slice(body, is_gone=False)
        self._labels = await self._own_labels(kube)
        self.is_synced = True
        self._reconfigure()
        self._tell(Synced())
        log.info("synced", extra={"services": len(self._wanted.services), "vips": len(self._wanted.table)})
        while True:
            is_doubtful = asyncio.get_running_loop().time() < self._doubt_until
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((RELIST_IN_DOUBT if is_doubtful else RELIST) * random.uniform(0.8, 1.2)):
                    await self._gap.wait()
                    await asyncio.sleep(RELIST_AFTER_GAP)
            self._gap.clear()
            await self._compare_services(kube)

    async def _compare_services(self, kube: Kube) -> None:
        """Take all Services as a fresh list has them, but those that changed meanwhile."""
        self._touched = set()
        listing = await _listed(kube, services_path())
        touched, self._touched = self._touched, None
        views = {view.key: view for view in (view_service(body) for body in listing.items)}
        for key in set(self._wanted.services) - views.keys() - touched:
            self._service_gone(key)
        for key, view in views.items():
            if key not in touched:
                self.service_read(view)

    # --- this node and its peers -------------------------------------------------------------------------------------

    async def _fetch_key(self, kube: Kube) -> None:
        self._tell(KeyKnown(await gossip_key(kube, self._settings)))

    async def _own_labels(self, kube: Kube) -> dict[str, str]:
        node = await persist("this node's Node object", lambda: kube.get(self._node_path))
        return dict(node["metadata"].get("labels") or {})

    @property
    def _node_path(self) -> str:
        return core_path("nodes", name=self._settings.node_name)

    async def _follow_node(self, kube: Kube) -> None:
        """Labels decide which configuration applies; a label or a cordon keeps VIPs away."""
        is_away = False
        while True:
            try:
                node = await kube.get(self._node_path)
            except KubeError as error:
                is_away = is_away or isinstance(error, UnavailableError)
                log.debug("own node not read", extra={"reason": str(error)})
            else:
                if is_away:
                    is_away = False
                    self._doubt_until = asyncio.get_running_loop().time() + DOUBT
                    self._gap.set()
                self._labels = dict(node["metadata"].get("labels") or {})
                is_cordoned = bool((node.get("spec") or {}).get("unschedulable"))
                self._tell(NodeExcluded(is_cordoned or EXCLUDE_LABEL in self._labels))
                self._reconfigure()
            await asyncio.sleep(NODE_LOOK)

    async def _find_peers(self, kube: Kube) -> None:
        """The addresses of the other agents' pods; with the API server away, the last known ones stay."""
        settings, turn = self._settings, 0
        query = {"labelSelector": settings.gossip_labels} if settings.gossip_labels else {}
        while True:
            try:
                pods = await kube.list(core_path("pods", settings.gossip_namespace), **query)
            except KubeError as error:
                log.info("peers not listed", extra={"reason": str(error)})
            else:
                self._tell(PeersKnown(peer_addresses(pods.items, settings.node_name)))
            await asyncio.sleep(PEERS_LOOK[min(turn, len(PEERS_LOOK) - 1)] * random.uniform(0.8, 1.2))
            turn += 1

    # --- what the data plane reports ---------------------------------------------------------------------------------

    async def _follow_outbox(self, reporter: Reporter) -> None:
        while True:
            for report in (await self._outbox.take()).values():
                match report:
                    case Announcement():
                        reporter.vip_stands(report)
                    case Conflict():
                        reporter.conflict_heard(report)
                    case Wiped():
                        reporter.vip_wiped(report)
                    case Surroundings():
                        self._look_at(report)
                    case _:
                        assert_never(report)

    def _look_at(self, report: Surroundings) -> None:
        node = self._settings.node_name
        for name in report.missing if self._config is not None else ():
            text = f'node {node} has no interface that "{name}" stands for'
            self._warn(self._config, names.REASON_CONFIG_ERROR, text)


def peer_addresses(pods: list[dict[str, Any]], node: str) -> frozenset[str]:
    """Where other nodes' pods of this list can be reached."""
    return frozenset(
        pod["status"]["podIP"]
        for pod in pods
        if (pod.get("status") or {}).get("podIP") and (pod.get("spec") or {}).get("nodeName") not in (None, node)
    )


async def _listed(kube: Kube, path: str) -> Listing:
    return await persist(path, lambda: kube.list(path))


def _is_older(service: ServiceView, known: ServiceView) -> bool:
    """Whether what was read is behind what is known.

    Comparing resourceVersions as numbers is allowed from Kubernetes 1.35 on (KEP-5504) and has always worked with etcd.
    """
    if service.uid != known.uid:
        return False
    versions = service.resource_version, known.resource_version
    return all(version.isdecimal() for version in versions) and int(versions[0]) < int(versions[1])
