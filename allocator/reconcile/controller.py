"""The way of a Service: news comes in, it is reviewed, the plan is carried out, and what came of it is news again.

It owns the order of things: nothing is given away before all Services, all ServiceGroups and all that has addresses
itself (nodes, the API server) were listed; decisions are
made one at a time, and only the steps that follow from them overlap (steps.py). What happens elsewhere comes in as
values and is passed on here. It judges nothing itself: that is review.py and catalog.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, assert_never

from allocator.groups.configuration import Configuration
from allocator.ipam.engine import Engine
from allocator.ipam.requests import Consultation
from allocator.leadership import Term
from allocator.reconcile.asking import Denied, Granted, Reply
from allocator.reconcile.cache import Entry, ServiceCache
from allocator.reconcile.clusterobjects import ClusterObjects
from allocator.reconcile.contention import Contention
from allocator.reconcile.following import (
    KINDS,
    Following,
    Heard,
    OfCluster,
    OfGroups,
    OfMembership,
    OfNodeAgents,
    OfServices,
    listed,
)
from allocator.reconcile.notices import Notices
from allocator.reconcile.plan import Plan, Write, allocation
from allocator.reconcile.planning import Planning
from allocator.reconcile.request import claims_differ
from allocator.reconcile.review import Reviewer
from allocator.reconcile.schedule import AFTER_CONFLICT, AFTER_FAILURE
from allocator.reconcile.steps import Steps
from allocator.reconcile.turns import Turns
from allocator.reconcile.writer import Answer, Conflicted, Failed, Gone, Outcome, Read, Seen, Writer, Written
from allocator.sources.external import ExternalSources
from allocator.sources.source import Disputed, Room
from purelb.kube import Kube
from purelb.metrics import AllocatorMetrics
from purelb.ordering import Changed, Deleted, News, changes
from purelb.retry import Backoff
from purelb.services import ServiceKey, ServiceView

log = logging.getLogger(__name__)

BREATH: Final = 32
"""Reviews in a row before other tasks get their turn."""


class Controller:
    """Answers Services. Handlers feed it from the same event loop; ``run`` does the work."""

    def __init__(
        self,
        kube: Kube,
        following: Following,
        engine: Engine,
        cache: ServiceCache,
        configuration: Configuration,
        cluster: ClusterObjects,
        external: ExternalSources,
        planning: Planning,
        term: Term,
        notices: Notices,
        metrics: AllocatorMetrics,
        clock: Callable[[], float],
        *,
        default_announcer: bool,
    ) -> None:
        self._engine = engine
        self._cache = cache
        self._configuration = configuration
        self._cluster = cluster
        self._external = external
        self._planning = planning
        self._metrics = metrics
        self._clock = clock
        self._notices = notices
        self._reviewer = Reviewer(engine, default_announcer=default_announcer)
        self._turns = Turns(cache, clock)
        self._contention = Contention()
        self._following = following
        self._steps = Steps(Writer(kube), following, external, term, clock)
        self._unclear: dict[ServiceKey, Write | None] = {}
        """Who is to be read before anything else, with the write whose answer was lost."""
        self._are_listed = asyncio.Event()
        self._is_synchronised = False

    @property
    def is_synchronised(self) -> bool:
        """Whether everything was listed once, so that addresses are given out."""
        return self._is_synchronised

    # --- news of the API ---------------------------------------------------------------------------------------------

    async def stand_by(self) -> None:
        """Follow the API, until cancelled: a standby knows all when its time comes."""
        async with asyncio.TaskGroup() as tasks:
            async for heard in self._following.news(tasks):
                self._hear(heard)

    def _hear(self, heard: Heard) -> None:
        self._planning.hear(heard)
        match heard:
            case OfServices(news):
                self._hear_services(news)
            case OfGroups(news):
                self._configuration.take(news)
                self._turns.ring()
            case OfCluster(part, news):
                self._cluster.take(part, news)
                self._turns.ring()
            case OfMembership() | OfNodeAgents():
                return
            case _:
                assert_never(heard)

    def _hear_services(self, news: News[ServiceView]) -> None:
        for change in changes(news, self._cache.keys()):
            match change:
                case Changed(_, service):
                    self._take_in(service)
                case Deleted(key):
                    self._drop(ServiceKey(*key))

    def _drop(self, key: ServiceKey) -> None:
        if self._cache.get(key) is not None:
            self._cache.forget(key)
            self._forget(key)

    def _answered(self, answer: Answer) -> None:
        """What the answer to a request of ours says, unless it was overtaken."""
        match self._following.answered(answer.body, answer.epoch):
            case Changed(_, service):
                self._cache.seen(service)
            case Deleted(key):
                self._drop(ServiceKey(*key))
            case None:
                return

    def _take_in(self, service: ServiceView) -> None:
        before = self._cache.get(service.key)
        if not self._cache.seen(service):
            return
        entry = self._cache.get(service.key)
        assert entry is not None
        if self._steps.is_busy(service.key):
            return  # looked at again when its write is done
        self._notices.heard(service, self._clock())
        self._reviewer.learn(service, entry.seniority)
        self._turns.look_now(service.key)
        if before is not None and claims_differ(before.service, service):
            for other in self._engine.companions(service.key):
                self._turns.look_now(other)  # what is right for it may have changed, though it has not

    def _forget(self, key: ServiceKey) -> None:
        """A Service is gone: what it held is free."""
        self._turns.settled(key)
        self._unclear.pop(key, None)
        self._notices.forget(key)
        self._contention.forget(key)
        self._engine.release(key)
        self._external.settle(key)
        self._planning.forget(key)
        self._turns.ring()

    # --- the work ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """List everything, then answer Services until ``stop``."""
        # What another leader wrote last must be known before anything is given: it begins with fresh lists.
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(self._keep_hearing())
            await self._are_listed.wait()
            await self._answer()
            hearing.cancel()

    async def _keep_hearing(self) -> None:
        missing = set(KINDS)
        async with asyncio.TaskGroup() as tasks:
            async for heard in self._following.news(tasks):
                self._hear(heard)
                missing -= {listed(heard)}
                if not missing:
                    self._are_listed.set()

    async def _answer(self) -> None:
        self._reconfigure()
        self._planning.begin(self._cache)
        self._is_synchronised = True
        services, groups = len(self._cache), len(self._configuration.bodies)
        log.info("synchronised", extra={"services": services, "groups": groups, "waiting": len(self._turns)})
        async with asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(self._external.run()),
                tasks.create_task(self._hear_sources()),
                tasks.create_task(self._hear_recoveries()),
                tasks.create_task(self._planning.run(self._turns)),
            ]
            await self._work(tasks)
            self._steps.stop_asking()
            for task in others:
                task.cancel()

    def stop(self) -> None:
        """Begin nothing new; ``run`` returns when the writes under way are answered."""
        self._turns.stop()

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        looks = 0
        while True:
            await self._steps.slot()
            while True:
                key = await self._turns.next(self._refresh, self._steps.is_busy)
                if key is None:
                    return
                if self._look(key, tasks):
                    break  # its task gives the slot back
                looks += 1
                if looks % BREATH == 0:
                    await asyncio.sleep(0)

    def _refresh(self) -> None:
        """Put into force what has changed, and serve who waited for it."""
        if self._configuration.is_stale or self._cluster.is_stale:
            self._reconfigure()
        for waiting in self._engine.wake():
            self._turns.look_now(waiting)

    def _reconfigure(self) -> None:
        """Put ServiceGroups and what is forbidden into force as last seen, and if that changes what is given, look at
        every Service in their light.
        """
        has_groups = self._configuration.is_stale
        self._notices.on_groups(self._configuration.enforce())
        if has_groups and self._configuration.catalog is not None:
            self._external.configure(self._configuration.catalog.groups)
            self._metrics.config_loaded.set(1)
        if self._configuration.forbid(self._cluster.forbidden(self._configuration.groups)) or has_groups:
            self._notices.on_groups(self._configuration.tainted())
            self._turns.look_at_all()

    # --- one Service -------------------------------------------------------------------------------------------------

    def _look(self, key: ServiceKey, tasks: asyncio.TaskGroup) -> bool:
        """Review one Service and begin what follows. True if that takes the slot, and gives it back."""
        entry = self._cache.get(key)
        if entry is None:
            self._engine.release(key)
            return False
        self._metrics.updates.inc()
        if key in self._unclear:
            return self._steps.begin(entry, Read(key), tasks, self._conclude)
        now = self._clock()
        due = self._contention.due(key, now)
        try:
            plan = self._reviewer.review(entry.service, entry.seniority, may_restore=due <= now)
        except Exception:
            # Our mistake, and on one Service: the others are served on.
            log.exception("review failed", extra={"service": str(key)})
            self._look_again(key)
            return False
        if not isinstance(plan.step, Consultation):
            self._notices.standing(entry.service, plan)
        plan = self._planning.placed(plan, entry.service)
        if plan.step is None:
            self._settle(key, plan)
            return False
        if isinstance(plan.step, Write) and plan.step.is_restoration and due > now:
            self._turns.look_at(key, due)
            return False
        return self._steps.begin(entry, plan.step, tasks, self._conclude)

    def _settle(self, key: ServiceKey, plan: Plan) -> None:
        """Nothing is left to do for a Service."""
        if plan.refusal is not None and self._external.keeps(plan.refusal.group):
            self._look_again(key)  # what a source gave was another's: no news of ours may end that
        else:
            self._turns.settled(key)
            self._external.settle(key)

    def _conclude(self, entry: Entry, outcome: Outcome | Reply) -> None:
        """What came of a step; ``entry`` is what it was decided on."""
        key, known = entry.service.key, self._cache.get(entry.service.key)
        match outcome:
            case Written(write, answer):
                self._turns.settled(key)
                self._answered(answer)
                if known is not None:
                    self._planning.written(write)
                if write.is_restoration:
                    self._contention.restored(key, self._clock())
                self._notices.done(write, self._clock())
                self._turns.look_now(key)
            case Conflicted(answer):
                self._answered(answer)
                self._look_again(key, AFTER_CONFLICT)
            case Seen(answer):
                lost = self._unclear.pop(key, None)
                self._answered(answer)
                if lost is not None and lost.is_met_by(answer.service):
                    self._notices.done(lost, self._clock())
                if lost is not None and lost.is_restoration and lost.may_be_done(answer.service):
                    self._contention.restored(key, self._clock())
                self._turns.look_now(key)
            case Gone():
                if known is not None and known.service.uid == entry.service.uid:
                    self._cache.forget(key)
                    self._forget(key)
                self._turns.look_now(key)
            case Failed(failed, sentence, retry_after, is_refusal):
                log.warning("write failed", extra={"service": str(key), "reason": sentence})
                if is_refusal:
                    self._notices.refused(entry.service, sentence)
                self._unclear[key] = failed or self._unclear.get(key)
                self._look_again(key, at_least=retry_after or 0.0)
                if retry_after:
                    self._turns.bar(key, retry_after)
            case Granted() | Denied() if known is None:
                self._external.settle(key)
            case Granted(group, addresses):
                self._engine.grant(key, group, addresses)
                self._turns.look_now(key)
            case Denied(refusal, retry_after):
                if refusal is not None and known is not None:
                    self._notices.standing(known.service, allocation(known.service, refusal))
                if known == entry:
                    self._look_again(key, at_least=retry_after)
                else:
                    self._turns.look_now(key)  # it has changed: what it wants now may be had elsewhere
            case _:
                assert_never(outcome)

    async def _hear_sources(self) -> None:
        while True:
            match await self._external.news():
                case Room(group):
                    for service in self._engine.asking(group):
                        self._turns.look_now(service)
                case Disputed(service, sentence):
                    known = self._cache.get(service)
                    if known is not None:
                        self._notices.disputed(known.service, sentence)

    async def _hear_recoveries(self) -> None:
        """Whose write or read failed isn't to wait for longer than the API server was away."""
        while True:
            await self._following.recovered()
            for key in list(self._unclear):
                self._turns.look_now(key)

    def _look_again(self, key: ServiceKey, backoff: Backoff = AFTER_FAILURE, *, at_least: float = 0.0) -> None:
        self._metrics.update_errors.inc()
        self._turns.look_again(key, backoff, at_least=at_least)
