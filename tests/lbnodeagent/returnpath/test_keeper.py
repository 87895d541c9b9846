"""When the kernel is looked at again, and what is told of it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from ipaddress import ip_address, ip_network

from lbnodeagent.errors import KernelError
from lbnodeagent.returnpath.keeper import ReturnKeeper
from lbnodeagent.returnpath.kernel import ReturnKernel
from lbnodeagent.returnpath.ways import ReturnWays, Way
from purelb.returnpath import ReturnPathTrouble
from tests.lbnodeagent.scenes import ETH1

WAY = Way(ip_network("172.30.0.0/24"), ETH1, "eth1", ip_address("172.30.0.254"), (), 1, 0x1000, 0x1000)


class Kernel(ReturnKernel):
    """Takes all that it is asked for, or, if it is ``unable``, nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Way, ...]] = []
        self.is_unable = False

    def have(self, ways: Sequence[Way]) -> bool:
        self.asked.append(tuple(ways))
        if self.is_unable:
            raise KernelError("nf_tables", errno.EPERM)
        return True


class Scene:
    """A keeper that runs."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.keeper = ReturnKeeper(self.kernel)
        self.told: asyncio.Queue[ReturnPathTrouble] = asyncio.Queue()


def play(scene: Callable[[Scene], Coroutine[None, None, None]]) -> Kernel:
    async def playing() -> Kernel:
        its = Scene()
        running = asyncio.create_task(its.keeper.run(its.told.put_nowait))
        async with asyncio.timeout(10):
            await scene(its)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await its.keeper.end()
        return its.kernel

    return asyncio.run(playing())


def test_what_is_wanted_is_had_and_gone_at_the_end() -> None:
    async def scene(its: Scene) -> None:
        its.keeper.put(ReturnWays((WAY,)))
        assert await its.told.get() == ReturnPathTrouble(())

    assert play(scene).asked == [(WAY,), ()]


def test_switched_off_an_earlier_run_is_swept() -> None:
    async def scene(its: Scene) -> None:
        its.keeper.put(ReturnWays())
        await its.told.get()

    assert play(scene).asked == [(), ()]


def test_until_it_is_known_what_is_wanted_nothing_is_touched() -> None:
    async def scene(its: Scene) -> None:
        await asyncio.sleep(0)

    assert play(scene).asked == []


def test_a_subnet_without_a_way_is_told_of() -> None:
    async def scene(its: Scene) -> None:
        its.keeper.put(ReturnWays((), ("no router is known",)))
        assert await its.told.get() == ReturnPathTrouble(("no router is known",))

    play(scene)


def test_a_kernel_that_can_not_is_told_of_and_asked_again() -> None:
    async def scene(its: Scene) -> None:
        its.kernel.is_unable = True
        its.keeper.put(ReturnWays((WAY,), ("no router is known",)))
        unable = "the kernel refuses what it takes: nf_tables: Operation not permitted (EPERM)"
        assert await its.told.get() == ReturnPathTrouble(("no router is known", unable))

        its.kernel.is_unable = False
        its.keeper.put(ReturnWays((WAY,)))
        assert await its.told.get() == ReturnPathTrouble(())

    play(scene)
