"""The control plane's thread goes on, whatever a try does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from lbnodeagent.kubernetes import thread as controlthread
from lbnodeagent.kubernetes.thread import UNKNOWN, ControlThread, run_bounded
from purelb.pulse import Pulse


class Try:
    """A control plane that does what a test wants."""

    def __init__(self, act: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
        self.is_done = threading.Event()
        self.is_synced = True
        self._act = act

    def trouble(self, now: float) -> str | None:
        return None

    async def without_successor(self) -> str | None:
        return None

    async def run(self, stop: asyncio.Event) -> None:
        await self._act(stop)
        self.is_done.set()


async def stubborn() -> None:
    """As a library's task was seen to be: it swallows its cancellation."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue


def test_a_task_that_swallows_its_cancellation_holds_nobody_up() -> None:
    async def main() -> None:
        asyncio.get_running_loop().create_task(stubborn(), name="stubborn")
        await asyncio.sleep(0)
        raise ValueError("the try failed")

    begun = time.monotonic()
    with pytest.raises(ValueError, match="the try failed"):
        run_bounded(main(), last_words=0.05)
    assert time.monotonic() - begun < 5


def test_each_end_of_a_try_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlthread, "RESTART", (0.01,))
    tries: list[Try] = []
    works = threading.Event()

    async def fails(_: asyncio.Event) -> None:
        raise OSError("no way")

    async def ends(_: asyncio.Event) -> None:
        return

    async def goes_on(stop: asyncio.Event) -> None:
        works.set()
        await stop.wait()

    def build() -> Try:
        tries.append(Try((fails, ends, goes_on)[len(tries)]))
        return tries[-1]

    control = ControlThread(build)
    control.start()

    assert works.wait(10)
    assert control.trouble is None
    control.stop(10)
    assert tries[2].is_done.is_set()


def test_a_try_that_stands_still_is_seen() -> None:
    blocked, release = threading.Event(), threading.Event()

    async def blocks(stop: asyncio.Event) -> None:
        await asyncio.sleep(0.01)
        blocked.set()
        release.wait(10)  # that is the fault
        await stop.wait()

    control = ControlThread(lambda: Try(blocks))
    control.pulse = Pulse("the control plane", still=0.3)
    control.start()
    assert blocked.wait(10)
    assert control.pulse.trouble() is None
    time.sleep(0.5)
    assert control.pulse.trouble() is not None
    release.set()
    control.stop(10)


async def until_stopped(stop: asyncio.Event) -> None:
    await stop.wait()


class Asked(Try):
    """One that is asked whether an agent follows, and answers as a test wants."""

    def __init__(self, answer: Callable[[], Coroutine[Any, Any, str | None]]) -> None:
        super().__init__(until_stopped)
        self._answer = answer

    async def without_successor(self) -> str | None:
        return await self._answer()


async def follows() -> str | None:
    return None


async def gone() -> str | None:
    return "its DaemonSet is deleted"


async def never() -> str | None:
    await asyncio.sleep(3600)
    return None


async def fails() -> str | None:
    raise ValueError("the API server says something else")


@pytest.mark.parametrize(
    ("answer", "said"), [(follows, None), (gone, "its DaemonSet is deleted"), (never, UNKNOWN), (fails, UNKNOWN)]
)
def test_whether_an_agent_follows_is_asked_on_its_loop_and_without_an_answer_not_known(
    answer: Callable[[], Coroutine[Any, Any, str | None]], said: str | None
) -> None:
    asked = Asked(answer)
    thread = ControlThread(lambda: asked)

    async def ask() -> str | None:
        while thread.trouble is not None:
            await asyncio.sleep(0.01)
        return await thread.without_successor(0.2)

    assert asyncio.run(thread.without_successor(0.2)) == UNKNOWN
    thread.start()
    answered = asyncio.run(ask())
    assert answered == said or (said == UNKNOWN and str(answered).startswith(UNKNOWN))
    thread.stop(5.0)
    thread.join(5.0)
    assert asyncio.run(thread.without_successor(0.2)) == UNKNOWN
