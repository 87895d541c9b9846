"""Tells users what this node does: events on the Services and the announced metric. Annotations, and what is told of
writing them: annotator.py.

Level-triggered: what is told follows from how each VIP stands here, what was told before and what the Service says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lbnodeagent.kubernetes import keptflows
from lbnodeagent.kubernetes.annotation import Form, named_places
from lbnodeagent.kubernetes.annotator import Annotator
from lbnodeagent.kubernetes.answers import Answers
from lbnodeagent.kubernetes.doubleuse import DoubleUse
from lbnodeagent.kubernetes.foreign import ForeignAddresses
from lbnodeagent.kubernetes.lastresort import LastResorts
from lbnodeagent.kubernetes.policyreset import PolicyReset
from lbnodeagent.kubernetes.viptable import WantedTable, annotation_of, vips_of
from lbnodeagent.tables import Announcement, Conflict, KeptFlows, Members, Wiped
from lbnodeagent.wire.frames import format_mac
from purelb import names
from purelb.addresses import IPAddress
from purelb.election import owner
from purelb.events import EventRecorder, reference_of
from purelb.kube import Kube
from purelb.metrics import AgentMetrics
from purelb.servicegroups import PoolSource
from purelb.services import ServiceKey, ServiceView

LOCAL_KEPT: Final = (
    "ExternalTrafficPolicy override annotation found: the policy stays Local, "
    "and only nodes with a ready endpoint announce"
)
LOCAL_HONOURED: Final = (
    "ExternalTrafficPolicy Local holds: one of the nodes with a ready endpoint announces, and the endpoints on that "
    "node get all traffic. To have it spread over all of them, set the policy to Cluster"
)
SETTLED: Final = 3.0
"""Seconds after an address was put on the dummy interface until it is told that it needs a router."""
OFF_SUBNET: Final = (
    "{vip} is on no node's subnet, so that it is on {interface} of the nodes only: it is reached through a router that "
    "learns its route from them. If that is meant, make ServiceGroup {group} a remote one; else give it a pool in a "
    "subnet of the nodes"
)
LAST_RESORT: Final = "Node {node} announces {vip} although {why}: no node that could have it serves"


class Reporter:
    """Compares what users see with what is. Used from the control plane's loop only."""

    def __init__(
        self,
        node: str,
        kube: Kube,
        events: EventRecorder,
        wanted: WantedTable,
        metrics: AgentMetrics,
        answers: Answers,
        form: Form = "v1",
        port: int = names.GOSSIP_PORT,
        *,
        has_router: bool = False,
    ) -> None:
        """``has_router``: it is known that routing software exports what is on the dummy interface."""
        self._node = node
        self._port = port
        """Of the gossip."""
        self._events = events
        self._wanted = wanted
        self._metrics = metrics
        self._standing: dict[IPAddress, Announcement] = {}
        self._told: dict[ServiceKey, dict[IPAddress, Announcement]] = {}
        self._kept: set[ServiceKey] = set()
        """Services whose traffic policy Local was told to be kept."""
        self._named: tuple[ServiceView | None, dict[IPAddress, str]] = (None, {})
        """Of which Service the annotations were read last, and what they say of this node."""
        self._has_router = has_router
        self._announcers: frozenset[str] = frozenset()
        """The nodes that announce routed addresses; empty while that isn't known."""
        self._unexplained: set[tuple[ServiceKey, IPAddress]] = set()
        """Routed addresses of which something may have to be said when it is."""
        self._foreign = ForeignAddresses(node, wanted)
        self._counted_foreign = 0
        self._double_use = DoubleUse(node, wanted)
        self._last_resorts = LastResorts()
        self._last_resorts_timer: asyncio.TimerHandle | None = None
        policies = PolicyReset(kube, events, wanted, self._standing, metrics, answers)
        self.annotator = Annotator(node, form, kube, events, wanted, self._standing, metrics, answers, policies)

    # --- what happens ------------------------------------------------------------------------------------------------

    def members_are(self, members: Members) -> None:
        """The nodes that take part in the election."""
        nodes, self._announcers = members.nodes, members.announcers
        if self._announcers and self._unexplained:
            asyncio.get_running_loop().call_later(SETTLED, self._explain_rest)
        self.annotator.members_are(nodes)
        self._foreign.members_are(nodes)
        self._tell_foreign()
        self._double_use.members_are(nodes)
        self._tell_double_use()

    def landmarks_are(self, landmarks: Mapping[IPAddress, str]) -> None:
        """What this node reaches by which addresses (landmarks.py)."""
        self._double_use.landmarks_are(landmarks)
        self._tell_double_use()

    def routed(self) -> list[IPAddress]:
        """The VIPs that this node announces to routers; may be asked for on any thread."""
        standing = tuple(self._standing.values())
        return [one.vip for one in standing if one.state == "announcing" and not one.is_local]

    def synced(self) -> None:
        """Everything was read."""
        self._foreign.synced()
        self._tell_foreign()

    def vip_stands(self, announcement: Announcement) -> None:
        """The data plane reports a VIP."""
        if announcement.state == "withdrawn" and not self._wanted.users(announcement.vip):
            self._standing.pop(announcement.vip, None)
        else:
            self._standing[announcement.vip] = announcement
        self._look_at_last_resorts(announcement)
        for service in self._wanted.users(announcement.vip):
            self._tell(service, announcement)
            self.annotator.look_at(service.key)

    def conflict_heard(self, conflict: Conflict) -> None:
        """Another host answers for a VIP."""
        text = self._conflict_text(conflict)
        for service in self._wanted.users(conflict.vip):
            self._events.record(reference_of(service), "Warning", names.REASON_ADDRESS_CONFLICT, text)

    def _conflict_text(self, conflict: Conflict) -> str:
        mac, vip = format_mac(conflict.mac), conflict.vip
        here = f"which node {self._node} announces on interface {conflict.interface}"
        if not conflict.node:
            return (
                f"Another host, {mac}, answers for {vip}, {here}: give it another address, or take this one out of "
                "the pool"
            )
        if conflict.is_heard:
            return (
                f"Node {conflict.node}, {mac}, answers for {vip} too, {here}, and its agent does not: another program "
                "answers there, such as kube-proxy in mode ipvs, which must have strictARP set"
            )
        return (
            f"Another PureLB node, {conflict.node}, {mac}, answers for {vip} too, {here}: the agent there is not "
            f"heard here; port {self._port}, UDP and TCP, may be closed between the nodes"
        )

    def vip_wiped(self, wiped: Wiped) -> None:
        """Something on this node keeps removing a VIP."""
        text = (
            f"Something on node {self._node} removed {wiped.vip} from interface {wiped.interface} {wiped.times} times "
            f"in a minute, and PureLB put it back: {wiped.advice}"
        )
        for service in self._wanted.users(wiped.vip):
            self._events.record(reference_of(service), "Warning", names.REASON_ADDRESS_REMOVED, text)

    def flows_kept(self, kept: KeptFlows) -> None:
        """How it stands with connections that outlive a move to this node."""
        kind, reason, text = keptflows.told(self._node, kept)
        for service in self._wanted.users(kept.vip):
            self._events.record(reference_of(service), kind, reason, text)

    def service_changed(self, service: ServiceView) -> None:
        """A Service is new or changed."""
        self._foreign.look(service.key)
        self._tell_foreign()
        self._double_use.look(service.key)
        self._tell_double_use()
        vips = vips_of(service)
        for vip in self._told.get(service.key, {}).keys() - set(vips):
            self._forget(service.key, vip)
        for vip in vips:
            if vip in self._standing:
                self._tell(service, self._standing[vip])
        if vips or any(key in service.annotations for key in names.ANNOUNCING_KEYS):
            self.annotator.look_at(service.key)

    def service_gone(self, key: ServiceKey) -> None:
        """A Service was deleted."""
        for vip in list(self._told.get(key, ())):
            self._forget(key, vip)
        self._kept.discard(key)
        self._foreign.look(key)
        self._double_use.look(key)
        self.annotator.forget(key)

    # --- events and metrics ------------------------------------------------------------------------------------------

    def _tell(self, service: ServiceView, announcement: Announcement) -> None:
        """One event per change, for each Service that has the VIP."""
        vip = announcement.vip
        told = self._told.setdefault(service.key, {})
        before = told.get(vip)
        told[vip] = announcement
        gauge = self._metrics.announced
        if announcement.state == "announcing":
            gauge.labels(str(service.key), self._node, str(vip)).set(1)
        elif before is not None and before.state == "announcing":
            gauge.remove(str(service.key), self._node, str(vip))
        if announcement.state == "announcing" and announcement.is_local and not announcement.successor:
            self._explain_policy(service, announcement)
        if before is not None and _same(before, announcement):
            return
        about = reference_of(service)
        match announcement.state:
            case "announcing" if announcement.is_local:
                if not announcement.successor and (announcement.is_fresh or self._is_news(service, announcement)):
                    text = f"Node {self._node} announcing {vip} on interface {announcement.interface}"
                    self._events.record(about, "Normal", names.REASON_ANNOUNCING_LOCAL, text)
            case "announcing" if announcement.is_fresh:
                text = f"Announcing {vip} from node {self._node} interface {announcement.interface}"
                self._events.record(about, "Normal", names.REASON_ANNOUNCING_NON_LOCAL, text)
                # By then agents that start together agree who of them says it.
                asyncio.get_running_loop().call_later(SETTLED, self._explain_routing, service.key, vip)
            case "failed":
                where = f"Node {self._node} could not announce {vip} on interface {announcement.interface}"
                text = f"{where if announcement.interface else f'No node announces {vip}'}: {announcement.error}"
                self._events.record(about, "Warning", names.REASON_ANNOUNCEMENT_FAILED, text)
            case _:
                pass

    def _look_at_last_resorts(self, announcement: Announcement) -> None:
        loop = asyncio.get_running_loop()
        self._last_resorts.stands(announcement, loop.time())
        deadline = self._last_resorts.deadline
        if deadline is not None and self._last_resorts_timer is None:
            self._last_resorts_timer = loop.call_at(deadline, self._tell_last_resorts)

    def _tell_last_resorts(self) -> None:
        """Addresses that this node has although it serves badly."""
        loop = asyncio.get_running_loop()
        for vip, why in self._last_resorts.due(loop.time()).items():
            text = LAST_RESORT.format(node=self._node, vip=vip, why=why)
            for service in self._wanted.users(vip):
                self._events.record(reference_of(service), "Warning", names.REASON_NO_NODE_SERVING, text)
        deadline = self._last_resorts.deadline
        self._last_resorts_timer = None if deadline is None else loop.call_at(deadline, self._tell_last_resorts)

    def _tell_foreign(self) -> None:
        """Addresses that somebody else wrote into a Service of ours."""
        counter = self._metrics.refusals.labels("not-given")
        counter.inc(self._foreign.count - self._counted_foreign)
        self._counted_foreign = self._foreign.count
        for service, text in self._foreign.take():
            self._events.record(reference_of(service), "Warning", names.REASON_ANNOUNCEMENT_FAILED, text)

    def _tell_double_use(self) -> None:
        """Addresses by which this node reaches its resolver or the API server."""
        for service, text in self._double_use.take():
            self._events.record(reference_of(service), "Warning", names.REASON_CONFIGURATION_WARNING, text)

    def _is_news(self, service: ServiceView, announcement: Announcement) -> bool:
        """Whether the Service doesn't say so yet."""
        return self._places_named_by(service).get(announcement.vip) != announcement.interface

    def _places_named_by(self, service: ServiceView) -> Mapping[IPAddress, str]:
        """Where a Service says that this node announces; read once for all of its addresses."""
        read, places = self._named
        if read is not service:
            places = {}
            for key in names.ANNOUNCING_KEYS:
                vips = [vip for vip in vips_of(service) if annotation_of(vip) == key]
                places |= named_places(service.annotations.get(key), vips, self._node)
            self._named = service, places
        return places

    def _explain_policy(self, service: ServiceView, announcement: Announcement) -> None:
        """That policy Local is kept on a NIC, once for each time that its user asks for it."""
        is_kept = service.external_traffic_policy == "Local" and self._wanted.keeps_policy(service)
        if not is_kept or service.key in self._kept:
            if not is_kept:
                self._kept.discard(service.key)
            return
        self._kept.add(service.key)
        if announcement.is_fresh:
            text = LOCAL_KEPT if names.ALLOW_LOCAL in service.annotations else LOCAL_HONOURED
            self._events.record(reference_of(service), "Normal", names.REASON_LOCAL_OVERRIDE, text)

    def _explain_routing(self, key: ServiceKey, vip: IPAddress) -> None:
        """That an address needs a router, where its group doesn't ask for one; one of the nodes says so."""
        service, announcement, group = self._wanted.service(key), self._standing.get(vip), self._wanted.group_of(vip)
        if service is None or announcement is None or announcement.state != "announcing" or announcement.is_local:
            return
        if group is None or not isinstance(group.source, PoolSource) or group.source.scope == "remote":
            return
        if self._has_router:
            return
        if not self._announcers:
            self._unexplained.add((key, vip))
            return
        entry = self._wanted.table.get(vip)
        endpoints = entry.endpoints if entry is not None else None
        if owner(self._announcers if endpoints is None else self._announcers & endpoints, str(key)) != self._node:
            return
        text = OFF_SUBNET.format(vip=vip, group=group.name, interface=announcement.interface)
        self._events.record(reference_of(service), "Warning", names.REASON_CONFIGURATION_WARNING, text)

    def _explain_rest(self) -> None:
        unexplained, self._unexplained = self._unexplained, set()
        for key, vip in sorted(unexplained, key=lambda one: (one[0], str(one[1]))):
            self._explain_routing(key, vip)

    def _forget(self, key: ServiceKey, vip: IPAddress) -> None:
        self._unexplained.discard((key, vip))
        last = self._told[key].pop(vip)
        if not self._told[key]:
            del self._told[key]
        if last.state == "announcing":
            self._metrics.announced.remove(str(key), self._node, str(vip))


def _same(one: Announcement, other: Announcement) -> bool:
    return replace(one, is_fresh=other.is_fresh, successor=other.successor, despite=other.despite) == other
