"""Plays the rows of one program side by side, each in a world of its own, as most of it is waiting."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from tests import loops
from tests.allocator.stage import staged
from tests.faults.table import FAULTS, Row, Verdict, rows
from tests.faults.world import World, play, play_older_snapshot, play_restart

AT_ONCE: Final = 16
"""Worlds: more, and one waits for another's processor time, which no fault is."""
WHOLE: Final[Mapping[str, Callable[[World], Awaitable[Verdict]]]] = {
    "restart": play_restart,
    "an older snapshot": play_older_snapshot,
}
"""What befalls the server as a whole."""
_row: ContextVar[str] = ContextVar("row", default="")


@dataclass(slots=True)
class Played:
    """How rows ended, and what was logged that a healthy program doesn't log."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


class _Ear(logging.Handler):
    """Hears errors, tracebacks, and tasks that didn't end."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(logging.INFO)
        self._complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR or record.getMessage() == "tasks did not end":
            self._complaints.append(f"{_row.get()}: {self.format(record)}")


def names_of(kind: type[World]) -> list[str]:
    """All rows of a program."""
    return [str(row) for fault in FAULTS for row in rows(fault, kind.verbs)] + list(WHOLE)


def play_all(kind: type[World], wanted: Iterable[str]) -> Played:
    """Play the wanted rows."""
    known = {str(row): row for fault in FAULTS for row in rows(fault, kind.verbs)}
    played, slots = Played(), asyncio.Semaphore(AT_ONCE)

    building = asyncio.Lock()  # a world is nothing but work until it stands: all at once would keep each waiting

    async def one(name: str) -> None:
        async with slots, AsyncExitStack() as stack:
            _row.set(name)
            async with building:
                stage = await stack.enter_async_context(staged(validate=False, embedded=True))
            played.verdicts[name] = await _scene(name, known)(kind(stage))

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            for name in wanted:
                tasks.create_task(one(name))

    ear = _Ear(played.complaints)
    logging.getLogger().addHandler(ear)
    try:
        loops.run(run())
        gc.collect()  # a task whose exception nobody asked for says so when it is collected
    finally:
        logging.getLogger().removeHandler(ear)
    return played


def _scene(name: str, known: Mapping[str, Row]) -> Callable[[World], Awaitable[Verdict]]:
    return WHOLE[name] if name in WHOLE else lambda world: play(world, known[name])
