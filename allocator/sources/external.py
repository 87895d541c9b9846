"""Deals with those who keep addresses elsewhere: asks them, gives back, and looks now and then at what they keep.

It owns when and how often they are asked, so that one that is down is asked by one Service and not by all, and local
pools never wait for it. What to give back is level, not edge: whatever a source keeps for a Service that the accounts
don't show any more. It decides nothing about Services; that is the engine, which hears of every answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from weakref import WeakValueDictionary

from allocator.ipam.groups import Groups
from allocator.ipam.requests import Consultation
from allocator.reconcile.holdings import Holdings
from allocator.sources.availability import ExternalGroup, Kind
from allocator.sources.claims import SidecarClaims
from allocator.sources.opening import SourceFactory
from allocator.sources.source import Ask, Capacity, Source, SourceError, Survey
from purelb.addresses import IPAddress
from purelb.errors import KubeError
from purelb.kube import Kube
from purelb.retry import Backoff
from purelb.servicegroups import PoolSource, SidecarSource
from purelb.services import ServiceKey

log = logging.getLogger(__name__)

NOTHING: Final[Kind] = (), False, ()
RETURN: Final = Backoff(first=1.0, most=30.0)
"""Between two attempts to give something back."""


class ExternalSources:
    """``ask`` for the controller, ``settle`` after each change, ``run`` beside it."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        factory: SourceFactory,
        clock: Callable[[], float],
        may_write: Callable[[], bool],
        holdings: Holdings,
        on_room: Callable[[str], None],
        on_dispute: Callable[[ServiceKey, str], None],
    ) -> None:
        self._factory = factory
        self._clock = clock
        self._may_write = may_write
        self._sidecar_claims = SidecarClaims(kube, namespace)
        self._keepers: dict[str, ExternalGroup] = {}
        self._locks: WeakValueDictionary[ServiceKey, asyncio.Lock] = WeakValueDictionary()
        self._returns: dict[tuple[str, ServiceKey], tuple[float, Iterator[float]]] = {}
        self._wake = asyncio.Event()
        self._holdings = holdings
        self._on_room = on_room
        self._on_dispute = on_dispute
        self._retired: list[Source] = []

    # --- what others ask ---------------------------------------------------------------------------------------------

    def configure(self, groups: Groups) -> None:
        """Deal with the sources of these groups from now on."""
        wanted = {group.name: group.source for group in groups.served.values()}
        for name, keeper in list(self._keepers.items()):
            if wanted.get(name) != keeper.spec:
                del self._keepers[name]
                if keeper.source is not None:
                    self._retired.append(keeper.source)
        for name, spec in wanted.items():
            if not isinstance(spec, PoolSource) and name not in self._keepers:
                self._keepers[name] = ExternalGroup(name, spec)
        self._wake.set()

    def capacity(self, group: str) -> Capacity | None:
        """How full a group is; None if no source keeps its addresses."""
        keeper = self._keepers.get(group)
        return keeper.capacity if keeper is not None else None

    def keeps(self, group: str) -> bool:
        """Whether the addresses of a group are kept elsewhere."""
        return group in self._keepers

    def trouble(self, group: str) -> str | None:
        """Why the source of a group can't be asked at present."""
        keeper = self._keepers.get(group)
        return str(keeper.trouble) if keeper is not None and keeper.trouble is not None else None

    async def ask(self, consultation: Consultation) -> tuple[IPAddress, ...]:
        """Everything that a Service is to have of a group. Raises SourceError."""
        keeper = self._keepers.get(consultation.group)
        if keeper is None:
            raise SourceError(f"{consultation.group} is not served any more", kind="refused")
        request = consultation.request
        ask = Ask(
            request.service,
            request.families,
            request.takes_one_family,
            request.pinned,
            request.terms.key or "",
            held=self._holdings.holds(request.service, keeper.group) - consultation.lost,
            lost=consultation.lost,
        )
        kind: Kind = ask.families, ask.takes_one_family, ask.pinned
        keeper.check(kind, self._clock())
        async with keeper.slots, self._lock(ask.service):
            with self._attempt(keeper, kind):
                addresses = await self._allocate(keeper, ask)
            self._answered(keeper)
            if self._keepers.get(keeper.group) is not keeper:
                raise SourceError(f"{keeper.group} has changed meanwhile", kind="refused")
            keeper.is_stale = True
            keeper.kept.setdefault(ask.service, set()).update(addresses)
            if not ask.is_met_by(addresses):
                given = ", ".join(map(str, addresses))
                self._return_soon(keeper.group, ask.service)
                raise SourceError(f"{keeper.group} gave only {given}, which is not what was asked for", kind="refused")
            return addresses

    def settle(self, service: ServiceKey) -> None:
        """A Service is as it is to be, or gone: take in what it shows, and give back what it left."""
        if not self._keepers:
            return
        shown = self._holdings.shown(service)
        for name, keeper in self._keepers.items():
            if name in shown:
                kept = keeper.kept.setdefault(service, set())
                if not kept.issuperset(shown[name]) or not kept:
                    kept.update(shown[name])
                    keeper.is_stale = True
            if service in keeper.kept and self._leftover(keeper, service) is not None:
                self._return_soon(name, service)

    async def run(self) -> None:
        """Give back and look around until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_surveying(tasks))
                await self._keep_returning(tasks)
        finally:
            for keeper in self._keepers.values():
                if keeper.source is not None:
                    self._retired.append(keeper.source)
            for source in self._retired:
                await source.close()
            await self._factory.close()

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _allocate(self, keeper: ExternalGroup, ask: Ask) -> tuple[IPAddress, ...]:
        source = await self._open(keeper)
        if source.counts_services:
            try:
                await self._sidecar_claims.add([ask.service], keeper.group)
            except KubeError as error:
                raise SourceError(f"the claim can't be recorded before it is made: {error}") from error
            keeper.kept.setdefault(ask.service, set())
        return await source.allocate(ask)

    async def _open(self, keeper: ExternalGroup) -> Source:
        """The source of a group, opened if need be. Raises SourceError."""
        if not self._may_write():
            raise SourceError("another allocator may lead now", kind="refused")
        if keeper.source is None:
            source = await self._factory.open(keeper.group, keeper.spec)
            if keeper.source is None:  # else another was quicker
                keeper.source = source
            else:
                await source.close()
        return keeper.source

    @contextmanager
    def _attempt(self, keeper: ExternalGroup, kind: Kind = NOTHING) -> Iterator[None]:
        """Asks a source that may be asked now, and learns from its failure. Raises SourceError."""
        with keeper.trying(kind, self._clock()):
            try:
                yield
            except SourceError as error:
                self._failed(keeper, error, kind)
                raise

    def _failed(self, keeper: ExternalGroup, error: SourceError, kind: Kind) -> None:
        if error.kind != "outage":
            self._answered(keeper)
        elif keeper.trouble is None or str(keeper.trouble) != str(error):
            log.warning("source fails", extra={"group": keeper.group, "reason": str(error)})
        keeper.failed(error, kind, self._clock())

    def _answered(self, keeper: ExternalGroup) -> None:
        """A source is up. Whoever waited for that need not wait for their own turn."""
        if keeper.recovered():
            log.info("source answers again", extra={"group": keeper.group})
            self._on_room(keeper.group)

    def _lock(self, service: ServiceKey) -> asyncio.Lock:
        """Of one Service nothing is given back while it is asked for, nor the other way round."""
        return self._locks.setdefault(service, asyncio.Lock())

    # --- giving back -------------------------------------------------------------------------------------------------

    def _leftover(self, keeper: ExternalGroup, service: ServiceKey) -> frozenset[IPAddress] | None:
        """What a source keeps for a Service without need; empty: everything; None: nothing."""
        kept = keeper.kept.get(service)
        if kept is None:
            return None
        if isinstance(keeper.spec, SidecarSource):
            held = self._holdings.holds(service, keeper.group)
            return (frozenset(kept - held) or None) if held else frozenset()
        left = frozenset(address for address in kept if not self._holdings.is_in_use(address))
        if not kept:
            del keeper.kept[service]
        return left or None

    def _return_soon(self, group: str, service: ServiceKey) -> None:
        self._returns.setdefault((group, service), (0.0, RETURN.delays()))
        self._wake.set()

    async def _keep_returning(self, tasks: asyncio.TaskGroup) -> None:
        under_way: set[tuple[str, ServiceKey]] = set()

        async def give_back(keeper: ExternalGroup, service: ServiceKey, delays: Iterator[float]) -> None:
            item = keeper.group, service
            try:
                async with keeper.slots, self._lock(service):
                    await self._give_back(keeper, service)
            except (SourceError, KubeError) as error:
                log.warning("not given back", extra={"service": str(service), "reason": str(error)})
                self._returns[item] = (self._clock() + (error.retry_after or next(delays)), delays)
            except Exception:
                # Our mistake: whoever needs no source is served on.
                log.exception("giving back failed", extra={"service": str(service), "group": keeper.group})
                self._returns[item] = (self._clock() + next(delays), delays)
            finally:
                under_way.discard(item)
                self._wake.set()

        while True:
            self._wake.clear()
            now = self._clock()
            for item, (due, delays) in list(self._returns.items()):
                keeper = self._keepers.get(item[0])
                if keeper is None:
                    del self._returns[item]  # the survey finds it when its group is back
                elif due <= now and item not in under_way:
                    del self._returns[item]
                    under_way.add(item)
                    tasks.create_task(give_back(keeper, item[1], delays))
            next_due = min((due for item, (due, _) in self._returns.items() if item not in under_way), default=None)
            try:
                async with asyncio.timeout(None if next_due is None else max(0.0, next_due - now)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _give_back(self, keeper: ExternalGroup, service: ServiceKey) -> None:
        """Raises SourceError and KubeError."""
        source = await self._open(keeper)
        left = self._leftover(keeper, service)
        if left is None:
            return
        with self._attempt(keeper):
            await source.release(service, left or None)
        self._answered(keeper)
        if left:
            keeper.kept[service] -= left
        if not left or (not keeper.kept[service] and not source.counts_services):
            keeper.kept.pop(service, None)
            if source.counts_services:
                await self._sidecar_claims.remove(service, keeper.group)
        log.info(
            "given back", extra={"service": str(service), "group": keeper.group, "addresses": sorted(map(str, left))}
        )
        keeper.has_room()
        keeper.is_stale = True
        self._on_room(keeper.group)

    # --- looking around ----------------------------------------------------------------------------------------------

    async def _keep_surveying(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            for keeper in self._keepers.values():
                if keeper.begin_survey(self._clock()):
                    tasks.create_task(self._look_at(keeper))
            while self._retired:
                await self._retired.pop().close()
            await asyncio.sleep(1.0)

    async def _look_at(self, keeper: ExternalGroup) -> None:
        is_complete = False
        try:
            await self._survey(keeper)
            is_complete = True
        except SourceError as error:
            self._failed(keeper, error, NOTHING)
        except KubeError as error:
            log.warning("claims not read", extra={"reason": str(error)})
        except Exception:
            log.exception("survey failed", extra={"group": keeper.group})  # our mistake, as above
        keeper.end_survey(self._clock(), is_complete=is_complete)

    async def _survey(self, keeper: ExternalGroup) -> None:
        """Raises SourceError and KubeError."""
        source = await self._open(keeper)
        survey = await source.survey(self._holdings.holders(keeper.group))
        keeper.capacity = survey.capacity
        self._answered(keeper)
        for service, addresses in (await self._claims(keeper, source, survey)).items():
            keeper.kept.setdefault(service, set()).update(addresses)
            lock = self._locks.get(service)
            if (lock is None or not lock.locked()) and self._leftover(keeper, service) is not None:
                self._return_soon(keeper.group, service)
        for service, sentence in survey.disputes.items():
            if keeper.disputes.get(service) != sentence:
                self._on_dispute(service, sentence)
        keeper.disputes = survey.disputes

    async def _claims(
        self, keeper: ExternalGroup, source: Source, survey: Survey
    ) -> Mapping[ServiceKey, frozenset[IPAddress]]:
        """For whom a source keeps what: its own account, or ours of it."""
        if not source.counts_services:
            return survey.holdings
        await self._sidecar_claims.add(self._holdings.holders(keeper.group), keeper.group)
        return dict.fromkeys(await self._sidecar_claims.services(keeper.group), frozenset())
