"""A key is worked on once for many changes, and again when it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lab.controllers.reconciler import Reconciler
from purelb.errors import UnavailableError


def test_many_changes_of_one_key_are_one_pass() -> None:
    seen: list[str] = []

    async def run() -> None:
        async def work(key: str) -> None:
            seen.append(key)

        reconciler = Reconciler("test", work)
        for key in ("a", "b", "a", "a"):
            reconciler.add(key)
        await _work_until(reconciler, lambda: len(seen) == 2)

    asyncio.run(run())
    assert seen == ["a", "b"]


def test_a_change_during_the_pass_is_looked_at_afterwards() -> None:
    states: list[int] = []

    async def run() -> None:
        state = 1

        async def work(key: str) -> None:
            nonlocal state
            states.append(state)
            if state == 1:
                state = 2
                reconciler.add(key)

        reconciler = Reconciler("test", work)
        reconciler.add("a")
        await _work_until(reconciler, lambda: len(states) == 2)

    asyncio.run(run())
    assert states == [1, 2]


def test_a_pass_that_failed_is_tried_again_and_does_not_hold_up_others() -> None:
    seen: list[str] = []

    async def run() -> None:
        async def work(key: str) -> None:
            seen.append(key)
            if seen.count("bad") < 2 and key == "bad":
                raise UnavailableError("not yet")

        reconciler = Reconciler("test", work)
        reconciler.add("bad")
        reconciler.add("good")
        await _work_until(reconciler, lambda: seen.count("bad") == 2)

    asyncio.run(run())
    assert seen == ["bad", "good", "bad"]


async def _work_until(reconciler: Reconciler[str], done: Callable[[], bool]) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reconciler.run())
        while not done():
            await asyncio.sleep(0.005)
        running.cancel()
