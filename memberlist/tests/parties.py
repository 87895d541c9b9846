"""Members on one machine, with real sockets on loopback, and what each was told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from memberlist import (
    Config,
    Event,
    Memberlist,
    State,
)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await test

    asyncio.run(limited())


async def until(holds: Callable[[], bool]) -> None:
    """Poll, as the world outside the loop has its own pace."""
    for _ in range(4000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


class Party:
    """Some members on one machine; each keeps what it was told."""

    def __init__(self, tasks: asyncio.TaskGroup, host: str) -> None:
        self._tasks = tasks
        self._host = host
        self.events: dict[str, list[Event]] = {}
        self.running: dict[str, asyncio.Task[None]] = {}

    async def member(self, name: str, **options: Any) -> Memberlist:
        events = self.events[name] = []
        config = options.pop("config", Config.fast())
        member = Memberlist(name, bind=(self._host, 0), config=config, on_event=events.append, **options)
        self.running[name] = self._tasks.create_task(member.run())
        await member.started()
        return member

    def saw(self, name: str, kind: type[Event]) -> list[Any]:
        return [event for event in self.events[name] if isinstance(event, kind)]


@contextlib.asynccontextmanager
async def party(host: str = "127.0.0.1") -> AsyncIterator[Party]:
    async with asyncio.TaskGroup() as tasks:
        guests = Party(tasks, host)
        yield guests
        for running in guests.running.values():
            running.cancel()


def at(member: Memberlist) -> tuple[str, int]:
    return str(member.endpoint.address), member.endpoint.port


def alive(member: Memberlist) -> set[str]:
    return {name for name, other in member.members.items() if other.state is State.ALIVE}
