"""What holds for every test: no time limits per example, and event loops that nobody blocks or leaves tasks on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

# A busy machine is no reason to fail.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_run: Callable[..., Any] = asyncio.run


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """As `asyncio.run`, but all that ``main`` began must have ended with it."""

    async def watched() -> Any:
        result = await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            _, left = await asyncio.wait(left, timeout=0.5)
        assert not left, f"left behind: {left}"
        return result

    return _run(watched())


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_the_driver() -> Iterator[None]:
    with blockbuster_ctx("memberlist"):
        yield


@pytest.fixture(autouse=True)
def no_task_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "run", run)
