"""What is asked of every event loop that a test runs: at its end no task is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

LAST_WORDS: Final = 0.5
"""Seconds in which a task that was cancelled, or whose peer has hung up, ends by itself."""
EXCEPTED: Final = frozenset(("_read_old_api", "_read_new_apis", "_read_version"))
"""kopf asks at its start for all kinds at once, and leaves the other questions alone when one of them fails."""
_run: Final[Callable[..., Any]] = asyncio.run
"""The true one, whatever stands in its place during a test."""


class LeftBehind(AssertionError):
    """Tasks go on that nobody owns any more; `asyncio.run` would cancel them without a word."""


def run(main: Coroutine[Any, Any, T], **options: Any) -> T:
    """As `asyncio.run`. Raises LeftBehind where ``main`` returns before all that it began has ended."""

    async def watched() -> T:
        result = await main
        left = {task for task in asyncio.all_tasks() - {asyncio.current_task()} if _name(task) not in EXCEPTED}
        if left:
            _, left = await asyncio.wait(left, timeout=LAST_WORDS)
        if left:
            raise LeftBehind("; ".join(sorted(str(task) for task in left)))
        return result

    done: T = _run(watched(), **options)
    return done


def _name(task: asyncio.Task[Any]) -> str:
    return str(getattr(task.get_coro(), "__name__", ""))
