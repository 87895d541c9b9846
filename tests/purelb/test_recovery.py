"""Who waits for an API server hears of its return from those who found it well."""

from __future__ import annotations

import asyncio
import random

from purelb.recovery import Recovery


def test_all_that_pause_are_woken_soon_after_the_server_served_one() -> None:
    async def play() -> None:
        recovery, rng = Recovery(), random.Random(1)
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            pauses = [tasks.create_task(recovery.pause(3600.0, rng)) for _ in range(3)]
            await asyncio.sleep(0)
            assert not any(one.done() for one in pauses)
            recovery.is_back()

    asyncio.run(play())


def test_what_was_before_a_pause_ends_it_not() -> None:
    async def play() -> None:
        recovery = Recovery()
        recovery.is_back()
        try:
            async with asyncio.timeout(0.05):
                await recovery.pause(3600.0, random.Random(1))
        except TimeoutError:
            return
        raise AssertionError("it was woken")

    asyncio.run(play())


def test_a_pause_ends_by_itself() -> None:
    asyncio.run(Recovery().pause(0.01, random.Random(1)))
