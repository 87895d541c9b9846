"""Deals with those who keep addresses elsewhere: asks them, gives back, and looks now and then at what they keep.

It owns when and how often they are asked, so that one that is down is asked by one Service and not by all, and local
pools never wait for it. What to give back is level, not edge: whatever a source keeps for a Service that the holdings
don't show any more. It decides nothing about Services; that is the engine, which hears of every answer. What it finds
by itself comes out as news.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

from allocator.ipam.groups import Groups
from allocator.ipam.requests import Consultation
from allocator.leadership import Term
from allocator.sources.availability import Availability, Kind
from allocator.sources.claims import SidecarClaims
from allocator.sources.opening import SourceFactory
from allocator.sources.returns import Return, Returns
from allocator.sources.source import Ask, Capacity, Disputed, Holdings, Room, Source, SourceError, SourceNews, Survey
from purelb.addresses import IPAddress
from purelb.errors import KubeError
from purelb.metrics import AllocatorMetrics
from purelb.servicegroups import AddressSource, PoolSource, SidecarSource
from purelb.services import ServiceKey

log = logging.getLogger(__name__)

NOTHING: Final[Kind] = (), False, ()
ASKS: Final = 8
"""Services that one source is asked for at once."""
LOOK: Final = 1.0
"""Seconds between two looks at whether a survey is due."""


@dataclass
class ExternalGroup:
    """A ServiceGroup whose addresses somebody else keeps."""

    name: str
    spec: AddressSource
    availability: Availability = field(default_factory=Availability)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ASKS))
    source: Source | None = None
    """None until it is needed."""
    kept: dict[ServiceKey, set[IPAddress]] = field(default_factory=dict)
    """What it keeps for whom, as far as we know."""
    capacity: Capacity = field(default_factory=Capacity)
    disputes: Mapping[ServiceKey, str] = field(default_factory=dict)
    """What the last survey found to be another's."""


class ExternalSources:
    """``ask`` for the controller, ``settle`` after each change, ``run`` beside it, ``news`` for whom it concerns."""

    def __init__(
        self,
        factory: SourceFactory,
        claims: SidecarClaims,
        holdings: Holdings,
        term: Term,
        metrics: AllocatorMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._factory = factory
        self._claims = claims
        self._holdings = holdings
        self._term = term
        self._metrics = metrics
        self._clock = clock
        self._groups: dict[str, ExternalGroup] = {}
        self._locks: WeakValueDictionary[ServiceKey, asyncio.Lock] = WeakValueDictionary()
        self._returns = Returns()
        self._wake = asyncio.Event()
        self._retired: list[Source] = []
        self._news: asyncio.Queue[SourceNews] = asyncio.Queue()

    # --- what others ask ---------------------------------------------------------------------------------------------

    def configure(self, groups: Groups) -> None:
        """Deal with the sources of these groups from now on."""
        wanted = {group.name: group.source for group in groups.served.values()}
        for name, group in list(self._groups.items()):
            if wanted.get(name) != group.spec:
                del self._groups[name]
                if group.source is not None:
                    self._retired.append(group.source)
        for name, spec in wanted.items():
            if not isinstance(spec, PoolSource) and name not in self._groups:
                self._groups[name] = ExternalGroup(name, spec)
        self._wake.set()

    def capacity(self, name: str) -> Capacity | None:
        """How full a group is; None if no source keeps its addresses."""
        group = self._groups.get(name)
        return group.capacity if group is not None else None

    def keeps(self, name: str) -> bool:
        """Whether the addresses of a group are kept elsewhere."""
        return name in self._groups

    def trouble(self, name: str) -> str | None:
        """Why the source of a group can't be asked at present."""
        group = self._groups.get(name)
        trouble = group.availability.trouble if group is not None else None
        return str(trouble) if trouble is not None else None

    async def news(self) -> SourceNews:
        """The next thing that happened; for one listener."""
        return await self._news.get()

    async def ask(self, consultation: Consultation) -> tuple[IPAddress, ...]:
        """Everything that a Service is to have of a group. Raises SourceError."""
        group = self._groups.get(consultation.group)
        if group is None:
            raise SourceError(f"{consultation.group} is not served any more", kind="refused")
        request = consultation.request
        ask = Ask(
            request.service,
            request.families,
            request.takes_one_family,
            request.pinned,
            request.terms.key or "",
            held=self._holdings.holds(request.service, group.name) - consultation.lost,
            lost=consultation.lost,
        )
        kind: Kind = ask.families, ask.takes_one_family, ask.pinned
        group.availability.check(kind, self._clock())
        async with group.slots, self._lock(ask.service):
            with self._attempt(group, kind):
                addresses = await self._allocate(group, ask)
            self._answered(group)
            if self._groups.get(group.name) is not group:
                raise SourceError(f"{group.name} has changed meanwhile", kind="refused")
            group.availability.is_stale = True
            group.kept.setdefault(ask.service, set()).update(addresses)
            if not ask.is_met_by(addresses):
                given = ", ".join(map(str, addresses))
                self._return_soon(group.name, ask.service)
                raise SourceError(f"{group.name} gave only {given}, which is not what was asked for", kind="refused")
            return addresses

    def settle(self, service: ServiceKey) -> None:
        """A Service is as it is to be, or gone: take in what it shows, and give back what it left."""
        if not self._groups:
            return
        shown = self._holdings.shown(service)
        for name, group in self._groups.items():
            if name in shown:
                kept = group.kept.setdefault(service, set())
                if not kept.issuperset(shown[name]) or not kept:
                    kept.update(shown[name])
                    group.availability.is_stale = True
            if service in group.kept and self._leftover(group, service) is not None:
                self._return_soon(name, service)

    async def run(self) -> None:
        """Give back and look around until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_surveying(tasks))
                await self._keep_returning(tasks)
        finally:
            for group in self._groups.values():
                if group.source is not None:
                    self._retired.append(group.source)
            for source in self._retired:
                await source.close()
            await self._factory.close()

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _allocate(self, group: ExternalGroup, ask: Ask) -> tuple[IPAddress, ...]:
        source = await self._open(group)
        if source.counts_services:
            try:
                await self._claims.add([ask.service], group.name)
            except KubeError as error:
                raise SourceError(f"the claim can't be recorded before it is made: {error}") from error
            group.kept.setdefault(ask.service, set())
        return await source.allocate(ask)

    async def _open(self, group: ExternalGroup) -> Source:
        """The source of a group, opened if need be. Raises SourceError."""
        if self._term.left(self._clock()) <= 0:
            raise SourceError("another allocator may lead now", kind="refused")
        if group.source is None:
            source = await self._factory.open(group.name, group.spec)
            if group.source is None:  # else another was quicker
                group.source = source
            else:
                await source.close()
        return group.source

    @contextmanager
    def _attempt(self, group: ExternalGroup, kind: Kind = NOTHING) -> Iterator[None]:
        """Asks a source that may be asked now, and learns from its failure. Raises SourceError."""
        with group.availability.trying(kind, self._clock()):
            try:
                yield
            except SourceError as error:
                self._failed(group, error, kind)
                raise

    def _failed(self, group: ExternalGroup, error: SourceError, kind: Kind) -> None:
        trouble = group.availability.trouble
        if error.kind != "outage":
            self._answered(group)
        elif trouble is None or str(trouble) != str(error):
            log.warning("source fails", extra={"group": group.name, "reason": str(error)})
        group.availability.failed(error, kind, self._clock())

    def _answered(self, group: ExternalGroup) -> None:
        """A source is up. Whoever waited for that need not wait for their own turn."""
        if group.availability.recovered():
            log.info("source answers again", extra={"group": group.name})
            self._news.put_nowait(Room(group.name))

    def _lock(self, service: ServiceKey) -> asyncio.Lock:
        """Of one Service nothing is given back while it is asked for, nor the other way round."""
        return self._locks.setdefault(service, asyncio.Lock())

    # --- giving back -------------------------------------------------------------------------------------------------

    def _leftover(self, group: ExternalGroup, service: ServiceKey) -> frozenset[IPAddress] | None:
        """What a source keeps for a Service without need; empty: everything; None: nothing."""
        kept = group.kept.get(service)
        if kept is None:
            return None
        if isinstance(group.spec, SidecarSource):
            held = self._holdings.holds(service, group.name)
            return (frozenset(kept - held) or None) if held else frozenset()
        left = frozenset(address for address in kept if not self._holdings.is_in_use(address))
        if not kept:
            del group.kept[service]
        return left or None

    def _return_soon(self, name: str, service: ServiceKey) -> None:
        self._returns.add(Return(name, service))
        self._wake.set()

    async def _keep_returning(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            now = self._clock()
            for item in self._returns.take(now):
                tasks.create_task(self._return(item))
            due = self._returns.due
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - now)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _return(self, item: Return) -> None:
        group, service = self._groups.get(item.group), item.service
        try:
            if group is not None:  # else the survey finds it when its group is back
                async with group.slots, self._lock(service):
                    await self._give_back(group, service)
        except (SourceError, KubeError) as error:
            log.warning("not given back", extra={"service": str(service), "reason": str(error)})
            self._returns.failed(item, self._clock(), error.retry_after)
        except Exception:
            # Our mistake: whoever needs no source is served on.
            log.exception("giving back failed", extra={"service": str(service), "group": item.group})
            self._metrics.mistakes.labels("returning").inc()
            self._returns.failed(item, self._clock(), None)
        else:
            self._returns.done(item)
        self._wake.set()

    async def _give_back(self, group: ExternalGroup, service: ServiceKey) -> None:
        """Raises SourceError and KubeError."""
        source = await self._open(group)
        left = self._leftover(group, service)
        if left is None:
            return
        with self._attempt(group):
            await source.release(service, left or None)
        self._answered(group)
        if left:
            group.kept[service] -= left
        if not left or (not group.kept[service] and not source.counts_services):
            group.kept.pop(service, None)
            if source.counts_services:
                await self._claims.remove(service, group.name)
        log.info(
            "given back", extra={"service": str(service), "group": group.name, "addresses": sorted(map(str, left))}
        )
        group.availability.has_room()
        group.availability.is_stale = True
        self._news.put_nowait(Room(group.name))

    # --- looking around ----------------------------------------------------------------------------------------------

    async def _keep_surveying(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            for group in self._groups.values():
                if group.availability.begin_survey(self._clock()):
                    tasks.create_task(self._look_at(group))
            while self._retired:
                await self._retired.pop().close()
            await asyncio.sleep(LOOK)

    async def _look_at(self, group: ExternalGroup) -> None:
        is_complete = False
        try:
            await self._survey(group)
            is_complete = True
        except SourceError as error:
            self._failed(group, error, NOTHING)
        except KubeError as error:
            log.warning("claims of sidecars not read", extra={"reason": str(error)})
        except Exception:
            log.exception("survey failed", extra={"group": group.name})  # our mistake, as above
            self._metrics.mistakes.labels("survey").inc()
        group.availability.end_survey(self._clock(), is_complete=is_complete)

    async def _survey(self, group: ExternalGroup) -> None:
        """Raises SourceError and KubeError."""
        source = await self._open(group)
        survey = await source.survey(self._holdings.holders(group.name))
        group.capacity = survey.capacity
        self._answered(group)
        for service, addresses in (await self._kept_for(group, source, survey)).items():
            group.kept.setdefault(service, set()).update(addresses)
            lock = self._locks.get(service)
            if (lock is None or not lock.locked()) and self._leftover(group, service) is not None:
                self._return_soon(group.name, service)
        for service, sentence in survey.disputes.items():
            if group.disputes.get(service) != sentence:
                self._news.put_nowait(Disputed(service, sentence))
        group.disputes = survey.disputes

    async def _kept_for(
        self, group: ExternalGroup, source: Source, survey: Survey
    ) -> Mapping[ServiceKey, frozenset[IPAddress]]:
        """For whom a source keeps what: its own account, or ours of it."""
        if not source.counts_services:
            return survey.holdings
        await self._claims.add(self._holdings.holders(group.name), group.name)
        return dict.fromkeys(await self._claims.services(group.name), frozenset())
