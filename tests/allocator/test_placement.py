"""Where VIPs are to be, against an API server: what agents publish goes in, what Services show comes out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeAlias

import pytest

from allocator.reconcile import planning
from allocator.reconcile.placing import Placing
from kubedouble.store import Event
from purelb import names
from purelb.addresses import parse_address
from purelb.errors import ConflictError
from purelb.kube import core_path, custom_path, group_path
from purelb.placement import parse_placement
from purelb.services import ServiceKey, ServiceView
from tests.allocator.builders import local
from tests.allocator.memberships import publish
from tests.allocator.stage import Json, Stage, staged, until
from tests.allocator.test_rights import install_rights

Act: TypeAlias = Callable[[Stage], Coroutine[Any, Any, None]]
POOL: Json = local("10.1.0.0/26")
DEFAULTS: Mapping[str, str] = {}
SOON = {"PURELB_PLACEMENT_GIVE_UP": "0", "PURELB_PLACEMENT_INTERVAL": "0.1"}
"""Nobody who is gone is waited for, and moves come at once."""


async def shown(stage: Stage, name: str) -> tuple[str, ...]:
    """The nodes that a Service with one address shows."""
    body = await stage.read(name)
    text = (body["metadata"].get("annotations") or {}).get(names.PLACEMENT, "")
    return next(iter(parse_placement(text).values()), ())


def play(
    scene: Act, *nodes: str, before: Act | None = None, pool: Json = POOL, environ: Mapping[str, str] = DEFAULTS
) -> None:
    """Play a scene where the agents of these nodes are known, an allocator runs, and a group has addresses.

    ``before``: what is done before that.
    """

    async def run() -> None:
        async with staged(embedded=True) as stage:
            if before is not None:
                await before(stage)
            await publish(stage, nodes)
            async with stage.allocator(**environ):
                await stage.group("default", local=pool)
                await scene(stage)

    asyncio.run(run())


async def is_planned(stage: Stage, name: str) -> bool:
    return bool(await shown(stage, name))


async def owners(stage: Stage, services: Iterable[str]) -> Counter[str]:
    return Counter([(await shown(stage, name) or ("",))[0] for name in services])


def test_vips_are_even_and_a_dead_nodes_go_to_their_stand_ins() -> None:
    async def scene(stage: Stage) -> None:
        services = [f"s{number}" for number in range(9)]
        for name in services:
            await stage.service(name)

        async def is_even() -> bool:
            return await owners(stage, services) == {"w0": 3, "w1": 3, "w2": 3}

        await until(is_even)
        before = {name: await shown(stage, name) for name in services}
        assert {len(nodes) for nodes in before.values()} == {2}

        await publish(stage, ["w0", "w1"])

        async def is_replaced() -> bool:
            return (await owners(stage, services))["w2"] == 0

        await until(is_replaced)
        for name, nodes in before.items():
            assert (await shown(stage, name))[0] == (nodes[1] if nodes[0] == "w2" else nodes[0])

    play(scene, "w0", "w1", "w2", before=install_rights, environ=SOON)


async def set_endpoints(stage: Stage, service: str, *nodes: str) -> None:
    """The only EndpointSlice of a Service names these nodes."""
    path = group_path("discovery.k8s.io/v1", "endpointslices", "default")
    endpoints = [
        {"addresses": [f"10.9.0.{number}"], "nodeName": node, "conditions": {"ready": True}}
        for number, node in enumerate(nodes, 1)
    ]
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": endpoints,
    }
    try:
        await stage.kube.create(path, body)
    except ConflictError:
        await stage.kube.patch(f"{path}/{service}", {"endpoints": endpoints})


def test_with_policy_local_the_plan_follows_the_endpoints() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            await install_rights(stage)
            await publish(stage, [f"w{number}" for number in range(5)])
            async with stage.allocator():
                await stage.group("default", local=local("10.1.0.0/26"))
                services = [f"s{number}" for number in range(4)]
                for name in services:
                    await set_endpoints(stage, name, "w3", "w4")
                    await stage.service(name, externalTrafficPolicy="Local")

                async def is_even() -> bool:
                    return await owners(stage, services) == {"w3": 2, "w4": 2}

                await until(is_even)
                before = await shown(stage, "s0")
                await set_endpoints(stage, "s0", "w1", before[1])

                async def is_followed() -> bool:
                    return await shown(stage, "s0") == (before[1], "w1")

                await until(is_followed)

    asyncio.run(run())


async def let_read_endpoints(stage: Stage, of: Iterable[str]) -> None:
    """The allocator's ClusterRole knows these EndpointSlices by name; none: all of them."""
    path = f"{group_path('rbac.authorization.k8s.io/v1', 'clusterroles')}/purelb:allocator"
    rules = (await stage.kube.get(path))["rules"]
    (rule,) = (one for one in rules if one["resources"] == ["endpointslices"])
    rule.pop("resourceNames", None)
    rule.update({"resourceNames": [*of]} if of else {})
    await stage.kube.patch(path, {"rules": rules})


def test_under_an_older_versions_role_services_are_served_and_planned_once_it_knows_endpoints() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            await install_rights(stage)
            await let_read_endpoints(stage, ["kubernetes"])
            await publish(stage, ["w0", "w1", "w2"])
            await set_endpoints(stage, "a", "w1", "w2")
            async with stage.allocator():
                await stage.group("default", local=POOL)
                await stage.service("a", externalTrafficPolicy="Local")
                assert await stage.addresses_when_given("a") == ["10.1.0.0"]
                await stage.service("b")
                await until(lambda: is_planned(stage, "b"))
                assert not await is_planned(stage, "a")

                await let_read_endpoints(stage, [])
                await until(lambda: is_planned(stage, "a"))
                assert set(await shown(stage, "a")) == {"w1", "w2"}

    asyncio.run(run())


def test_who_asks_for_it_on_the_membership_has_a_node_that_came_given_its_share_at_once() -> None:
    async def scene(stage: Stage) -> None:
        services = [f"s{number}" for number in range(6)]
        for name in services:
            await stage.service(name)

        async def are_all_placed() -> bool:
            return (await owners(stage, services))[""] == 0

        await until(are_all_placed)
        await publish(stage, ["w0", "w1", "w2"])
        asked = {"metadata": {"annotations": {names.REBALANCE: "2026-11-29T12:00:00Z"}}}
        await stage.kube.patch(custom_path(names.MEMBERSHIPS, "purelb", "purelb"), asked)

        async def is_even() -> bool:
            return await owners(stage, services) == {"w0": 2, "w1": 2, "w2": 2}

        await until(is_even)

    play(scene, "w0", "w1")


def test_an_address_and_its_placement_are_written_at_once() -> None:
    async def scene(stage: Stage) -> None:
        await stage.service("first")

        await until(lambda: is_planned(stage, "first"))
        created = await stage.service("second")
        await stage.addresses_when_given("second")

        states = await stage.versions("second", since=created["metadata"]["resourceVersion"])
        written = [state for state in states if (state["status"]["loadBalancer"].get("ingress"))]
        assert names.PLACEMENT in written[0]["metadata"]["annotations"]

    play(scene, "w0", "w1", "w2")


def test_where_a_group_says_hash_a_plan_is_taken_away() -> None:
    async def scene(stage: Stage) -> None:
        await stage.service("a")

        async def is_not() -> bool:
            return not await is_planned(stage, "a")

        await until(lambda: is_planned(stage, "a"))
        await stage.change_group("default", placement="hash")
        await until(is_not)
        await stage.change_group("default", placement="even")
        await until(lambda: is_planned(stage, "a"))

        await publish(stage, ["w0", "w1"], others=["old"])
        await until(is_not)

    play(scene, "w0", "w1")


def test_who_changes_a_plan_finds_it_put_back() -> None:
    async def scene(stage: Stage) -> None:
        await stage.service("a")

        async def is_placed() -> tuple[str, ...] | None:
            nodes = await shown(stage, "a")
            return nodes if len(nodes) == 2 else None

        planned = await until(is_placed)
        await stage.change("a", {"metadata": {"annotations": {names.PLACEMENT: "10.1.0.0=forged"}}})
        assert await until(is_placed) == planned

    play(scene, "w0", "w1")


def test_a_webhook_that_takes_every_plan_away_is_answered_ever_more_seldom() -> None:
    writes: list[str] = []

    def take_away(table: str, event: Event) -> None:
        annotations = event.after.obj["metadata"].get("annotations", {})
        if table == "/services" and annotations.pop(names.PLACEMENT, None):
            writes.append(event.type)

    async def scene(stage: Stage) -> None:
        stage.api.store.on_commit.append(take_away)
        await stage.service("a")
        await stage.addresses_when_given("a")
        await asyncio.sleep(1.0)

    play(scene, "w0", "w1")

    assert 1 <= len(writes) <= 4


def test_an_upgrade_with_an_lbnodeagent_that_says_nothing_plans_nothing() -> None:
    async def has_one(stage: Stage) -> None:
        agent: Json = {
            "apiVersion": "purelb.io/v1",
            "kind": "LBNodeAgent",
            "metadata": {"name": "default", "namespace": "purelb"},
            "spec": {"local": {"localint": "default"}},
        }
        await stage.kube.create(custom_path(names.LB_NODE_AGENTS, "purelb"), agent)

    async def scene(stage: Stage) -> None:
        await stage.service("a")
        assert await stage.addresses_when_given("a") == ["10.1.0.0"]
        await asyncio.sleep(0.5)

        assert names.PLACEMENT not in (await stage.read("a"))["metadata"]["annotations"]

    play(scene, "w0", "w1", before=has_one)


def test_a_service_is_given_its_address_where_there_is_no_membership() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/memberships.purelb.io"
            await stage.kube.delete(definition)
            async with stage.allocator():
                await stage.group("default", local=local("10.1.0.0/26"))
                await stage.service("a")
                assert await stage.addresses_when_given("a") == ["10.1.0.0"]

    asyncio.run(run())


def test_placements_go_when_a_service_is_none_for_load_balancers_any_more() -> None:
    async def scene(stage: Stage) -> None:
        await stage.service("a")

        async def is_placed() -> bool:
            return parse_address("10.1.0.0") in parse_placement(
                (await stage.read("a"))["metadata"].get("annotations", {}).get(names.PLACEMENT, "")
            )

        await until(is_placed)
        await stage.change("a", {"spec": {"type": "ClusterIP"}})

        async def is_clean() -> bool:
            return not (await stage.read("a"))["metadata"].get("annotations")

        await until(is_clean)

    play(scene, "w0", "w1")


def test_wishes_of_a_service_that_gave_its_address_up_say_nothing_of_the_next_one() -> None:
    async def scene(stage: Stage) -> None:
        await stage.service("a", annotations={names.PREFERRED_NODES: "w1"})

        async def is_owner(service: str, node: str) -> bool:
            return (await shown(stage, service))[:1] == (node,)

        await until(lambda: is_owner("a", "w1"))
        await stage.change("a", {"spec": {"type": "ClusterIP"}})
        await stage.service("b", annotations={names.PREFERRED_NODES: "w0"})
        await stage.addresses_when_given("b")

        await until(lambda: is_owner("b", "w0"))

    play(scene, "w0", "w1", pool={"subnet": "10.1.0.0/24", "pool": "10.1.0.1-10.1.0.1"}, environ=SOON)


def test_agents_read_in_a_groups_status_which_nodes_its_selector_chooses() -> None:
    rack = {"metadata": {"labels": {"rack": "a"}}}

    async def scene(stage: Stage) -> None:
        for name in ("w0", "w2"):
            await stage.kube.patch(core_path("nodes", name=name), rack)
        await stage.group("racked", local=local("10.2.0.0/26"), nodeSelector={"matchLabels": {"rack": "a"}})

        async def chooses(*nodes: str) -> bool:
            return (await stage.group_status("racked")).get("nodes") == list(nodes)

        await until(lambda: chooses("w0", "w2"))
        await stage.kube.patch(core_path("nodes", name="w1"), rack)
        await until(lambda: chooses("w0", "w1", "w2"))

    play(scene, "w0", "w1", "w2", before=install_rights)


def test_a_mistake_of_the_planners_costs_nobody_an_address_and_one_service_its_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "AFTER_MISTAKE", 0.2)
    monkeypatch.setattr(planning, "SET_ASIDE", 4.0)
    learn, mistakes = Placing.learn, 0

    def mistaken(self: Placing, service: ServiceView, *more: Any) -> None:
        nonlocal mistakes
        if "purelb.io/mistake" in service.annotations:
            mistakes += 1
            self._users.clear()  # half of what it does, so to say
            raise RuntimeError("a mistake of ours")
        learn(self, service, *more)

    monkeypatch.setattr(Placing, "learn", mistaken)

    async def scene(stage: Stage) -> None:
        await stage.service("before")
        await until(lambda: is_planned(stage, "before"))
        await stage.service("odd", annotations={"purelb.io/mistake": "yes"})
        assert await stage.addresses_when_given("odd") == ["10.1.0.1"]

        await stage.service("after")
        await until(lambda: is_planned(stage, "after"))
        assert await is_planned(stage, "before")
        assert not await is_planned(stage, "odd")
        assert mistakes == 1, "it is set aside, not tried again and again"

        await stage.change("odd", {"metadata": {"annotations": {"purelb.io/mistake": None}}})
        await until(lambda: is_planned(stage, "odd"))

    play(scene, "w0", "w1", "w2")


def test_planning_that_failed_begins_anew_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "AFTER_MISTAKE", 0.2)
    look, mistakes = Placing.look, 0

    def mistaken(self: Placing, now: float) -> set[ServiceKey] | None:
        nonlocal mistakes
        mistakes += 1
        if mistakes in (2, 3):
            raise RuntimeError("a mistake of ours")
        return look(self, now)

    monkeypatch.setattr(Placing, "look", mistaken)

    async def scene(stage: Stage) -> None:
        await stage.service("a")
        await stage.addresses_when_given("a")
        await until(lambda: is_planned(stage, "a"))

    play(scene, "w0", "w1")
