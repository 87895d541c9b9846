"""The one writer: takes in news, has Services reviewed one after the other, carries the plans out.

It owns the order of things: nothing is given away before all Services and ServiceGroups were listed; decisions are
made one at a time, and only the writes that follow from them overlap; a Service has one write under way at most.
Retrying is the queue, with one backoff. It judges nothing itself: that is review.py and catalog.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from allocator.catalog import Catalog, GroupKey, group_key, read_catalog, stranded_notice
from allocator.engine import Engine
from allocator.inventory import Entry, Inventory, revision
from allocator.leadership import LeadershipLostError
from allocator.review import Plan, Reviewer
from allocator.voice import Voice
from allocator.workqueue import Backoff, WorkQueue
from allocator.writer import Failed, Gone, Outcome, Seen, Writer, Written
from purelb import names
from purelb.errors import KubeError
from purelb.events import EventRecorder
from purelb.kube import Kube, custom_path, services_path
from purelb.metrics import AllocatorMetrics
from purelb.services import ServiceKey, ServiceView, view_service

log = logging.getLogger(__name__)

WRITES: Final = 8
"""Writes under way at once: enough that the API server's latency doesn't bound the rate."""
RELIST: Final = 120.0
"""Seconds between two complete lists, which find what a watch may have missed."""
RELIST_SOON: Final = 1.0
"""Seconds to the next list after a watch had to start over, when deletions may have been missed."""
BREATH: Final = 32
"""Reviews in a row before other tasks get their turn."""


class Controller:
    """Answers Services. Handlers feed it from the same event loop; ``run`` does the work."""

    def __init__(
        self,
        kube: Kube,
        recorder: EventRecorder,
        metrics: AllocatorMetrics,
        *,
        default_announcer: bool,
        clock: Callable[[], float],
        may_write: Callable[[], bool] = lambda: True,
        backoff: Backoff | None = None,
        relist: float = RELIST,
    ) -> None:
        self._kube = kube
        self._metrics = metrics
        self._voice = Voice(recorder, metrics, clock)
        self._may_write = may_write
        self._backoff = backoff or Backoff()
        self._relist = relist
        self._writer = Writer(kube)
        self._engine = Engine()
        self._reviewer = Reviewer(self._engine, default_announcer=default_announcer)
        self._inventory = Inventory()
        self._queue: WorkQueue[ServiceKey] = WorkQueue(clock)
        self._group_bodies: dict[GroupKey, Mapping[str, Any]] = {}
        self._catalog: Catalog | None = None
        self._config_changed = False
        self._stranded: dict[str, int] = {}
        self._slots = asyncio.Semaphore(WRITES)
        self._busy: set[ServiceKey] = set()
        self._unclear: set[ServiceKey] = set()
        self._attempts: dict[ServiceKey, int] = {}
        self._unsaid: dict[ServiceKey, Plan] = {}
        self._list_soon = asyncio.Event()
        self._is_synchronised = False
        self._is_stopping = False

    # --- what others ask ---------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """Who holds what; to be read, not written."""
        return self._engine

    @property
    def catalog(self) -> Catalog | None:
        """The configuration in force; None before the first."""
        return self._catalog

    @property
    def group_bodies(self) -> Mapping[GroupKey, Mapping[str, Any]]:
        """The ServiceGroup objects as last seen."""
        return self._group_bodies

    @property
    def is_synchronised(self) -> bool:
        """Whether everything was listed once, so that addresses are given out."""
        return self._is_synchronised

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due or under way; a Service that waits for an address doesn't count."""
        return not (len(self._queue) or self._busy or self._config_changed)

    # --- news --------------------------------------------------------------------------------------------------------

    def service_seen(self, body: Mapping[str, Any]) -> None:
        """A Service is there, new or changed."""
        self._take_in(view_service(body))

    def service_gone(self, body: Mapping[str, Any]) -> None:
        """A Service was deleted; ``body`` is its last state."""
        service = view_service(body)
        if self._inventory.gone(service):
            self._forget(service.key)

    def group_seen(self, body: Mapping[str, Any]) -> None:
        """A ServiceGroup is there, new or changed."""
        key = group_key(body)
        known = self._group_bodies.get(key)
        if known is not None and revision(_version(body)) < revision(_version(known)):
            return
        self._group_bodies[key] = body
        if known is None or known.get("spec") != body.get("spec") or _uid(known) != _uid(body):
            self._reconfigure_soon()

    def group_gone(self, body: Mapping[str, Any]) -> None:
        """A ServiceGroup was deleted."""
        if self._group_bodies.pop(group_key(body), None) is not None:
            self._reconfigure_soon()

    def watch_restarted(self) -> None:
        """A watch had to list again, so that a deletion may have gone unseen."""
        self._list_soon.set()

    def _take_in(self, service: ServiceView) -> None:
        if not self._inventory.seen(service):
            return
        entry = self._inventory.get(service.key)
        assert entry is not None
        if service.key in self._busy:
            return  # looked at again when its write is done
        self._voice.heard(service)
        self._reviewer.learn(service, entry.seniority)
        self._queue.add(service.key, entry.seniority)

    def _forget(self, key: ServiceKey) -> None:
        """A Service is gone: what it held is free."""
        self._attempts.pop(key, None)
        self._unsaid.pop(key, None)
        self._unclear.discard(key)
        self._voice.forget(key)
        self._engine.release(key)
        self._queue.nudge()

    def _reconfigure_soon(self) -> None:
        self._config_changed = True
        self._queue.nudge()

    # --- the work ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """List everything, then answer Services until ``stop``."""
        await self._synchronise()
        async with asyncio.TaskGroup() as tasks:
            listing = tasks.create_task(self._keep_listing())
            await self._work(tasks)
            listing.cancel()

    def stop(self) -> None:
        """Begin nothing new; ``run`` returns when the writes under way are answered."""
        self._is_stopping = True
        self._queue.nudge()

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        looks = 0
        while True:
            await self._slots.acquire()
            while True:
                key = await self._next()
                if key is None:
                    return
                if self._look(key, tasks):
                    break  # its task gives the slot back
                looks += 1
                if looks % BREATH == 0:
                    await asyncio.sleep(0)

    async def _next(self) -> ServiceKey | None:
        """The next Service to look at, as soon as there is one; None when stopping."""
        while not self._is_stopping:
            if self._config_changed:
                self._reconfigure()
            for waiting in self._engine.wake():
                self._enqueue(waiting)
            key = self._queue.take()
            if key is None:
                await self._queue.wait()
            elif key not in self._busy:
                return key
        return None

    def _look(self, key: ServiceKey, tasks: asyncio.TaskGroup) -> bool:
        """Review one Service. True if a task was started for it, which then owns the slot."""
        entry = self._inventory.get(key)
        if entry is None:
            self._engine.release(key)
            return False
        self._metrics.updates.inc()
        if key in self._unclear:
            self._busy.add(key)
            tasks.create_task(self._carry_out(entry, None))
            return True
        try:
            plan = self._reviewer.review(entry.service, entry.seniority)
        except Exception:
            # Our mistake, and on one Service: the others are served on.
            log.exception("review failed", extra={"service": str(key)})
            self._retry(key, None)
            return False
        self._voice.standing(entry.service, plan)
        if plan.write is None:
            self._confirm(entry)
            return False
        self._busy.add(key)
        tasks.create_task(self._carry_out(entry, plan))
        return True

    async def _carry_out(self, entry: Entry, plan: Plan | None) -> None:
        """Write a plan; without one, read the Service."""
        key = entry.service.key
        try:
            if plan is not None and plan.write is not None:
                if not self._may_write():
                    raise LeadershipLostError("not leading any more: nothing is written")
                outcome: Outcome = await self._writer.write(plan.write)
            else:
                outcome = await self._writer.read(key)
            self._busy.discard(key)
            self._conclude(entry, plan, outcome)
        finally:
            self._busy.discard(key)
            self._slots.release()

    def _conclude(self, entry: Entry, plan: Plan | None, outcome: Outcome) -> None:
        key = entry.service.key
        match outcome:
            case Written(service):
                self._attempts.pop(key, None)
                self._inventory.seen(service)
                self._unsaid.pop(key, None)
                if plan is not None:
                    self._voice.done(entry.service, plan)
                self._enqueue(key)
            case Seen(service):
                self._unclear.discard(key)
                self._inventory.seen(service)
                self._retry(key, None)
            case Gone():
                known = self._inventory.get(key)
                if known is not None and known.service.uid == entry.service.uid:
                    self._inventory.forget(key)
                    self._forget(key)
                else:
                    self._enqueue(key)
            case Failed(sentence, retry_after, is_refusal):
                log.warning("write failed", extra={"service": str(key), "reason": sentence})
                if is_refusal:
                    self._voice.refused(entry.service, sentence)
                self._unclear.add(key)
                if plan is not None:
                    self._unsaid[key] = plan
                self._retry(key, retry_after)

    def _confirm(self, entry: Entry) -> None:
        """Nothing is left to do; if the answer to a write was lost, the write had been done after all: say so."""
        self._attempts.pop(entry.service.key, None)
        plan = self._unsaid.pop(entry.service.key, None)
        if plan is not None and plan.write is not None and plan.write.ingress == entry.service.ingress:
            self._voice.done(entry.service, plan)

    def _retry(self, key: ServiceKey, retry_after: float | None) -> None:
        entry = self._inventory.get(key)
        if entry is None:
            return
        self._metrics.update_errors.inc()
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        delay = self._backoff.delay(attempt)
        self._queue.add_later(key, entry.seniority, max(delay, retry_after or 0.0))

    def _enqueue(self, key: ServiceKey) -> None:
        entry = self._inventory.get(key)
        if entry is not None:
            self._queue.add(key, entry.seniority)

    # --- configuration -----------------------------------------------------------------------------------------------

    def _reconfigure(self) -> None:
        """Put the ServiceGroups as last seen into force, and look at every Service in their light."""
        self._config_changed = False
        catalog = read_catalog(self._group_bodies.values())
        before = dict(self._catalog.verdicts) if self._catalog is not None else {}
        self._catalog = catalog
        self._engine.configure(catalog.groups)
        self._metrics.config_loaded.set(1)
        for key, verdict in catalog.verdicts.items():
            if before.get(key) != verdict:
                self._voice.on_group(verdict, verdict.notice)
        stranded = self._engine.stranded()
        for verdict in (before | dict(catalog.verdicts)).values():
            count = stranded.get(verdict.key.name, 0)
            if count > self._stranded.get(verdict.key.name, 0):
                self._voice.on_group(verdict, stranded_notice(count))
        self._stranded = stranded
        for entry in self._inventory:
            self._queue.add(entry.service.key, entry.seniority)

    # --- lists -------------------------------------------------------------------------------------------------------

    async def _synchronise(self) -> None:
        """Learn everything there is before anything is given away; tries until it works."""
        attempt = 0
        while True:
            try:
                await self._list_all()
                break
            except KubeError as error:
                attempt += 1
                log.warning("can't list yet", extra={"reason": str(error)})
                await asyncio.sleep(max(self._backoff.delay(attempt), error.retry_after or 0.2))
        self._reconfigure()
        self._is_synchronised = True
        log.info(
            "synchronised",
            extra={"services": len(self._inventory), "groups": len(self._group_bodies), "waiting": len(self._queue)},
        )

    async def _keep_listing(self) -> None:
        """List everything now and then, and release what vanished unseen."""
        delay = self._relist
        while True:
            self._list_soon.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._list_soon.wait()
                await asyncio.sleep(RELIST_SOON)
            except TimeoutError:
                pass
            try:
                await self._list_all()
                delay = self._relist
            except KubeError as error:
                log.warning("list failed", extra={"reason": str(error)})
                delay = min(self._relist, max(error.retry_after or 0.0, 5.0))

    async def _list_all(self) -> None:
        """Compare with a complete list. Raises KubeError."""
        groups = await self._kube.list(custom_path(names.SERVICE_GROUPS))
        present = {group_key(body) for body in groups.items}
        for body in groups.items:
            self.group_seen(body)
        for group, known in list(self._group_bodies.items()):
            if group not in present and revision(_version(known)) <= revision(groups.resource_version):
                self.group_gone(known)
        listing = await self._kube.list(services_path())
        views = []
        for count, body in enumerate(listing.items):
            views.append(view_service(body))
            if count % BREATH == 0:
                await asyncio.sleep(0)
        for service in views:
            self._take_in(service)
        for key in self._inventory.missing_from(views, listing.resource_version):
            log.info("gone unseen", extra={"service": str(key)})
            self._inventory.forget(key)
            self._forget(key)


def _version(body: Mapping[str, Any]) -> str:
    return str(body["metadata"].get("resourceVersion", ""))


def _uid(body: Mapping[str, Any]) -> str:
    return str(body["metadata"].get("uid", ""))
