"""Tells users what this node does: events and ``purelb.io/announcing-*`` on the Services, and the announced metric.

Level-triggered: what is written follows from how each VIP stands here and what the Service says now. Writes are
conditional on the resourceVersion that they were decided on, coalesced by Service, and wait for the API as long as it
takes; the data plane never waits for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lbnodeagent.frames import format_mac
from lbnodeagent.tables import Announcement, Conflict, Wiped
from lbnodeagent.wanted import WantedTable, annotation_of, vips_of
from purelb import names
from purelb.addresses import IPAddress
from purelb.errors import ConflictError, KubeError, NotFoundError, UnavailableError
from purelb.events import EventRecorder, ObjectReference
from purelb.kube import Kube, services_path
from purelb.metrics import AgentMetrics
from purelb.services import ServiceKey, ServiceView, annotations_patch, view_service

log = logging.getLogger(__name__)

WRITERS: Final = 4
"""Writes under way at once."""
RETRY: Final = 1.0
"""Seconds until a write is tried again while the API server is away."""
CALM: Final = 2.0
"""Seconds between two writes of the same annotation to the same Service."""

LOCAL_OVERRIDE: Final = "ExternalTrafficPolicy Local not supported on local Interfaces, setting to Cluster."
LOCAL_KEPT: Final = (
    "ExternalTrafficPolicy override annotation found: the policy stays Local, "
    "and only nodes with a ready endpoint announce"
)


class Reporter:
    """Compares what users see with what is. Used from the control plane's loop only."""

    def __init__(
        self,
        node: str,
        kube: Kube,
        events: EventRecorder,
        wanted: WantedTable,
        metrics: AgentMetrics,
        on_read: Callable[[ServiceView], object],
    ) -> None:
        self._node = node
        self._kube = kube
        self._events = events
        self._wanted = wanted
        self._metrics = metrics
        self._on_read = on_read
        """Takes a Service that was read again after a conflict."""
        self._standing: dict[IPAddress, Announcement] = {}
        self._told: dict[ServiceKey, dict[IPAddress, Announcement]] = {}
        self._pending: OrderedDict[ServiceKey, None] = OrderedDict()
        self._written: dict[ServiceKey, tuple[dict[str, str | None], float]] = {}
        self._wake = asyncio.Event()

    # --- what happens ------------------------------------------------------------------------------------------------

    def vip_stands(self, announcement: Announcement) -> None:
        """The data plane reports a VIP."""
        if announcement.state == "withdrawn" and not self._wanted.users(announcement.vip):
            self._standing.pop(announcement.vip, None)
        else:
            self._standing[announcement.vip] = announcement
        for service in self._wanted.users(announcement.vip):
            self._tell(service, announcement)
            self._look_at(service.key)

    def conflict_heard(self, conflict: Conflict) -> None:
        """Another host answers for a VIP."""
        text = (
            f"Another host, {format_mac(conflict.mac)}, answers for {conflict.vip}, which node {self._node} announces "
            f"on interface {conflict.interface}: give it another address, or take this one out of the pool"
        )
        for service in self._wanted.users(conflict.vip):
            self._events.record(reference_of(service), "Warning", names.REASON_ADDRESS_CONFLICT, text)

    def vip_wiped(self, wiped: Wiped) -> None:
        """Something on this node keeps removing a VIP."""
        text = (
            f"Something on node {self._node} removed {wiped.vip} from interface {wiped.interface} {wiped.times} times "
            f"in a minute, and PureLB put it back: {wiped.advice}"
        )
        for service in self._wanted.users(wiped.vip):
            self._events.record(reference_of(service), "Warning", names.REASON_ADDRESS_REMOVED, text)

    def service_changed(self, service: ServiceView) -> None:
        """A Service is new or changed."""
        vips = vips_of(service)
        for vip in self._told.get(service.key, {}).keys() - set(vips):
            self._forget(service.key, vip)
        for vip in vips:
            if vip in self._standing:
                self._tell(service, self._standing[vip])
        if vips or any(key in service.annotations for key in names.ANNOUNCING_KEYS):
            self._look_at(service.key)

    def service_gone(self, key: ServiceKey) -> None:
        """A Service was deleted."""
        for vip in list(self._told.get(key, ())):
            self._forget(key, vip)
        self._pending.pop(key, None)
        self._written.pop(key, None)

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
        if before is not None and _same(before, announcement):
            return
        about = reference_of(service)
        match announcement.state:
            case "announcing" if announcement.is_local:
                is_news = service.annotations.get(annotation_of(vip)) != self._value(announcement)
                if not announcement.successor and (announcement.is_fresh or is_news):
                    text = f"Node {self._node} announcing {vip} on interface {announcement.interface}"
                    self._events.record(about, "Normal", names.REASON_ANNOUNCING_LOCAL, text)
                    self._explain_policy(service)
            case "announcing" if announcement.is_fresh:
                text = f"Announcing {vip} from node {self._node} interface {announcement.interface}"
                self._events.record(about, "Normal", names.REASON_ANNOUNCING_NON_LOCAL, text)
            case "failed":
                text = (
                    f"Node {self._node} could not announce {vip} on interface {announcement.interface}: "
                    f"{announcement.error}"
                )
                self._events.record(about, "Warning", names.REASON_ANNOUNCEMENT_FAILED, text)
            case _:
                pass

    def _explain_policy(self, service: ServiceView) -> None:
        if service.external_traffic_policy == "Local":
            kept = names.ALLOW_LOCAL in service.annotations
            text = LOCAL_KEPT if kept else LOCAL_OVERRIDE
            self._events.record(reference_of(service), "Normal", names.REASON_LOCAL_OVERRIDE, text)

    def _forget(self, key: ServiceKey, vip: IPAddress) -> None:
        last = self._told[key].pop(vip)
        if not self._told[key]:
            del self._told[key]
        if last.state == "announcing":
            self._metrics.announced.remove(str(key), self._node, str(vip))

    # --- annotations -------------------------------------------------------------------------------------------------

    def _value(self, announcement: Announcement) -> str:
        return f"{self._node},{announcement.interface}"

    def _look_at(self, key: ServiceKey) -> None:
        self._pending[key] = None
        self._wake.set()

    async def run(self) -> None:
        """Write what is pending, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(self._write_pending())

    async def _write_pending(self) -> None:
        while True:
            while not self._pending:
                self._wake.clear()
                await self._wake.wait()
            key, _ = self._pending.popitem(last=False)
            try:
                await self._write(key)
            except ConflictError:
                await self._read_again(key)
            except NotFoundError:
                continue
            except UnavailableError as error:
                await asyncio.sleep(error.retry_after or RETRY)
                self._look_at(key)
            except KubeError as error:
                self._metrics.update_errors.inc()
                log.error("the Service can't be annotated", extra={"service": str(key), "error": str(error)})

    async def _write(self, key: ServiceKey) -> None:
        service = self._wanted.service(key)
        if service is None:
            return
        changes = self.annotation_changes(service)
        body = annotations_patch(service, changes)
        if self._resets_policy(service):
            body["spec"] = {"externalTrafficPolicy": "Cluster"}
        elif not changes:
            return
        loop = asyncio.get_running_loop()
        last, at = self._written.get(key, ({}, 0.0))
        if changes == last and loop.time() - at < CALM:
            # Somebody undid it: another node that believes to be the owner, for as long as views differ.
            loop.call_later(CALM, self._look_at, key)
            return
        self._written[key] = changes, loop.time()
        answer = await self._kube.patch(services_path(key.namespace, key.name), body)
        log.info("annotated", extra={"service": str(key), "annotations": changes})
        self._on_read(view_service(answer))

    async def _read_again(self, key: ServiceKey) -> None:
        try:
            service = view_service(await self._kube.get(services_path(key.namespace, key.name)))
        except NotFoundError:
            return
        except KubeError as error:
            await asyncio.sleep(error.retry_after or RETRY)
        else:
            self._on_read(service)
        self._look_at(key)

    def annotation_changes(self, service: ServiceView) -> dict[str, str | None]:
        """What the Service's announcing annotations should be changed to, by this node.

        One value per family, v0.6.1's ``node,interface``: the Service's first address of the family decides. A node
        sets it when it announces, and takes away only what names itself.
        """
        changes: dict[str, str | None] = {}
        for key in names.ANNOUNCING_KEYS:
            current = service.annotations.get(key)
            first = next((vip for vip in vips_of(service) if annotation_of(vip) == key), None)
            standing = self._standing.get(first) if first is not None else None
            if standing is not None and standing.state == "announcing" and standing.is_local and not standing.successor:
                if current != self._value(standing):
                    changes[key] = self._value(standing)
                continue
            # A successor writes its own name over ours; before the data plane reports, we don't know.
            is_over = first is None or (standing is not None and standing.successor is None)
            if is_over and current is not None and current.split(",")[0] == self._node:
                changes[key] = None
        return changes

    def _resets_policy(self, service: ServiceView) -> bool:
        """Policy Local doesn't work behind one node's NIC, unless its user says so (PureLB v0.6.1)."""
        if service.external_traffic_policy != "Local" or names.ALLOW_LOCAL in service.annotations:
            return False
        standing = (self._standing.get(vip) for vip in vips_of(service))
        return any(one is not None and one.state == "announcing" and one.is_local for one in standing)


def _same(one: Announcement, other: Announcement) -> bool:
    return replace(one, is_fresh=other.is_fresh, successor=other.successor) == other


def reference_of(service: ServiceView) -> ObjectReference:
    """What an event about a Service refers to."""
    return ObjectReference("v1", "Service", service.key.namespace, service.key.name, service.uid)
