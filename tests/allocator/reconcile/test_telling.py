"""What an allocator tells of itself to whoever debugs it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.telling import told_pools, told_services
from purelb import names
from purelb.statedump import Table
from tests.allocator.builders import engine_with, group, local, request, service
from tests.allocator.reconcile.test_placing import Scene, served


def entries(tables: Iterable[Table]) -> dict[str, Any]:
    return {table.name: json.loads(json.dumps(list(table.entries()), default=str)) for table in tables}


def test_of_each_service_it_tells_what_that_shows_and_holds() -> None:
    engine, cache = engine_with(group("default", local=local("10.1.0.0/26"))), ServiceCache()
    engine.decide(request("web"))
    cache.seen(service("web", annotations={names.ALLOCATED_BY: names.BRAND}, ingress=["10.1.0.0"]))
    cache.seen(service("plain", type="ClusterIP"))

    (one,) = told_services(cache, engine, lambda key: key.name == "web")
    (pool,) = told_pools(engine)

    assert (one["service"], list(map(str, one["holds"])), one["isBusy"]) == ("default/web", ["10.1.0.0"], True)
    assert (pool["group"], pool["size"], pool["inUse"]) == ("default", 64, 1)


def test_of_each_address_and_node_it_tells_the_plan_and_what_holds_it_up() -> None:
    scene = Scene(4)
    scene.begin(served("a", "10.1.0.1", plan="10.1.0.1=w1,w0", annotations={names.PREFERRED_NODES: "w1,w2"}))
    scene.there(3)
    scene.placing.look(scene.now)
    scene.now += 5.0

    found = entries(scene.placing.tables(scene.now))

    (place,) = found["places"]
    assert (place["vip"], place["owner"], place["standIn"]) == ("10.1.0.1", "w1", "w2")
    assert place["preferred"] == ["w1", "w2"]
    nodes = {one["node"]: one for one in found["nodes"]}
    assert (nodes["w1"]["owns"], nodes["w3"]["standing"], nodes["w3"]["lostFor"]) == (1, None, 5.0)
    assert found["planning"][0]["calm"] == 295.0
