"""The object that says who is there, against an API server: the embedded one, or the one that is asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from lbnodeagent.kubernetes import publication, publisher
from lbnodeagent.kubernetes.publisher import Publisher
from purelb import names
from purelb.errors import NotFoundError
from purelb.kube import custom_path
from purelb.membership import NAME, Attendance, MemberNode, Standing, parse_membership
from purelb.metrics import AgentMetrics
from tests.allocator.stage import DEFINITIONS, Stage, staged, until

COLLECTION = custom_path(names.MEMBERSHIPS, "purelb")
OBJECT = custom_path(names.MEMBERSHIPS, "purelb", NAME)
Json = dict[str, Any]
pytestmark = pytest.mark.timeout(120)


def attendance(*nodes: str, vips: int = 0) -> Attendance:
    return Attendance(tuple(MemberNode(name, Standing.SERVING) for name in nodes), vips)


class Scene:
    """Spokesmen beside an API server that has no such object yet."""

    def __init__(self, stage: Stage, tasks: asyncio.TaskGroup) -> None:
        self.stage = stage
        self._tasks = tasks
        self.running: list[asyncio.Task[None]] = []

    def publisher(self, node: str) -> Publisher:
        made = Publisher(node, "purelb", self.stage.kube, AgentMetrics(CollectorRegistry()))
        self.running.append(self._tasks.create_task(made.run()))
        return made

    async def body(self) -> Json | None:
        try:
            return await self.stage.kube.get(OBJECT)
        except NotFoundError:
            return None

    async def names(self, *nodes: str, by: str) -> Json:
        """The object, as soon as it names these nodes, and who wrote it."""

        async def look() -> Json | None:
            body = await self.body()
            is_so = body is not None and set(parse_membership(body)) == set(nodes)
            return body if body is not None and is_so and body["status"]["spokesman"] == by else None

        return await until(look)


@asynccontextmanager
async def scene_of(*, embedded: bool) -> AsyncIterator[Scene]:
    async with staged(embedded=embedded) as stage, asyncio.TaskGroup() as tasks:
        scene = Scene(stage, tasks)
        if await scene.body() is not None:
            await stage.kube.delete(OBJECT)
        try:
            yield scene
        finally:
            for task in scene.running:
                task.cancel()


def play(act: Callable[[Scene], Coroutine[Any, Any, None]], *, embedded: bool = False) -> None:
    async def run() -> None:
        async with scene_of(embedded=embedded) as scene:
            await act(scene)

    asyncio.run(run())


def test_the_spokesman_makes_it_and_keeps_it_up_to_date() -> None:
    async def act(scene: Scene) -> None:
        ours = scene.publisher("m")
        ours.attends(attendance("m", "w11", vips=4))
        first = await scene.names("m", "w11", by="m")
        assert (first["status"]["serving"], first["status"]["vips"]) == ("2/2", 4)
        assert first["status"]["observed"]

        ours.attends(attendance("m"))
        await scene.names("m", by="m")

    play(act)


def test_nobody_else_writes_it() -> None:
    async def act(scene: Scene) -> None:
        ours, other = scene.publisher("m"), scene.publisher("w11")
        other.attends(Attendance())
        ours.attends(attendance("m", "w11"))
        version = (await scene.names("m", "w11", by="m"))["metadata"]["resourceVersion"]

        other.attends(Attendance())
        await asyncio.sleep(1.5)

        body = await scene.body()
        assert body is not None
        assert body["metadata"]["resourceVersion"] == version

    play(act)


def test_a_new_spokesman_writes_over_the_word_of_the_one_that_died() -> None:
    async def act(scene: Scene) -> None:
        scene.publisher("m").attends(attendance("m", "w11", "w12"))
        await scene.names("m", "w11", "w12", by="m")

        scene.publisher("w11").attends(attendance("w11", "w12"))

        await scene.names("w11", "w12", by="w11")

    play(act)


def test_what_somebody_else_wrote_meanwhile_is_read_again() -> None:
    async def act(scene: Scene) -> None:
        ours = scene.publisher("m")
        ours.attends(attendance("m", "w11"))
        await scene.names("m", "w11", by="m")
        await scene.stage.kube.patch(f"{OBJECT}/status", {"status": {"nodes": None, "spokesman": None}})

        ours.attends(attendance("m", "w11", "w12"))

        await scene.names("m", "w11", "w12", by="m")

    play(act)


def test_what_somebody_else_wrote_over_it_is_put_right_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication, "CHECK", 0.5)

    async def act(scene: Scene) -> None:
        ours = scene.publisher("m")
        ours.attends(attendance("m", "w11"))
        await scene.names("m", "w11", by="m")

        await scene.stage.kube.patch(f"{OBJECT}/status", {"status": {"nodes": [], "spokesman": "w11"}})

        await scene.names("m", "w11", by="m")

    play(act)


def test_an_object_that_was_deleted_is_made_again() -> None:
    async def act(scene: Scene) -> None:
        ours = scene.publisher("m")
        ours.attends(attendance("m"))
        await scene.names("m", by="m")
        await scene.stage.kube.delete(OBJECT)

        ours.attends(attendance("m", "w11"))

        await scene.names("m", "w11", by="m")

    play(act)


def test_the_smaller_side_of_a_split_leaves_it_alone() -> None:
    async def act(scene: Scene) -> None:
        scene.publisher("c").attends(attendance("c", "d", "e"))
        version = (await scene.names("c", "d", "e", by="c"))["metadata"]["resourceVersion"]

        scene.publisher("a").attends(attendance("a", "b"))
        await asyncio.sleep(1.5)

        body = await scene.body()
        assert body is not None
        assert body["metadata"]["resourceVersion"] == version

    play(act)


def test_without_the_crd_it_says_so_once_and_goes_on_when_it_comes(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "UNSERVED", 0.2)

    async def act(scene: Scene) -> None:
        definition = f"{DEFINITIONS}/memberships.purelb.io"
        crd = await scene.stage.kube.get(definition)
        await scene.stage.kube.delete(definition)
        with caplog.at_level(logging.WARNING, "lbnodeagent"):
            scene.publisher("m").attends(attendance("m"))
            await asyncio.sleep(1.0)
        said = [record for record in caplog.records if record.name == publisher.__name__]
        assert len(said) == 1
        assert "apply PureLB's manifests" in said[0].__dict__["reason"]

        metadata = {"name": crd["metadata"]["name"], "annotations": crd["metadata"]["annotations"]}
        await scene.stage.kube.create(DEFINITIONS, {**crd, "metadata": metadata, "status": None})
        await scene.names("m", by="m")

    play(act, embedded=True)
