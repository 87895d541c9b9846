"""In which order the looks at conntrack and what is told of them are done, with a kernel and peers that do as told."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_address

import pytest
from prometheus_client import CollectorRegistry

from lbnodeagent.errors import KernelError
from lbnodeagent.flows.keeper import WAITING_MOST, FlowKeeper
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.nfnetlink import Message
from lbnodeagent.flows.tables import Account, Change, Flow, Look, Offer, OfferEnded, Server
from lbnodeagent.flows.teller import WORTH
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.tables import KeepsFlows, KeptFlows
from memberlist import Config
from purelb.addresses import IPAddress
from purelb.flowmetrics import FlowMetrics
from tests.lbnodeagent.flows.scenes import LIFE, OWN, flow
from tests.lbnodeagent.scenes import VIP

MANY = WORTH
OTHER = ip_address("10.31.188.65")
TO_W11, TO_W12 = Offer(VIP, "w11", LIFE, OWN), Offer(OTHER, "w12", LIFE, OWN)


class Kernel(Netfilter):
    """Each VIP has one flow, for as long as it is busy; every rule is taken. With a ``pause`` one VIP has many, and the
    last of them is found only when that is over.
    """

    is_busy = True
    pause: threading.Event | None = None
    fails = False

    def commit(self, messages: Sequence[Message]) -> None:
        pass

    def ask(self, message: Message) -> bytes:
        raise KernelError("nf_tables", errno.ENOENT)

    def note_live_flows(self, found: Mapping[IPAddress, list[Flow]]) -> None:
        if self.pause is not None:
            found[VIP].extend(flow(port) for port in range(2, 2 + MANY))
            assert self.pause.wait(10)
        if self.fails:
            raise KernelError("conntrack", errno.EINTR)
        for flows in found.values() if self.is_busy else ():
            flows.append(flow(1))


class Wire(Peers):
    """Messages arrive, but those for a node that takes none do only when it ``takes`` them."""

    def __init__(self) -> None:
        super().__init__("own", "127.0.0.1", 0, Config.fast())
        self.arrived: list[tuple[str, FlowsMessage]] = []
        self.is_asked = asyncio.Event()
        self.takes = {"w11": asyncio.Event(), "w12": asyncio.Event()}

    async def send_flows(self, node: str, message: FlowsMessage) -> bool:
        self.is_asked.set()
        await self.takes[node].wait()
        self.arrived.append((node, message))
        return True


class Scene:
    """A keeper that runs."""

    def __init__(self, keeper: FlowKeeper, wire: Wire, kernel: Kernel) -> None:
        self.keeper, self.wire, self.kernel = keeper, wire, kernel
        self.looked: asyncio.Queue[Mapping[IPAddress, int]] = asyncio.Queue()
        self.reports: asyncio.Queue[KeptFlows | KeepsFlows] = asyncio.Queue()


def play(scene: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    async def playing() -> None:
        threads = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        with Kernel() as rules, Kernel() as kernel, threads[0], threads[1]:
            wire, metrics = Wire(), FlowMetrics(CollectorRegistry())
            its = Scene(FlowKeeper("own", wire, rules, kernel, *threads, metrics), wire, kernel)
            running = asyncio.create_task(
                its.keeper.run(its.looked.put_nowait, lambda *_: None, its.reports.put_nowait)
            )
            async with asyncio.timeout(10):
                await scene(its)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(playing())


def test_an_owner_that_takes_nothing_keeps_no_other_one_waiting() -> None:
    async def scene(its: Scene) -> None:
        its.wire.takes["w12"].set()
        its.keeper.put(Look((TO_W11, TO_W12)))
        while not its.wire.arrived:
            await asyncio.sleep(0.01)
        its.wire.takes["w11"].set()

        assert await its.looked.get() == {VIP: 1, OTHER: 1}
        assert [node for node, _ in its.wire.arrived] == ["w12", "w11"]

    play(scene)


def test_after_a_vip_came_back_while_its_flows_were_told_of_all_are_told_anew() -> None:
    async def scene(its: Scene) -> None:
        its.keeper.put(Look((TO_W11,)))
        await its.wire.is_asked.wait()
        its.keeper.put(OfferEnded(VIP))
        its.wire.takes["w11"].set()
        await its.looked.get()

        its.keeper.put(Look((TO_W11,)))
        await its.looked.get()

        assert [message.is_first for _, message in its.wire.arrived] == [True, True]

    play(scene)


def test_a_new_owner_is_told_of_many_flows_as_they_are_found_and_knows_when_these_are_all() -> None:
    async def scene(its: Scene) -> None:
        its.kernel.pause = threading.Event()
        its.wire.takes["w11"].set()
        its.keeper.put(Look((TO_W11,)))
        while not its.wire.arrived:
            await asyncio.sleep(0.001)
        its.kernel.pause.set()

        assert await its.looked.get() == {VIP: MANY + 1}
        first, last = (message for _, message in its.wire.arrived)
        assert (len(first.begun), first.is_first, first.is_last) == (MANY, True, False)
        assert (last.begun, last.ended, last.is_first, last.is_last) == ((flow(1),), (), False, True)

        its.keeper.put(Look((TO_W11,)))
        await its.looked.get()
        assert len(its.wire.arrived) == 2, "they are known"

    play(scene)


def test_of_a_vip_that_came_back_while_conntrack_was_read_nothing_is_told() -> None:
    async def scene(its: Scene) -> None:
        its.kernel.pause = threading.Event()
        its.wire.takes["w11"].set()
        its.wire.takes["w12"].set()
        its.keeper.put(Look((TO_W11, TO_W12)))
        while not its.wire.arrived:
            await asyncio.sleep(0.001)
        its.keeper.put(OfferEnded(VIP))
        its.kernel.pause.set()

        assert await its.looked.get() == {OTHER: 1}
        assert [message.vip for _, message in its.wire.arrived] == [VIP, OTHER]

    play(scene)


def test_what_a_new_owner_was_told_before_conntrack_could_not_be_read_to_its_end_is_told_anew() -> None:
    async def scene(its: Scene) -> None:
        its.kernel.pause, its.kernel.fails = threading.Event(), True
        its.wire.takes["w11"].set()
        its.keeper.put(Look((TO_W11,)))
        while not its.wire.arrived:
            await asyncio.sleep(0.001)
        its.kernel.pause.set()
        assert await its.looked.get() == {}

        its.kernel.fails = False
        its.keeper.put(Look((TO_W11,)))
        assert await its.looked.get() == {VIP: MANY + 1}
        assert [message.is_first for _, message in its.wire.arrived][:2] == [True, True]

    play(scene)


def test_of_a_vip_without_flows_nothing_is_told() -> None:
    async def scene(its: Scene) -> None:
        its.kernel.is_busy = False
        its.keeper.put(Look((TO_W11, TO_W12)))

        assert await its.looked.get() == {VIP: 0, OTHER: 0}
        assert not its.wire.arrived

    play(scene)


def test_what_became_of_a_moves_flows_is_reported_also_when_their_counter_is_gone() -> None:
    async def scene(its: Scene) -> None:
        its.keeper.put(Account(VIP, Server("w11", OWN), "ended", 7, 12.34))

        assert await its.reports.get() == KeptFlows(VIP, "w11", "ended", 7, 12.3, 0)

    play(scene)


def test_however_much_a_peer_says_what_waits_for_the_kernel_has_bounds(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(its: Scene) -> None:
        quarter = Change(VIP, Server("w11", OWN), (flow(1),) * (WAITING_MOST // 4), (), True)
        for _ in range(4):
            its.keeper.put(quarter)
        refusals = [one.message for one in caplog.records]
        assert refusals == ["flows are not passed on: too many wait"]

        for _ in range(100):
            await its.keeper.applied()
        its.keeper.put(quarter)
        assert len(caplog.records) == 1, "there is room again"

    play(scene)
