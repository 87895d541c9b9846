"""Says what was decided: events on the objects, log lines, metrics; each thing once for as long as it is true.

It decides nothing, words nothing and waits for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from allocator import wording
from allocator.groups.catalog import Verdict
from allocator.ipam.requests import Decision
from allocator.notice import Notice
from allocator.reconcile.plan import Plan, Write
from purelb import names
from purelb.events import EventRecorder, ObjectReference
from purelb.metrics import AllocatorMetrics
from purelb.services import ServiceKey, ServiceView

log = logging.getLogger(__name__)


class Notices:
    """What users and operators hear of the allocator. Times are monotonic seconds."""

    def __init__(self, recorder: EventRecorder, metrics: AllocatorMetrics) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._said: dict[ServiceKey, tuple[Notice, ...]] = {}
        self._heard: dict[ServiceKey, float] = {}

    def heard(self, service: ServiceView, now: float) -> None:
        """A Service may want an address: its waiting time begins."""
        if service.is_load_balancer and not service.ingress:
            self._heard.setdefault(service.key, now)
        else:
            self._heard.pop(service.key, None)

    def forget(self, key: ServiceKey) -> None:
        """There is no such Service any more."""
        self._said.pop(key, None)
        self._heard.pop(key, None)

    def standing(self, service: ServiceView, plan: Plan) -> None:
        """Say what a review found to be true of a Service, as far as it is new."""
        before = self._said.pop(service.key, ())
        if plan.standing:
            self._said[service.key] = plan.standing
        fresh = [notice for notice in plan.standing if notice not in before]
        for notice in fresh:
            self._on_service(service, notice)
        if plan.refusal is not None and (fresh or plan.step is not None):
            self._metrics.count_refusal(plan.refusal.group, plan.refusal.reason.value)

    def done(self, write: Write, now: float) -> None:
        """Say what was written."""
        service = write.service
        for notice in write.done:
            self._on_service(service, notice)
        addresses = [str(address) for address in write.ingress]
        log.debug("written", extra={"service": str(service.key), "addresses": addresses})
        since = self._heard.pop(service.key, None)
        if write.decision is not None:
            self._count(write.decision)
            if since is not None:
                self._metrics.allocation_seconds.observe(now - since)

    def _count(self, decision: Decision) -> None:
        pool = decision.groups[0]
        if decision.is_multi_pool:
            self._metrics.multi_pool.labels(pool).inc()
        if decision.is_partial:
            self._metrics.multi_pool_partial.labels(pool).inc()
        if decision.is_balanced:
            self._metrics.balanced.labels(pool).inc()

    def refused(self, service: ServiceView, sentence: str) -> None:
        """The API server doesn't take what we decided."""
        self._on_service(service, wording.unwritable(service, sentence))

    def unserved(self, service: ServiceView, reason: str) -> None:
        """No allocator gives addresses."""
        self._on_service(service, wording.unserved(service, reason))

    def disputed(self, service: ServiceView, sentence: str) -> None:
        """Whoever keeps an address doesn't count it as this Service's."""
        self._on_service(service, wording.warned(sentence))

    def on_groups(self, notices: Iterable[tuple[Verdict, Notice]]) -> None:
        """Say something about ServiceGroups."""
        kind = f"{names.GROUP}/{names.READ_VERSION}", "ServiceGroup"
        for verdict, notice in notices:
            self._record(ObjectReference(*kind, *verdict.key, verdict.uid), notice)

    def _on_service(self, service: ServiceView, notice: Notice) -> None:
        self._record(ObjectReference("v1", "Service", *service.key, service.uid), notice)

    def _record(self, about: ObjectReference, notice: Notice) -> None:
        self._recorder.record(about, notice.type, notice.reason, notice.message)
        level = logging.WARNING if notice.type == "Warning" else logging.INFO
        extra = {"object": f"{about.kind} {about.namespace}/{about.name}", "event": notice.message}
        log.log(level, notice.reason, extra=extra)
