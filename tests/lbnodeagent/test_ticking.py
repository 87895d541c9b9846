"""What is done again and again: when it is due, and never again once it failed or was cancelled."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lbnodeagent.ticking import tick


def test_it_is_done_at_once_and_whenever_it_is_due_and_told_when_that_was() -> None:
    async def scene() -> list[float]:
        dues: list[float] = []
        enough = asyncio.Event()

        def act(due: float) -> None:
            dues.append(due)
            if len(dues) == 4:
                enough.set()

        ticking = asyncio.create_task(tick(act, lambda now: now + 0.001))
        async with asyncio.timeout(10):
            await enough.wait()
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        done = len(dues)
        await asyncio.sleep(0.01)
        assert len(dues) == done
        return dues

    dues = asyncio.run(scene())

    assert dues == sorted(set(dues))


def test_what_fails_is_told_and_not_done_again() -> None:
    times = 0

    def act(_: float) -> None:
        nonlocal times
        times += 1
        if times == 2:
            raise ValueError("it failed")

    async def scene() -> None:
        async with asyncio.timeout(10):
            await tick(act, lambda now: now)

    with pytest.raises(ValueError, match="it failed"):
        asyncio.run(scene())
    assert times == 2


def test_what_fails_at_once_is_told_too() -> None:
    def act(_: float) -> None:
        raise ValueError("it failed")

    with pytest.raises(ValueError, match="it failed"):
        asyncio.run(tick(act, lambda now: now))
