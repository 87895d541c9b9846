"""The Secret with the gossip's key is there, always, and what it holds is never lost by a deletion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from allocator.__main__ import serve
from allocator.gossipkey import GossipSecret, Remembered
from purelb import names
from purelb.answers import JsonObject
from purelb.errors import NotFoundError
from purelb.kube import Kube, core_path
from purelb.metrics import AllocatorMetrics, new_registry
from tests.allocator.stage import Stage, play, staged, until

SECRETS = core_path("secrets", "purelb")
SECRET = core_path("secrets", "purelb", names.GOSSIP_SECRET)


async def secret(stage: Stage) -> dict[str, Any] | None:
    try:
        return await stage.kube.get(SECRET)
    except NotFoundError:
        return None


async def made_after(stage: Stage, uid: str) -> dict[str, Any]:
    """The Secret that took the place of another one."""

    async def look() -> dict[str, Any] | None:
        found = await secret(stage)
        return found if found and found["metadata"]["uid"] != uid else None

    return await until(look)


async def first(stage: Stage) -> dict[str, Any]:
    return await made_after(stage, "")


def test_it_says_who_made_it() -> None:
    async def scenario(stage: Stage) -> None:
        labels = (await first(stage))["metadata"]["labels"]

        assert labels["app.kubernetes.io/managed-by"] == "purelb-allocator"

    play(scenario)


def test_a_deleted_secret_is_made_again_with_all_that_it_held() -> None:
    async def scenario(stage: Stage) -> None:
        made = await first(stage)
        await stage.kube.patch(SECRET, {"data": {"previous": "b2xk"}})
        before = {**made["data"], "previous": "b2xk"}
        await asyncio.sleep(0.2)  # until it was heard

        await stage.kube.delete(SECRET)

        assert (await made_after(stage, made["metadata"]["uid"]))["data"] == before

    play(scenario)


def test_one_that_was_deleted_while_no_watch_stood_is_made_again() -> None:
    async def scenario(stage: Stage) -> None:
        made = await first(stage)
        await asyncio.sleep(0.2)
        stage.api.faults.status(503, user_agent=names.ALLOCATOR_COMPONENT, resource="secrets")
        stage.api.faults.drop_watches()

        await stage.kube.delete(SECRET)
        stage.api.faults.expire()
        stage.api.faults.clear()

        assert (await made_after(stage, made["metadata"]["uid"]))["data"] == made["data"]

    play(scenario, embedded=True)


def test_what_a_user_makes_stays() -> None:
    async def run() -> None:
        async with staged() as stage:
            data = {"key": "AAAAAAAAAAAAAAAAAAAAAA=="}
            if await secret(stage):  # a real server has it from an earlier test
                await stage.kube.delete(SECRET)
            await stage.kube.create(SECRETS, {"metadata": {"name": names.GOSSIP_SECRET}, "data": data})
            async with stage.allocator():
                await stage.group("default", local={"v4pool": {"pool": "10.1.0.0/28", "subnet": "10.1.0.0/28"}})
                await stage.service("a")
                await stage.addresses_when_given("a")

                assert (await first(stage))["data"] == data

    asyncio.run(run())


def test_who_stood_by_knows_the_key_when_its_time_comes() -> None:
    async def run() -> None:
        async with staged() as stage, asyncio.TaskGroup() as tasks:
            leads, over = asyncio.Event(), asyncio.Event()

            async def leader() -> None:
                async with stage.allocator("first"):
                    leads.set()
                    await over.wait()

            running = tasks.create_task(leader())
            await leads.wait()
            made = await first(stage)
            async with stage.allocator("second"):
                await asyncio.sleep(0.5)  # until it was heard
                over.set()
                await running
                await stage.kube.delete(SECRET)

                assert (await made_after(stage, made["metadata"]["uid"]))["data"] == made["data"]

    asyncio.run(run())


class LateAnswers(Kube):
    """Whose answers to what it creates come late: as soon as ``answer`` is set."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(kubeconfig)
        self.answer = asyncio.Event()

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        answer = await super().create(path, body)
        await self.answer.wait()
        return answer


def test_one_that_is_deleted_before_we_hear_that_we_made_it_is_made_again() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage, LateAnswers(stage.kubeconfig) as kube, asyncio.TaskGroup() as tasks:
            clock = asyncio.get_running_loop().time
            gossip = GossipSecret(kube, "purelb", AllocatorMetrics(new_registry()), clock, Remembered())
            running = [tasks.create_task(gossip.follow()), tasks.create_task(gossip.keep())]
            made = await first(stage)
            await stage.kube.delete(SECRET)
            await asyncio.sleep(0.3)  # until it was heard

            kube.answer.set()

            assert (await made_after(stage, made["metadata"]["uid"]))["data"] == made["data"]
            for task in running:
                task.cancel()

    asyncio.run(run())


def test_who_may_not_make_it_is_content_with_what_a_user_makes() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            forbidden = stage.api.faults.status(403, verb="create", resource="secrets", user_agent="purelb-allocator")
            async with stage.allocator():
                while not forbidden.hits:
                    await asyncio.sleep(0.02)
                await stage.kube.create(SECRETS, {"metadata": {"name": names.GOSSIP_SECRET}, "data": {}})
                await asyncio.sleep(0.3)  # until it was heard
                tries = forbidden.hits
                await asyncio.sleep(1.0)

                assert forbidden.hits == tries

    asyncio.run(run())


def test_who_begins_again_in_the_same_process_knows_the_key_that_it_saw_before() -> None:
    async def run() -> None:
        async with staged() as stage:
            gossip_key = Remembered()
            async with running(stage, gossip_key):
                made = await first(stage)
                await until(lambda: seen(gossip_key))
            await stage.kube.delete(SECRET)

            async with running(stage, gossip_key):
                assert (await made_after(stage, made["metadata"]["uid"]))["data"] == made["data"]

    asyncio.run(run())


def test_what_agents_could_not_use_is_not_made_again() -> None:
    remembered, good = Remembered(), {"key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    remembered.see(good)

    for rubbish in ({}, {"key": "c2hvcnQ="}, {"key": "?"}, {"other": good["key"]}):
        remembered.see(rubbish)

    assert remembered.data == good


@asynccontextmanager
async def running(stage: Stage, gossip_key: Remembered) -> AsyncIterator[None]:
    """One run of the program."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(stage.settings(), stop, gossip_key=gossip_key))
        try:
            yield
        finally:
            stop.set()


async def seen(gossip_key: Remembered) -> bool:
    return gossip_key.data is not None
