"""The steps that reviews lead to: each is a task of its own, and what came of it comes out as a value.

It owns the tasks under way: a Service has one at most, and so many write at once. What to do is the plan's; what
follows from an outcome is the reconciler's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from allocator.ipam.requests import Consultation
from allocator.leadership import Term
from allocator.reconcile.asking import Reply, ask
from allocator.reconcile.cache import Entry
from allocator.reconcile.following import Following
from allocator.reconcile.plan import Write
from allocator.reconcile.writer import Outcome, Read, Writer
from allocator.sources.external import ExternalSources
from purelb.metrics import AllocatorMetrics
from purelb.services import ServiceKey

WRITES: Final = 32
"""Writes under way at once: enough that neither the API server's latency bounds the rate nor those who create Services
as fast as they can crowd the writes out."""

Step: TypeAlias = Write | Read | Consultation


class Steps:
    """Carries steps out. Whoever begins one takes a slot before (``slot``); the step gives it back."""

    def __init__(
        self,
        writer: Writer,
        following: Following,
        external: ExternalSources,
        term: Term,
        metrics: AllocatorMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._following = following
        self._external = external
        self._term = term
        self._metrics = metrics
        self._clock = clock
        self._slots = asyncio.Semaphore(WRITES)
        self._asks: set[asyncio.Task[None]] = set()
        self._busy: set[ServiceKey] = set()

    def is_busy(self, key: ServiceKey) -> bool:
        """Whether a Service has a write, a read or a question under way."""
        return key in self._busy

    async def slot(self) -> None:
        """Wait until one more may write."""
        await self._slots.acquire()

    def begin(
        self, entry: Entry, step: Step, tasks: asyncio.TaskGroup, conclude: Callable[[Entry, Outcome | Reply], None]
    ) -> bool:
        """Begin a step for a Service that has none under way; ``conclude`` hears what came of it.

        True if that takes the slot. A question doesn't: whoever is slow to answer one must not hold up writes.
        """
        self._busy.add(entry.service.key)
        task = tasks.create_task(self._carry_out(entry, step, conclude))
        if not isinstance(step, Consultation):
            return True
        self._asks.add(task)
        task.add_done_callback(self._asks.discard)
        return False

    def stop_asking(self) -> None:
        """Wait for no answer any more."""
        for task in self._asks:
            task.cancel()

    async def _carry_out(self, entry: Entry, step: Step, conclude: Callable[[Entry, Outcome | Reply], None]) -> None:
        try:
            match step:
                case Write():
                    outcome: Outcome | Reply = await self._writer.write(
                        step, self._following.epoch, within=self._term.left(self._clock())
                    )
                case Read():
                    outcome = await self._writer.read(step, self._following.epoch)
                case Consultation():
                    outcome = await ask(self._external, step, self._metrics)
        finally:
            self._busy.discard(entry.service.key)
            if not isinstance(step, Consultation):
                self._slots.release()
        conclude(entry, outcome)
