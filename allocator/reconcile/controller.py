"""The order of things: nothing is given away before all Services, all ServiceGroups and all that has addresses itself
(nodes, the API server) were listed; decisions are made one at a time, and only the steps that follow from them overlap.

What happens elsewhere comes in as values and is passed on here. What becomes of a Service whose turn it is, is
reconciler.py's; it judges nothing itself: that is review.py and catalog.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, assert_never

from allocator.groups.configuration import Configuration
from allocator.ipam.engine import Engine
from allocator.leadership import Term
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.clusterobjects import ClusterObjects
from allocator.reconcile.following import (
    KINDS,
    Following,
    Heard,
    OfCluster,
    OfGroups,
    OfMembership,
    OfNodeAgents,
    OfServices,
    OfSlices,
    listed,
)
from allocator.reconcile.notices import Notices
from allocator.reconcile.planning import Planning
from allocator.reconcile.reconciler import Reconciler
from allocator.reconcile.review import Reviewer
from allocator.reconcile.steps import Steps
from allocator.reconcile.telling import told_pools, told_services
from allocator.reconcile.turns import Turns
from allocator.reconcile.writer import Writer
from allocator.sources.external import ExternalSources
from allocator.sources.source import Disputed, Room
from purelb.kube import Kube
from purelb.metrics import AllocatorMetrics
from purelb.statedump import Table

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
        self._notices = notices
        self._turns = Turns(cache, clock)
        self._following = following
        self._steps = Steps(Writer(kube), following, external, term, metrics, clock)
        self._reconciler = Reconciler(
            following,
            engine,
            cache,
            self._turns,
            self._steps,
            Reviewer(engine, default_announcer=default_announcer),
            external,
            planning,
            notices,
            metrics,
            clock,
        )
        self._are_listed = asyncio.Event()
        self._is_synchronised = False

    @property
    def is_synchronised(self) -> bool:
        """Whether everything was listed once, so that addresses are given out."""
        return self._is_synchronised

    def tables(self) -> tuple[Table, ...]:
        """All that is known of Services and pools, for whoever debugs it."""
        return (
            Table("services", lambda: told_services(self._cache, self._engine, self._steps.is_busy)),
            Table("pools", lambda: told_pools(self._engine)),
            Table("turns", lambda: [{"due": len(self._turns), "waiting": self._engine.waiting}]),
            *self._planning.tables(),
        )

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
                self._reconciler.hear(news)
            case OfGroups(news):
                self._configuration.take(news)
                self._turns.ring()
            case OfCluster(part, news):
                self._cluster.take(part, news)
                self._turns.ring()
            case OfMembership() | OfNodeAgents() | OfSlices():
                return
            case _:
                assert_never(heard)

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
                if self._reconciler.look(key, tasks):
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

    # --- news of others ----------------------------------------------------------------------------------------------

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
        while True:
            await self._following.recovered()
            self._reconciler.recovered()
