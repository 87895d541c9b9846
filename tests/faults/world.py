"""The world in which a row is played: an API server of its own, a program, a user who goes on, and what must be true.

The law: what is asked of the world (``missing``) is so within LAW seconds after the fault has ended, as if it had never
been. A world's user is never met by the fault, but waits for a server that is away.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

from kubedouble.fault import Fault
from purelb.errors import KubeError
from purelb.pace import Pace
from tests.allocator.stage import Stage
from tests.faults.table import LONG, START, Row, Verdict

T = TypeVar("T")

LAW: Final = 30.0
"""Seconds."""
HITS: Final = 10.0
"""Seconds within which a program meets a fault."""
UNMET: Final = "the program meets the fault"
LASTS: Final = 0.5
"""Seconds that a fault lasts after it was met."""
LASTS_LONG: Final = 7.0
"""Likewise, of a row that is long."""
PACE: Final = Pace(request=1.0, watch=2.0)
"""Of the programs here: with their own, a silence takes as much longer as that is longer."""


class World(ABC):
    """One program's. ``services`` are those that there should be."""

    user_agent: str
    verbs: tuple[str, ...]

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.services: set[str] = set()

    @abstractmethod
    async def furnish(self) -> None:
        """What there is before the program starts: Services ``early`` and ``gone``, among others."""

    @abstractmethod
    def running(self) -> AbstractAsyncContextManager[None]:
        """The program."""

    @abstractmethod
    async def add(self, name: str) -> None:
        """A new Service."""

    @abstractmethod
    async def missing(self) -> list[str]:
        """What isn't as it should be, in sentences. Raises KubeError while that can't be seen."""

    async def remove(self, name: str) -> None:
        await self.stage.delete(name)
        self.services.discard(name)

    async def settle(self, within: float) -> list[str]:
        """Wait until nothing is missing; what still is after ``within`` seconds."""
        missing = ["the API server answers"]
        try:
            async with asyncio.timeout(within):
                while True:
                    try:
                        missing = await self.missing()
                    except KubeError as error:
                        missing = [str(error)]
                    if not missing:
                        return []
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return missing


async def surely(action: Callable[[], Awaitable[T]]) -> T:
    """As a user does who tries again."""
    while True:
        try:
            return await action()
        except KubeError:
            await asyncio.sleep(0.05)


async def play(world: World, row: Row) -> Verdict:
    """A fault that meets one verb, or all of them, while the user makes changes; one more comes after it."""
    faults, who = world.stage.api.faults, world.user_agent
    await world.furnish()
    if row.verb == START:
        fault = faults.add(**row.options, user_agent=who)
        async with world.running():
            if not await _is_met(world, fault):
                return Verdict([UNMET])
            await asyncio.sleep(LASTS)
            faults.clear(fault)
            return await _judge(world)
    async with world.running():
        missing = await world.settle(LAW)
        if missing:
            return Verdict(["before the fault", *missing])
        fault = faults.add(**row.options, user_agent=who)
        if row.verb == "get":  # of a Service whose write was behind
            faults.status(409, verb="patch", resource="services", user_agent=who, count=1)
        faults.expire()
        await world.add("during")
        await world.remove("gone")
        if not await _is_met(world, fault):
            return Verdict([UNMET])
        await asyncio.sleep(LASTS_LONG if row.verb == LONG else LASTS)
        faults.clear(fault)
        return await _judge(world)


async def _is_met(world: World, fault: Fault) -> bool:
    """Wait until the program meets a fault; False if it doesn't."""
    try:
        async with asyncio.timeout(HITS):
            while not fault.hits:
                await asyncio.sleep(0.2)
                world.stage.api.faults.expire()  # a watch that had just ended by itself missed the first time
    except TimeoutError:
        return False
    return True


async def play_restart(world: World) -> Verdict:
    """Refused connections, then 403 to all, as of a server that starts; the user's changes come meanwhile."""
    await world.furnish()
    async with world.running():
        missing = await world.settle(LAW)
        if missing:
            return Verdict(["before the restart", *missing])
        await world.remove("gone")
        world.stage.api.faults.restart(refusing=1.0, loading=1.5)
        await asyncio.sleep(0.2)
        await surely(lambda: world.add("during"))
        return await _judge(world)


async def play_older_snapshot(world: World) -> Verdict:
    """What came since is no more, and what went is there again."""
    await world.furnish()
    async with world.running():
        missing = await world.settle(LAW)
        if missing:
            return Verdict(["before the snapshot", *missing])
        faults, before = world.stage.api.faults, set(world.services)
        faults.remember()
        await world.add("during")
        await world.remove("gone")
        missing = await world.settle(LAW)
        if missing:
            return Verdict(["before going back", *missing])
        faults.go_back()
        world.services = before
        return await _judge(world)


async def _judge(world: World) -> Verdict:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await surely(lambda: world.add("after"))
    missing = await world.settle(LAW)
    return Verdict(missing, loop.time() - begun)
