"""The one writer: takes in news, has Services reviewed one after the other, carries the plans out.

It owns the order of things: nothing is given away before all Services and ServiceGroups were listed; decisions are
made one at a time, and only the writes that follow from them overlap; a Service has one write under way at most.
Retrying is the schedule's, with one backoff. It judges nothing itself: that is review.py and catalog.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from allocator.groups.configuration import Configuration
from allocator.ipam.engine import Engine
from allocator.ipam.requests import Consultation
from allocator.leadership import LeadershipLostError
from allocator.reconcile.asking import Consultant
from allocator.reconcile.cache import Entry, ServiceCache
from allocator.reconcile.holdings import Holdings
from allocator.reconcile.notices import Notices
from allocator.reconcile.relist import Stock
from allocator.reconcile.review import Plan, Reviewer
from allocator.reconcile.schedule import AFTER_CONFLICT, Schedule
from allocator.reconcile.translate import claims_differ
from allocator.reconcile.writer import Failed, Gone, Outcome, Seen, Writer, Written
from allocator.sources.external import ExternalSources
from allocator.sources.opening import SourceFactory
from purelb.events import EventRecorder
from purelb.kube import Kube
from purelb.metrics import AllocatorMetrics
from purelb.retry import Backoff, persist
from purelb.services import ServiceKey, ServiceView, view_service

log = logging.getLogger(__name__)

WRITES: Final = 32
"""Writes under way at once: enough that neither the API server's latency bounds the rate nor those who create Services
as fast as they can crowd the writes out."""
RELIST: Final = 120.0
"""Seconds between two complete lists, which find what a watch may have missed."""
BEFORE_FIRST_LIST: Final = Backoff(first=0.2, most=1.0)
"""Our CRDs may be established just after we start."""
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
        namespace: str = "",
        netbox_token: str | None = None,
        relist: float = RELIST,
    ) -> None:
        self._kube = kube
        self._metrics = metrics
        self._notices = Notices(recorder, metrics, clock)
        self._may_write = may_write
        self._writer = Writer(kube)
        self._engine = Engine()
        self._reviewer = Reviewer(self._engine, default_announcer=default_announcer)
        self._cache = ServiceCache()
        self._schedule = Schedule(self._cache, clock, on_retry=metrics.update_errors.inc)
        self._configuration = Configuration(self._engine, self._notices, has_netbox_token=netbox_token is not None)
        self._external = ExternalSources(
            kube,
            namespace,
            SourceFactory(kube, netbox_token, metrics),
            clock,
            may_write,
            holdings=Holdings(self._cache, self._engine),
            on_room=lambda group: self._consultant.ask_again(group),
            on_dispute=lambda service, sentence: self._consultant.dispute(service, sentence),
        )
        self._consultant = Consultant(
            self._external,
            self._engine,
            self._cache,
            self._notices,
            look_now=self._schedule.look_now,
            look_later=lambda service, at_least: self._schedule.look_again(service, at_least=at_least),
        )
        self._asks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(WRITES)
        self._busy: set[ServiceKey] = set()
        self._unclear: set[ServiceKey] = set()
        self._unsaid: dict[ServiceKey, Plan] = {}
        self.stock = Stock(
            kube,
            self._cache,
            self._configuration,
            interval=relist,
            seen=self.service_seen,
            vanished=self._forget,
            news=self._schedule.nudge,
        )
        """The complete lists; a standby takes them too, so that it knows all when its time comes."""
        self._is_synchronised = False
        self._is_stopping = False

    # --- what others ask ---------------------------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """Who holds what; to be read, not written."""
        return self._engine

    @property
    def configuration(self) -> Configuration:
        """The ServiceGroups; to be read, not written."""
        return self._configuration

    @property
    def external(self) -> ExternalSources:
        """Who deals with those that keep addresses elsewhere; to be read, not used."""
        return self._external

    @property
    def is_synchronised(self) -> bool:
        """Whether everything was listed once, so that addresses are given out."""
        return self._is_synchronised

    @property
    def is_idle(self) -> bool:
        """Whether nothing is due or under way; a Service that waits for an address doesn't count."""
        return not (len(self._schedule) or self._busy or self._configuration.is_stale)

    # --- news --------------------------------------------------------------------------------------------------------

    def service_seen(self, body: Mapping[str, Any]) -> None:
        """A Service is there, new or changed."""
        if not self._cache.knows(body):
            self._take_in(view_service(body))

    def service_gone(self, body: Mapping[str, Any]) -> None:
        """A Service was deleted; ``body`` is its last state."""
        service = view_service(body)
        if self._cache.gone(service):
            self._forget(service.key)

    def group_seen(self, body: Mapping[str, Any]) -> None:
        """A ServiceGroup is there, new or changed."""
        self._configuration.seen(body)
        self._schedule.nudge()

    def group_gone(self, body: Mapping[str, Any]) -> None:
        """A ServiceGroup was deleted."""
        self._configuration.gone(body)
        self._schedule.nudge()

    def _take_in(self, service: ServiceView) -> None:
        before = self._cache.get(service.key)
        if not self._cache.seen(service):
            return
        entry = self._cache.get(service.key)
        assert entry is not None
        if service.key in self._busy:
            return  # looked at again when its write is done
        self._notices.heard(service)
        self._reviewer.learn(service, entry.seniority)
        self._schedule.look_now(service.key)
        if before is not None and claims_differ(before.service, service):
            for other in self._engine.companions(service.key):
                self._schedule.look_now(other)  # what is right for it may have changed, though it has not

    def _forget(self, key: ServiceKey) -> None:
        """A Service is gone: what it held is free."""
        self._schedule.settled(key)
        self._unsaid.pop(key, None)
        self._unclear.discard(key)
        self._notices.forget(key)
        self._engine.release(key)
        self._external.settle(key)
        self._schedule.nudge()

    # --- the work ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """List everything, then answer Services until ``stop``."""
        await self._synchronise()
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self.stock.keep()), tasks.create_task(self._external.run())]
            await self._work(tasks)
            for task in (*others, *self._asks):
                task.cancel()

    def stop(self) -> None:
        """Begin nothing new; ``run`` returns when the writes under way are answered."""
        self._is_stopping = True
        self._schedule.nudge()

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
            if self._configuration.is_stale:
                self._reconfigure()
            for waiting in self._engine.wake():
                self._schedule.look_now(waiting)
            key = self._schedule.take()
            if key is None:
                await self._schedule.wait()
            elif key not in self._busy:
                return key
        return None

    def _look(self, key: ServiceKey, tasks: asyncio.TaskGroup) -> bool:
        """Review one Service. True if a task was started for it, which then owns the slot."""
        entry = self._cache.get(key)
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
            self._schedule.look_again(key)
            return False
        if plan.ask is not None:
            self._busy.add(key)
            asking = tasks.create_task(self._consult(entry, plan.ask))
            self._asks.add(asking)
            asking.add_done_callback(self._asks.discard)
            return False  # whoever is slow to answer must not hold up writes
        self._notices.standing(entry.service, plan)
        if plan.write is None:
            if plan.refusal is not None and self._external.keeps(plan.refusal.group):
                self._schedule.look_again(key)  # what a source gave was another's: no news of ours may end that
            else:
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

    async def _consult(self, entry: Entry, ask: Consultation) -> None:
        try:
            await self._consultant.consult(entry, ask)
        finally:
            self._busy.discard(entry.service.key)

    def _conclude(self, entry: Entry, plan: Plan | None, outcome: Outcome) -> None:
        key = entry.service.key
        match outcome:
            case Written(service):
                self._schedule.settled(key)
                self._cache.seen(service)
                self._unsaid.pop(key, None)
                if plan is not None:
                    self._notices.done(entry.service, plan)
                self._schedule.look_now(key)
            case Seen(service):
                self._unclear.discard(key)
                self._cache.seen(service)
                if plan is not None:
                    self._schedule.look_again(key, AFTER_CONFLICT)
                else:
                    self._schedule.look_now(key)
            case Gone():
                known = self._cache.get(key)
                if known is not None and known.service.uid == entry.service.uid:
                    self._cache.forget(key)
                    self._forget(key)
                else:
                    self._schedule.look_now(key)
            case Failed(sentence, retry_after, is_refusal):
                log.warning("write failed", extra={"service": str(key), "reason": sentence})
                if is_refusal:
                    self._notices.refused(entry.service, sentence)
                self._unclear.add(key)
                if plan is not None:
                    self._unsaid[key] = plan
                self._schedule.look_again(key, at_least=retry_after or 0.0)

    def _confirm(self, entry: Entry) -> None:
        """Nothing is left to do; if the answer to a write was lost, the write had been done after all: say so."""
        self._schedule.settled(entry.service.key)
        plan = self._unsaid.pop(entry.service.key, None)
        if plan is not None and plan.write is not None and plan.write.ingress == entry.service.ingress:
            self._notices.done(entry.service, plan)
        self._external.settle(entry.service.key)

    def _reconfigure(self) -> None:
        """Put the ServiceGroups as last seen into force, and look at every Service in their light."""
        self._configuration.enforce()
        if self._configuration.catalog is not None:
            self._external.configure(self._configuration.catalog.groups)
        self._metrics.config_loaded.set(1)
        self._schedule.look_at_all()

    async def _synchronise(self) -> None:
        """Learn everything there is before anything is given away; tries until it works."""
        await persist("a complete list", self.stock.take, BEFORE_FIRST_LIST)
        self._reconfigure()
        self._is_synchronised = True
        log.info(
            "synchronised",
            extra={
                "services": len(self._cache),
                "groups": len(self._configuration.bodies),
                "waiting": len(self._schedule),
            },
        )
