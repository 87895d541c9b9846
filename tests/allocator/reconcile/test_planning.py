"""The loop around planning: what it counts."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from prometheus_client import CollectorRegistry

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.clusterobjects import Part, Reading
from allocator.reconcile.fleet import Said, read_rule
from allocator.reconcile.following import OfCluster, OfMembership, OfNodeAgents
from allocator.reconcile.planning import Planning
from allocator.reconcile.turns import Turns
from purelb import names
from purelb.addresses import parse_network
from purelb.membership import MemberNode, Standing
from purelb.metrics import AllocatorMetrics
from purelb.ordering import Changed, ObjectKey, Replaced
from purelb.tempo import Tempo
from tests.allocator.builders import engine_with, group, local, service

LAN = frozenset({parse_network("10.1.0.0/24")})


def there(version: int, *nodes: str) -> OfMembership:
    said = Said(str(version), {name: MemberNode(name, Standing.SERVING, "", LAN) for name in nodes})
    return OfMembership(Changed(ObjectKey("purelb", "purelb"), said))


def test_the_plan_s_moves_are_counted_by_their_reasons() -> None:
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

    asyncio.run(run())
