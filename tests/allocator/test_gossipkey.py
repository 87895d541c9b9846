"""The Secret with the gossip's key is there, always, and what it holds is never lost by a deletion."""

from __future__ import annotations

import asyncio
from typing import Any

from purelb import names
from purelb.errors import NotFoundError
from purelb.kube import core_path
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
