"""Keeps placements up to date while an allocator leads: a loop around what placing.py works out.

It owns the bell that ends a wait. A plan is written as a part of what is written to a Service anyhow, or else on its
own; it never delays or prevents an allocation. Where a mistake of ours shows, what was planned stands, a Service that
it showed with is set aside until it changes, and planning begins anew without it: a plan that was half changed is not
gone on with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from allocator.ipam.engine import Engine
from allocator.placement.values import Move, Reason
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.clusterobjects import Part
from allocator.reconcile.endpointnews import EndpointNews
from allocator.reconcile.fleet import Agents, Fleet
from allocator.reconcile.following import (
    Heard,
    OfCluster,
    OfGroups,
    OfMembership,
    OfNodeAgents,
    OfServices,
    OfSlices,
)
from allocator.reconcile.placing import Placing
from allocator.reconcile.plan import Plan, Write
from allocator.reconcile.request import Case, case_of
from allocator.reconcile.turns import Turns
from purelb import names
from purelb.addresses import IPAddress
from purelb.metrics import AllocatorMetrics
from purelb.selectors import Selector
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceKey, ServiceView
from purelb.statedump import Table
from purelb.tempo import Tempo

T = TypeVar("T")

log = logging.getLogger(__name__)

BREATH: Final = 0.05
"""Seconds after news before it is looked at: a node's death is several pieces of news."""
AFTER_MISTAKE: Final = 10.0
"""Seconds after which planning begins anew where it failed by a mistake of ours."""
SET_ASIDE: Final = 600.0
"""Seconds for which a Service has no plan with which one showed."""
REMEMBERED: Final = 4096
"""Moves whose reasons can be asked for."""


class Planning:
    """Feed it with news; ask it for each plan of a review; ``begin`` and ``run`` it while leading."""

    def __init__(
        self,
        engine: Engine,
        tempo: Tempo,
        metrics: AllocatorMetrics,
        clock: Callable[[], float],
        want_endpoints: Callable[[], None],
        *,
        default_announcer: bool,
    ) -> None:
        """``want_endpoints``: have EndpointSlices followed; none of them is, as long as no Service needs it."""
        self._engine = engine
        self._metrics = metrics
        for reason in Reason:
            metrics.planned_moves.labels(reason.value)  # shown as 0 from the beginning
        self._clock = clock
        self._default_announcer = default_announcer
        self._want_endpoints = want_endpoints
        self._fleet = Fleet()
        self._endpoints = EndpointNews()
        self._placing = Placing(self._fleet, self._endpoints, tempo, self._group_of)
        self._bell = asyncio.Event()
        self._confirmed: dict[ServiceKey, str | None] = {}
        """What was written to Services, or seen to be there as it should: what differs then is another's doing."""
        self._cache: ServiceCache | None = None
        self._begins_at: float | None = None
        """When planning begins anew; until then nothing is planned. None: all is well."""
        self._set_aside: dict[ServiceKey, float] = {}
        """Until when Services have no plan with which a mistake of ours showed."""
        self._reasons: Mapping[IPAddress, Reason] = {}

    def hear(self, heard: Heard) -> None:
        """News of any kind."""
        match heard:
            case OfMembership(news):
                self._fleet.take_members(news, self._clock())
            case OfNodeAgents(rules):
                self._fleet.take_rules(rules)
            case OfCluster(Part.NODES, nodes):
                self._fleet.take_nodes(nodes)
            case OfSlices(slices):
                self._endpoints.take(slices)
            case OfServices() | OfGroups() | OfCluster():
                return
        self._bell.set()

    def chosen(self, selector: Selector) -> list[str] | None:
        """The names of the Nodes that a selector chooses, in their order; None: no Node was seen yet."""
        return self._fleet.chosen(selector)

    def agents(self) -> Agents | None:
        """The LBNodeAgents, and the labels of each Node; None while one of the two wasn't seen."""
        return self._fleet.agents()

    @property
    def fleet(self) -> Fleet:
        """Who is there, as last heard."""
        return self._fleet

    @property
    def reasons(self) -> Mapping[IPAddress, Reason]:
        """Why VIPs were last given to another node, of those that were lately."""
        return self._reasons

    def endpoints_of(self, services: Iterable[ServiceKey]) -> Mapping[ServiceKey, frozenset[str]] | None:
        """The nodes with endpoints of each; None: endpoints aren't followed, or not listed yet."""
        return {key: self._endpoints.endpoints.of(key) for key in services} if self._endpoints.is_known else None

    @property
    def endpoint_changes(self) -> int:
        """Another number whenever endpoints may be elsewhere."""
        return self._endpoints.changes

    def tables(self) -> tuple[Table, ...]:
        """All that is known of places, nodes and times, for whoever debugs it."""
        return self._placing.tables(self._clock())

    def begin(self, cache: ServiceCache) -> None:
        """An allocator leads from now on, and knows all Services and groups."""
        self._cache = cache
        self._confirmed.clear()
        self._set_aside.clear()
        self._begin()

    def placed(self, plan: Plan, service: ServiceView) -> Plan:
        """The plan of a review, with the placement that the Service is to show."""
        return self._guarded(lambda: self._placed(plan, service), service) or plan

    def written(self, write: Write) -> None:
        """The API server has taken a write."""
        if names.PLACEMENT in write.annotations:
            self._confirmed[write.service.key] = write.annotations[names.PLACEMENT]

    def forget(self, key: ServiceKey) -> None:
        """There is no such Service."""
        self._confirmed.pop(key, None)
        self._set_aside.pop(key, None)
        self._guarded(lambda: self._placing.forget(key, self._clock()))
        self._bell.set()

    async def run(self, turns: Turns) -> None:
        """Have Services looked at whose placement is another, until cancelled."""
        while True:
            self._bell.clear()
            wait = self._look(turns)
            try:
                async with asyncio.timeout(wait):
                    await self._bell.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(BREATH)

    def _look(self, turns: Turns) -> float | None:
        """Look once; seconds until it is to be looked again without news."""
        now = self._clock()
        if self._begins_at is not None and now >= self._begins_at:
            self._begin()
            turns.look_at_all()
            turns.ring()
        for key in [key for key, until in self._set_aside.items() if until <= now]:
            del self._set_aside[key]
            turns.look_now(key)
        changed, due = self._guarded(lambda: (self._placing.look(now), self._placing.due(now))) or (set(), None)
        self._see_what_is_needed()
        moves = self._placing.take_moves()
        for move in moves:
            self._metrics.planned_moves.labels(move.reason.value).inc()
        if moves:
            self._reasons = _latest(self._reasons, moves)
        if changed is None:
            turns.look_at_all()
            turns.ring()
        elif changed:
            log.info("placements", extra={"services": len(changed)})
            for key in sorted(changed):
                turns.look_now(key)
        times = [time for time in (due, self._begins_at, *self._set_aside.values()) if time is not None]
        return max(BREATH, min(times) - now) if times else None

    def _begin(self) -> None:
        """From what Services show, with nothing of what was planned since."""
        assert self._cache is not None, "begin() comes first"
        now, self._begins_at = self._clock(), None
        self._placing.begin(now)
        for entry in self._cache:
            service = entry.service
            if service.is_branded and service.ingress:
                learn = partial(self._placing.learn, service, service.ingress, service.allocated_from, now)
                self._guarded(learn, service)
        self._guarded(lambda: self._placing.look(now))

    def _guarded(self, action: Callable[[], T], service: ServiceView | None = None) -> T | None:
        """Do it, unless planning waits to begin anew; None where it isn't done. Nobody's address may hang on it."""
        if self._begins_at is not None:
            return None
        if service is not None and service.key in self._set_aside:
            return None
        try:
            return action()
        except Exception:  # our mistake, which ends nobody's service
            log.exception("planning failed", extra={"service": str(service.key)} if service is not None else {})
            self._metrics.mistakes.labels("planning").inc()
        if service is not None:
            self._set_aside[service.key] = self._clock() + SET_ASIDE
        self._begins_at = self._clock() + AFTER_MISTAKE
        self._bell.set()
        return None

    def _placed(self, plan: Plan, service: ServiceView) -> Plan:
        match plan.step:
            case Write(ingress=ingress, decision=decision) as write if ingress:
                groups = decision.groups if decision is not None else service.allocated_from
                text = self._text(service, ingress, groups)
                if text == service.annotations.get(names.PLACEMENT):
                    return plan
                return replace(plan, step=replace(write, annotations={**write.annotations, names.PLACEMENT: text}))
            case None if self._is_served(service):
                text = self._text(service, service.ingress, service.allocated_from)
                if text == service.annotations.get(names.PLACEMENT):
                    self._confirmed[service.key] = text
                    return plan
                is_undone = service.key in self._confirmed and self._confirmed[service.key] == text
                changed = Write(service, service.ingress, {names.PLACEMENT: text}, is_restoration=is_undone)
                return replace(plan, step=changed)
            case Write() | None:
                self._give_up(service.key)
                return plan
            case _:
                return plan

    def _text(self, service: ServiceView, ingress: tuple[IPAddress, ...], groups: Sequence[str]) -> str | None:
        now, changes = self._clock(), self._placing.changes
        self._placing.learn(service, ingress, groups, now)
        self._see_what_is_needed()
        if self._placing.changes != changes:
            self._bell.set()
        return self._placing.text(service, ingress, now)

    def _see_what_is_needed(self) -> None:
        if self._placing.needs_endpoints:
            self._want_endpoints()

    def _give_up(self, key: ServiceKey) -> None:
        """A Service has no addresses of ours, or not any more: what it wished says nothing of who has them next."""
        changes = self._placing.changes
        self._confirmed.pop(key, None)
        self._placing.forget(key, self._clock())
        if self._placing.changes != changes:
            self._bell.set()

    def _is_served(self, service: ServiceView) -> bool:
        """Whether it has addresses of ours, and no others."""
        if case_of(service, default_announcer=self._default_announcer) is not Case.SERVED:
            return False
        claim = self._engine.claim(service.key)
        return claim is not None and claim.is_ours and set(service.ingress) <= set(claim.addresses)

    def _group_of(self, address: IPAddress, groups: Sequence[str]) -> ServiceGroup | None:
        name = self._engine.owner(address) or next(iter(groups), None)
        return next(iter(self._engine.groups([name])), None) if name is not None else None


def _latest(reasons: Mapping[IPAddress, Reason], moves: Iterable[Move]) -> dict[IPAddress, Reason]:
    """With these moves; the first are forgotten where they are too many."""
    latest = dict(reasons)
    for move in moves:
        latest.pop(move.address, None)
        latest[move.address] = move.reason
    for address in list(latest)[: max(0, len(latest) - REMEMBERED)]:
        del latest[address]
    return latest
