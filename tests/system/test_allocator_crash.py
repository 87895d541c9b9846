"""kill -9 at any moment under load: no address is given twice, none is lost, none leaks."""

from __future__ import annotations

import asyncio

from allocator.leadership import Timing
from tests.allocator.builders import local
from tests.allocator.ordeal import kill, start_allocator, undergo
from tests.allocator.stage import staged

SEED = 20220501
KILLS = 35


def test_an_allocator_killed_at_many_random_moments_gives_nothing_twice_and_loses_nothing() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            outcome = await undergo(stage, KILLS, SEED)

        assert outcome.faults == (), f"seed {SEED}"
        assert outcome.allocations_amid > KILLS // 3, "most kills should hit an allocator at work"

    asyncio.run(run())


def test_a_standby_takes_over_from_a_killed_leader_within_ten_seconds() -> None:
    async def run() -> None:
        async with staged() as stage:
            loop = asyncio.get_running_loop()
            await stage.group("default", local=local("10.1.0.0/28"))
            leader = await asyncio.to_thread(start_allocator, stage.kubeconfig, "pod-a")
            await stage.service("a")
            await stage.addresses_when_given("a")
            standby = await asyncio.to_thread(start_allocator, stage.kubeconfig, "pod-b")
            await asyncio.sleep(1.0)
            try:
                await kill(leader)
                killed = loop.time()
                await stage.service("b")

                assert await stage.addresses_when_given("b") == ["10.1.0.1"]
                assert loop.time() - killed <= 10.0
            finally:
                await kill(standby)

    asyncio.run(run())


def test_an_outage_longer_than_the_lease_is_survived_by_the_same_process() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            await stage.group("default", local=local("10.1.0.0/28"))
            allocator = await asyncio.to_thread(start_allocator, stage.kubeconfig)
            try:
                await stage.service("a")
                assert await stage.addresses_when_given("a") == ["10.1.0.0"]

                outage = stage.api.faults.down(user_agent="purelb-allocator")
                await asyncio.sleep(Timing().give_up + 2.0)
                stage.api.faults.clear(outage)
                await stage.service("b")

                assert await stage.addresses_when_given("b") == ["10.1.0.1"]
                assert allocator.is_alive()
            finally:
                await kill(allocator)

    asyncio.run(run())
