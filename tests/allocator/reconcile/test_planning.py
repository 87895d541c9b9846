"""The loop around planning: what it counts."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry

from allocator.placement.values import Reason
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.clusterobjects import Part, Reading
from allocator.reconcile.fleet import Said, read_rule
from allocator.reconcile.following import OfCluster, OfMembership, OfNodeAgents
from allocator.reconcile.placing import Placing
from allocator.reconcile.planning import AFTER_MISTAKE, Planning
from allocator.reconcile.turns import Turns
from purelb import names
from purelb.addresses import parse_network
from purelb.membership import MemberNode, Standing
from purelb.metrics import AllocatorMetrics
from purelb.ordering import Changed, ObjectKey, Replaced
from purelb.services import ServiceKey
from purelb.tempo import Tempo
from tests.allocator.builders import engine_with, group, ip, local, service

LAN = frozenset({parse_network("10.1.0.0/24")})


def mistakes(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("purelb_allocator_mistakes_total", {"part": "planning"})


def there(version: int, *nodes: str) -> OfMembership:
    said = Said(str(version), {name: MemberNode(name, Standing.SERVING, "", LAN) for name in nodes})
    return OfMembership(Changed(ObjectKey("purelb", "purelb"), said))


def test_the_plan_s_moves_are_counted_by_their_reasons_and_these_can_be_asked_for() -> None:
    registry, now = CollectorRegistry(), 1000.0
    engine, cache = engine_with(group("default", local=local("10.1.0.0/26"))), ServiceCache()
    planning = Planning(engine, Tempo(), AllocatorMetrics(registry), lambda: now, lambda: None, default_announcer=True)
    brand = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "default", names.PLACEMENT: "10.1.0.1=w0,w1"}
    cache.seen(service("a", annotations=brand, ingress=["10.1.0.1"]))
    rule = {"metadata": {"name": "default", "namespace": "purelb"}, "spec": {"local": {"placement": "even"}}}
    nodes = {ObjectKey("", name): Reading(()) for name in ("w0", "w1", "w2")}

    def counted(reason: str) -> float | None:
        return registry.get_sample_value("purelb_allocator_planned_moves_total", {"reason": reason})

    async def look() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await planning.run(Turns(cache, lambda: now))

    async def run() -> None:
        planning.hear(OfNodeAgents(Changed(ObjectKey("purelb", "default"), read_rule(rule))))
        planning.hear(OfCluster(Part.NODES, Replaced(nodes, "1", 0)))
        planning.hear(there(1, "w0", "w1", "w2"))
        planning.begin(cache)
        await look()
        assert [counted(reason) for reason in ("lost", "preferred", "apart", "share")] == [0, 0, 0, 0]

        planning.hear(there(2, "w1", "w2"))
        await look()
        assert [counted(reason) for reason in ("lost", "preferred", "apart", "share")] == [1, 0, 0, 0]
        assert planning.reasons == {ip("10.1.0.1"): Reason.LOST}

    asyncio.run(run())


def test_planning_that_fails_by_a_mistake_of_ours_is_counted_and_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, now, cache = CollectorRegistry(), 1000.0, ServiceCache()
    engine, metrics = engine_with(group("default", local=local("10.1.0.0/26"))), AllocatorMetrics(registry)
    planning = Planning(engine, Tempo(), metrics, lambda: now, lambda: None, default_announcer=True)
    look, looks = Placing.look, 0

    def mistaken(self: Placing, at: float) -> set[ServiceKey] | None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("a mistake of ours")
        return look(self, at)

    async def look_once() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await planning.run(Turns(cache, lambda: now))

    async def run() -> None:
        nonlocal now
        planning.begin(cache)
        assert mistakes(registry) == 1

        await look_once()
        assert looks == 1, "it waits"

        now += AFTER_MISTAKE
        await look_once()
        assert looks > 1
        assert mistakes(registry) == 1

    monkeypatch.setattr(Placing, "look", mistaken)
    asyncio.run(run())
