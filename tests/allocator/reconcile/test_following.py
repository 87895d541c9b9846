"""What the allocator follows, in one stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from allocator.reconcile.following import Following, Heard, OfServices, OfSlices
from purelb.metrics import AllocatorMetrics, new_registry
from purelb.ordering import Replaced
from tests.allocator.stage import Stage, staged, until


def test_each_time_it_begins_with_lists_of_what_is_then() -> None:
    async def scenario(stage: Stage) -> None:
        following = Following(stage.kube, "purelb", AllocatorMetrics(new_registry()), asyncio.get_running_loop().time)

        heard: list[Heard] = []

        async def follow(most: int) -> None:
            async with asyncio.TaskGroup() as tasks:
                async for one in following.news(tasks):
                    heard.append(one)
                    if len(heard) == most:
                        await asyncio.Event().wait()  # stopped like this, with news that waits to be heard

        standing_by = asyncio.create_task(follow(1))
        await until(lambda: _is(lambda: following.is_listed))
        standing_by.cancel()
        await asyncio.wait([standing_by])
        heard.clear()
        await stage.service("late")

        leading = asyncio.create_task(follow(2))
        await until(lambda: _is(lambda: len(heard) == 2))
        leading.cancel()
        await asyncio.wait([leading])

        assert all(isinstance(one.news, Replaced) for one in heard)
        services = next(one.news for one in heard if isinstance(one, OfServices))
        assert isinstance(services, Replaced)
        assert "late" in [key.name for key in services.items]

    async def run() -> None:
        async with staged(embedded=True) as stage:
            await scenario(stage)

    asyncio.run(run())


def test_endpoint_slices_are_followed_when_they_are_wanted_and_not_before() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            registry = new_registry()
            following = Following(stage.kube, "purelb", AllocatorMetrics(registry), asyncio.get_running_loop().time)
            kinds: set[type[Heard]] = set()

            async def follow() -> None:
                async with asyncio.TaskGroup() as tasks:
                    async for one in following.news(tasks):
                        kinds.add(type(one))

            def shown() -> float | None:
                return registry.get_sample_value("purelb_k8s_client_synced_bool", {"kind": "EndpointSlices"})

            leading = asyncio.create_task(follow())
            await until(lambda: _is(lambda: following.is_listed))
            assert shown() is None

            following.want_endpoints()
            following.want_endpoints()

            await until(lambda: _is(lambda: OfSlices in kinds))
            assert shown() == 1
            leading.cancel()
            await asyncio.wait([leading])

    asyncio.run(run())


async def _is(true: Callable[[], bool]) -> bool:
    return true()
