"""Feeds the table of wanted VIPs: Services, ServiceGroups and EndpointSlices, as kopf sees them and as lists have them.

kopf tells no deletion that it didn't see happen, so that a fresh list is compared with from time to time, and soon
after a watch had a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from lbnodeagent.kubernetes.viptable import Changes, WantedTable
from lbnodeagent.messages import VipChanged
from purelb import names
from purelb.errors import SpecError
from purelb.kube import Kube, custom_path, group_path, services_path
from purelb.metrics import AgentMetrics
from purelb.retry import persist
from purelb.servicegroups import parse_service_group
from purelb.services import ServiceKey, ServiceView, view_service

Json: TypeAlias = Mapping[str, Any]

log = logging.getLogger(__name__)

PREFIX: Final = f"{names.GROUP}/"
"""Of the annotations that agents read."""
RELIST: Final = 300.0
"""Seconds between two comparisons with a fresh list."""
RELIST_AFTER_GAP: Final = 1.0
"""Seconds after which that is done when a watch has begun anew, or the API server is there again."""
DOUBT: Final = 75.0
"""Seconds for which a watch may be dead without our knowing, after the network was away: kopf's inactivity_timeout."""
RELIST_IN_DOUBT: Final = 20.0


class ServiceFeed:
    """Used from the control plane's loop only."""

    def __init__(
        self, kube: Kube, wanted: WantedTable, metrics: AgentMetrics, tell: Callable[[list[VipChanged]], None]
    ) -> None:
        self.on_change: Callable[[ServiceView], None] = _nobody
        """Told of every Service that may have changed."""
        self.on_gone: Callable[[ServiceKey], None] = _nobody
        self._kube = kube
        self._wanted = wanted
        self._metrics = metrics
        self._tell = tell
        self._touched: set[ServiceKey] | None = None
        """Services that changed while a list was being read; None: none is."""
        self._gap = asyncio.Event()
        self._doubt_until = 0.0
        self._is_synced = False

    # --- what kopf sees ----------------------------------------------------------------------------------------------

    def observe_service(self, body: Json, *, is_gone: bool, is_listed: bool) -> None:
        """A Service came, changed or went."""
        self._metrics.updates.inc()
        if is_listed and self._is_synced:
            self._gap.set()
        service = view_service(body)
        if self._touched is not None:
            self._touched.add(service.key)
        if is_gone:
            self._service_gone(service.key)
        else:
            self.service_read(service)

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

    def observe_slice(self, body: Json, *, is_gone: bool) -> None:
        """An EndpointSlice came, changed or went."""
        self._tell_changes(self._wanted.drop_slice(body) if is_gone else self._wanted.set_slice(body))

    # --- Services ----------------------------------------------------------------------------------------------------

    def service_read(self, service: ServiceView) -> None:
        """A Service as the API server has it now."""
        known = self._wanted.service(service.key)
        if known is not None and (_is_same(service, known) or _is_older(service, known)):
            return
        service = _trimmed(service)
        self._tell_changes(self._wanted.set_service(service))
        self.on_change(service)

    def _service_gone(self, key: ServiceKey) -> None:
        changes = self._wanted.drop_service(key)
        self.on_gone(key)
        self._tell_changes(changes)

    def _tell_changes(self, changes: Changes) -> None:
        self._tell([VipChanged(vip, wanted) for vip, wanted in changes.items()])

    # --- whole lists -------------------------------------------------------------------------------------------------

    async def learn(self) -> None:
        """Read everything once."""
        await self._read(custom_path(names.SERVICE_GROUPS), self.observe_group)
        await self._compare()
        if self._wanted.needs_endpoints:
            await self._read(group_path("discovery.k8s.io/v1", "endpointslices"), self.observe_slice)
        self._is_synced = True
        log.info("synced", extra={"services": len(self._wanted.services), "vips": len(self._wanted.table)})

    async def keep_comparing(self) -> None:
        """Compare with a fresh list again and again, until cancelled."""
        while True:
            is_doubtful = asyncio.get_running_loop().time() < self._doubt_until
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((RELIST_IN_DOUBT if is_doubtful else RELIST) * random.uniform(0.8, 1.2)):
                    await self._gap.wait()
                    await asyncio.sleep(RELIST_AFTER_GAP)
            self._gap.clear()
            await self._compare()

    def api_is_back(self) -> None:
        """The API server could not be reached for a while: watches may be dead without our knowing."""
        self._doubt_until = asyncio.get_running_loop().time() + DOUBT
        self._gap.set()

    async def _read(self, path: str, observe: Callable[..., None]) -> None:
        for body in (await persist(path, lambda: self._kube.list(path))).items:
            observe(body, is_gone=False)

    async def _compare(self) -> None:
        """Take all Services as a fresh list has them, but those that changed meanwhile."""
        self._touched = set()
        views = await persist("Services", self._list_views)
        touched, self._touched = self._touched, None
        for key in set(self._wanted.services) - views.keys() - touched:
            self._service_gone(key)
        for key, view in views.items():
            if key not in touched:
                self.service_read(view)

    async def _list_views(self) -> dict[ServiceKey, ServiceView]:
        """A page at a time: as parsed JSON, 10,000 Services at once would be 100 MB."""
        views = {}
        async for page in self._kube.pages(services_path()):
            for body in page.items:
                view = view_service(body)
                views[view.key] = view
        return views


def _nobody(_: object) -> None:
    """Before the reporter is there, nobody listens."""


def _trimmed(service: ServiceView) -> ServiceView:
    """Without others' annotations: kubectl's copy of the whole object is often larger than all the rest."""
    ours = {key: value for key, value in service.annotations.items() if key.startswith(PREFIX)}
    return replace(service, annotations=ours)


def _is_same(service: ServiceView, known: ServiceView) -> bool:
    """Whether it's known already, so that 10,000 Services that are listed again don't keep the processor busy."""
    return bool(known.resource_version) and (service.uid, service.resource_version) == (
        known.uid,
        known.resource_version,
    )


def _is_older(service: ServiceView, known: ServiceView) -> bool:
    """Whether what was read is behind what is known.

    Comparing resourceVersions as numbers is allowed from Kubernetes 1.35 on (KEP-5504) and has always worked with etcd.
    """
    if service.uid != known.uid:
        return False
    versions = service.resource_version, known.resource_version
    return all(version.isdecimal() for version in versions) and int(versions[0]) < int(versions[1])
