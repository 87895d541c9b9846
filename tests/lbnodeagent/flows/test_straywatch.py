"""What is seen of connections held back, who is asked and what answered, with a kernel and peers that do as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address

import pytest

from lbnodeagent.errors import KernelError
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.nfnetlink import Message
from lbnodeagent.flows.rules import Rules
from lbnodeagent.flows.straywatch import FINDING_MOST, FRUITLESS, PAUSE, PENDING_MOST, UNUSED, StrayWatch, pause_after
from lbnodeagent.flows.tables import STRAY, Ask, Fellows, Find, Routed, Stray
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.gossip.straymessage import StrayAnswer, StrayMessage, StrayQuestion
from memberlist import Config
from tests.lbnodeagent.flows.scenes import OWN, W11

ROUTED = ip_address("10.189.0.1")


def stray(port: int) -> Stray:
    return Stray(STRAY.pack(port, 80) + bytes(4) + ROUTED.packed)


class Kernel(Netfilter):
    """Holds these back, and serves those of even ports."""

    held: frozenset[Stray] = frozenset()
    is_well = True

    def commit(self, messages: Sequence[Message]) -> None:
        pass

    def strays(self, request: Message, version: int) -> set[Stray]:
        if not self.is_well:
            raise KernelError("nf_tables", 12)
        return set(self.held)

    def find(self, strays: Sequence[tuple[int, Stray]]) -> list[tuple[int, int]]:
        return [(place, 100) for place, one in strays if one[1] % 2 == 0]


class Wire(Peers):
    """Messages arrive when their node ``takes`` them."""

    def __init__(self) -> None:
        super().__init__("own", "127.0.0.1", 0, Config.fast())
        self.arrived: asyncio.Queue[tuple[str, StrayMessage]] = asyncio.Queue()
        self.takes = {"w11": asyncio.Event(), "w12": asyncio.Event()}

    async def send_strays(self, node: str, message: StrayMessage) -> bool:
        await self.takes[node].wait()
        self.arrived.put_nowait((node, message))
        return True


class Scene:
    """A watch that runs."""

    def __init__(self, kernel: Kernel, wire: Wire, watch: StrayWatch) -> None:
        self.kernel, self.wire, self.watch = kernel, wire, watch
        self.astray: asyncio.Queue[tuple[int, Sequence[Stray]]] = asyncio.Queue()


def play(scene: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    async def playing() -> None:
        threads = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        with Kernel() as kernel, threads[0], threads[1]:
            wire, rules = Wire(), Rules(kernel)
            rules.apply(Routed((ROUTED,), True))
            rules.apply(Fellows(4, None, frozenset({W11})))
            its = Scene(kernel, wire, StrayWatch("own", wire, rules, kernel, *threads))
            running = asyncio.create_task(its.watch.run(lambda version, some: its.astray.put_nowait((version, some))))
            async with asyncio.timeout(10):
                await scene(its)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(playing())


def test_what_the_kernel_holds_back_is_told_of_once() -> None:
    async def scene(its: Scene) -> None:
        its.kernel.held = frozenset({stray(1)})
        assert await its.astray.get() == (4, [stray(1)])

        its.kernel.held = frozenset({stray(1), stray(2)})
        assert await its.astray.get() == (4, [stray(2)])

    play(scene)


def test_a_kernel_that_says_nothing_for_a_while_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(its: Scene) -> None:
        its.kernel.is_well = False
        its.kernel.held = frozenset({stray(1)})
        while not caplog.records:
            await asyncio.sleep(0.01)
        its.kernel.is_well = True

        assert await its.astray.get() == (4, [stray(1)])
        assert [one.message for one in caplog.records] == ["what is held back could not be read"]

    play(scene)


def test_a_question_is_answered_with_what_the_kernel_serves_of_it() -> None:
    async def scene(its: Scene) -> None:
        its.wire.takes["w11"].set()
        its.watch.put(Find("w11", 7, OWN, ((0, stray(2)), (1, stray(3)), (5, stray(4)))))

        assert await its.wire.arrived.get() == ("w11", StrayAnswer("own", 7, OWN, ((0, 100), (5, 100))))

    play(scene)


def test_a_node_that_takes_nothing_keeps_no_other_one_waiting_and_has_so_many_messages_wait() -> None:
    async def scene(its: Scene) -> None:
        its.wire.takes["w12"].set()
        question = StrayQuestion("own", 1, OWN, (stray(1),))
        for _ in range(PENDING_MOST + 5):
            its.watch.put(Ask(frozenset({"w11", "w12"}), question))
            assert await its.wire.arrived.get() == ("w12", question)

        its.wire.takes["w11"].set()
        its.watch.put(Ask(frozenset({"w12"}), question))
        arrived = [await its.wire.arrived.get() for _ in range(PENDING_MOST + 1)]
        assert [node for node, _ in arrived].count("w11") == PENDING_MOST

    play(scene)


def test_who_asks_for_too_much_isnt_answered() -> None:
    async def scene(its: Scene) -> None:
        its.wire.takes["w11"].set()
        its.watch.put(Find("w11", 1, OWN, ((0, stray(2)),) * FINDING_MOST))
        its.watch.put(Find("w11", 2, OWN, ((0, stray(2)),)))

        assert await its.wire.arrived.get() == ("w11", StrayAnswer("own", 2, OWN, ((0, 100),)))

    play(scene)


def test_looks_that_show_what_nobody_serves_become_rarer_but_not_at_once() -> None:
    assert [pause_after(fruitless) for fruitless in (0, FRUITLESS, FRUITLESS + 1)] == [PAUSE, PAUSE, 2 * PAUSE]
    assert pause_after(10**6) == UNUSED
