"""One Service: news of it, its review, the step that follows, and what came of that, which is news again.

It owns who is to be read before anything else, and who waits because another undoes what we write. It judges nothing
itself: that is review.py and planning.py. When a Service's turn is, and what is in force then, is the controller's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import assert_never

from allocator.ipam.engine import Engine
from allocator.ipam.requests import Consultation
from allocator.reconcile.asking import Denied, Granted, Reply
from allocator.reconcile.cache import Entry, ServiceCache
from allocator.reconcile.contention import Contention
from allocator.reconcile.following import Following
from allocator.reconcile.notices import Notices
from allocator.reconcile.plan import Plan, Write, allocation
from allocator.reconcile.planning import Planning
from allocator.reconcile.request import claims_differ
from allocator.reconcile.review import Reviewer
from allocator.reconcile.schedule import AFTER_CONFLICT, AFTER_FAILURE
from allocator.reconcile.steps import Steps
from allocator.reconcile.turns import Turns
from allocator.reconcile.writer import Answer, Conflicted, Failed, Gone, Outcome, Read, Seen, Written
from allocator.sources.external import ExternalSources
from purelb.backoff import Backoff
from purelb.metrics import AllocatorMetrics
from purelb.ordering import Changed, Deleted, News, changes
from purelb.services import ServiceKey, ServiceView

log = logging.getLogger(__name__)


class Reconciler:
    """``hear`` news of Services, ``look`` at one whose turn it is."""

    def __init__(
        self,
        following: Following,
        engine: Engine,
        cache: ServiceCache,
        turns: Turns,
        steps: Steps,
        reviewer: Reviewer,
        external: ExternalSources,
        planning: Planning,
        notices: Notices,
        metrics: AllocatorMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._following = following
        self._engine = engine
        self._cache = cache
        self._turns = turns
        self._steps = steps
        self._reviewer = reviewer
        self._external = external
        self._planning = planning
        self._notices = notices
        self._metrics = metrics
        self._clock = clock
        self._contention = Contention()
        self._unclear: dict[ServiceKey, Write | None] = {}
        """Who is to be read before anything else, with the write whose answer was lost."""

    # --- news --------------------------------------------------------------------------------------------------------

    def hear(self, news: News[ServiceView]) -> None:
        """News of Services."""
        for change in changes(news, self._cache.keys()):
            match change:
                case Changed(_, service):
                    self._take_in(service)
                case Deleted(key):
                    self._drop(ServiceKey(*key))

    def recovered(self) -> None:
        """Whose write or read failed isn't to wait for longer than the API server was away."""
        for key in list(self._unclear):
            self._turns.look_now(key)

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

    # --- its turn ----------------------------------------------------------------------------------------------------

    def look(self, key: ServiceKey, tasks: asyncio.TaskGroup) -> bool:
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
            self._metrics.mistakes.labels("review").inc()
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

    def _look_again(self, key: ServiceKey, backoff: Backoff = AFTER_FAILURE, *, at_least: float = 0.0) -> None:
        self._metrics.update_errors.inc()
        self._turns.look_again(key, backoff, at_least=at_least)
