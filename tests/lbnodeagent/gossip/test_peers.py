"""Agents that gossip on loopback: what a change of keys does to them."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from lbnodeagent.gossip.events import Deaf, KeyRetired, PeerAlive, PeerGone
from lbnodeagent.gossip.meta import Meta, decode_meta
from lbnodeagent.gossip.peers import Peers
from memberlist import Config

OLD, NEW = b"0" * 32, b"1" * 32
HOSTS = ("127.0.77.1", "127.0.77.2")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOSTS[0], 0))
        port: int = probe.getsockname()[1]
        return port


async def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


class Agent:
    """The data plane's side of the gossip: follows what it says."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.round_trips: list[float] = []
        self.peers = Peers(name, host, port, Config.fast(), self.round_trips.append)
        self.is_deaf = False
        self.retired = 0
        self.heard: dict[str, Meta] = {}
        """What each peer says of itself, but its life and keys."""

    async def follow(self) -> None:
        async for event in self.peers.events():
            match event:
                case PeerAlive(node, meta, _):
                    said = decode_meta(meta)
                    assert said is not None
                    self.heard[node] = replace(said, life=None, keys=())
                case Deaf(is_deaf):
                    self.is_deaf = is_deaf
                case PeerGone(node):
                    self.heard.pop(node, None)
                case KeyRetired():
                    self.retired += 1
                case _:
                    pass


@asynccontextmanager
async def two_agents() -> AsyncIterator[tuple[Agent, Agent]]:
    """Both run, and the first knows where the second is."""
    port = free_port()
    one, other = (Agent(name, host, port) for name, host in zip("ab", HOSTS, strict=True))
    one.peers.set_addresses(frozenset({HOSTS[1]}))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(work) for agent in (one, other) for work in (agent.peers.run(), agent.follow())]
        yield one, other
        for task in running:
            task.cancel()


async def converse(one: Agent, other: Agent, turn: int) -> None:
    """Each tells something new, and hears the other."""
    meta = Meta(is_ready=bool(turn % 2), is_excluded=bool(turn // 2 % 2))
    for agent in (one, other):
        agent.peers.set_meta(meta)
    await until(lambda: one.heard.get("b") == other.heard.get("a") == meta)


def test_what_is_due_soon_is_done_when_the_gossip_wakes_the_process_anyway() -> None:
    async def scene() -> None:
        now = asyncio.get_running_loop().time()
        async with two_agents() as (one, other):
            assert one.peers.wake_within(now, 0.1) == now + 0.1
            for agent in (one, other):
                agent.peers.set_keys((OLD,))
            await until(lambda: "b" in one.heard)
            now = asyncio.get_running_loop().time()
            turn = one.peers.wake_within(now, 1.0)
            assert now + 1.0 - Config.fast().probe_interval < turn <= now + 1.0
            assert one.peers.wake_within(turn - 0.01, 0.02) == pytest.approx(turn)
            assert one.peers.wake_within(turn + 0.01, 0.02) == turn + 0.03

    asyncio.run(scene())


@pytest.mark.timeout(90)
def test_two_agents_hear_each_other_at_every_step_of_a_rotation() -> None:
    steps: Sequence[tuple[tuple[bytes, ...], tuple[bytes, ...]]] = (
        ((OLD,), (OLD,)),
        ((OLD, NEW), (OLD,)),
        ((OLD, NEW), (OLD, NEW)),
        ((NEW, OLD), (OLD, NEW)),
        ((NEW, OLD), (NEW, OLD)),
        ((NEW,), (NEW, OLD)),
        ((NEW,), (NEW,)),
    )

    async def scene() -> None:
        async with two_agents() as (one, other):
            one.peers.set_keys(steps[0][0])
            other.peers.set_keys(steps[0][1])
            await until(lambda: "b" in one.heard and "a" in other.heard)
            for turn, (first, second) in enumerate(steps, 1):
                one.peers.set_keys(first)
                other.peers.set_keys(second)
                await converse(one, other, turn)

    asyncio.run(scene())


@pytest.mark.timeout(90)
def test_what_the_gossip_counts_goes_on_when_it_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbnodeagent.gossip.peers.REBIND", 0.01)

    async def scene() -> None:
        async with two_agents() as (one, other):
            for agent in (one, other):
                agent.peers.set_keys((OLD,))
            await until(lambda: bool(one.round_trips) and one.peers.counters["packets received"] > 0)
            assert all(0 < seconds < 20 for seconds in one.round_trips)

        before = Counter(one.peers.counters)
        assert before["bytes received"] > before["packets received"]
        assert before["bytes sent"] > before["packets sent"] > 0
        assert before["stream bytes sent"] > 0
        async with asyncio.TaskGroup() as tasks:
            again = tasks.create_task(one.peers.run())
            await until(lambda: one.peers.is_running)
            assert before <= Counter(one.peers.counters)
            again.cancel()

    asyncio.run(scene())


@pytest.mark.timeout(90)
def test_an_agent_with_another_key_is_not_heard() -> None:
    async def scene() -> bool:
        async with two_agents() as (one, other):
            one.peers.set_keys((NEW,))
            other.peers.set_keys((OLD,))
            await asyncio.sleep(1)
            is_deaf = not one.heard and not other.heard and one.is_deaf
            assert one.peers.trouble == (
                f"the agents at {HOSTS[1]} have another gossip key than this one, which can't hear them"
            )
            other.peers.set_keys((OLD, NEW))
            one.peers.set_keys((NEW, OLD))
            await until(lambda: bool(one.heard) and bool(other.heard) and not one.is_deaf)
            assert one.peers.trouble is None
        return is_deaf

    assert asyncio.run(scene())


@pytest.mark.timeout(90)
def test_a_new_key_seals_as_soon_as_all_open_it_and_not_before() -> None:
    async def scene() -> None:
        async with two_agents() as (one, other):
            for agent in (one, other):
                agent.peers.set_keys((OLD,))
            await until(lambda: "b" in one.heard and "a" in other.heard)

            one.peers.set_keys((NEW,))
            await converse(one, other, 1)
            assert one.peers.ring == (OLD, NEW)

            other.peers.set_keys((NEW,))
            await until(lambda: one.peers.ring == other.peers.ring == (NEW, OLD), seconds=10)
            await converse(one, other, 2)

    asyncio.run(scene())


@pytest.mark.timeout(90)
def test_an_agent_that_starts_with_a_new_key_waits_for_those_that_still_seal_with_the_old_one() -> None:
    """The Secret was lost with its key: who starts knows the new one only, and the others are about to learn it."""

    async def scene() -> list[str]:
        seen: list[str] = []
        async with two_agents() as (late, running):
            running.peers.set_keys((OLD,))
            late.peers.set_keys((NEW,))
            await until(lambda: late.is_deaf)
            seen.append("deaf")

            running.peers.set_keys((NEW,))
            await until(lambda: "b" in late.heard and "a" in running.heard, seconds=10)
            assert running.peers.ring[0] == NEW
            await until(lambda: not late.is_deaf)
            seen.append("heard")
        return seen

    assert asyncio.run(scene()) == ["deaf", "heard"]


@pytest.mark.timeout(90)
def test_an_agent_that_starts_during_a_rotation_is_heard_by_one_that_has_not_seen_it() -> None:
    async def scene() -> None:
        async with two_agents() as (behind, starting):
            behind.peers.set_keys((OLD,))
            starting.peers.set_keys((NEW, OLD))
            await until(lambda: "b" in behind.heard and "a" in starting.heard)
            assert starting.peers.ring == (OLD, NEW)
            await converse(behind, starting, 1)

            behind.peers.set_keys((NEW, OLD))
            await until(lambda: behind.peers.ring == starting.peers.ring == (NEW, OLD), seconds=10)

    asyncio.run(scene())


@pytest.mark.timeout(90)
def test_a_key_that_opens_no_longer_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbnodeagent.gossip.keyrotation.SETTLE", 0.1)
    monkeypatch.setattr("lbnodeagent.gossip.peers.TURN", 0.1)

    async def scene() -> None:
        async with two_agents() as (one, other):
            for agent in (one, other):
                agent.peers.set_keys((OLD,))
            await until(lambda: "b" in one.heard and "a" in other.heard)
            for agent in (one, other):
                agent.peers.set_keys((NEW,))
            await until(lambda: one.peers.ring == other.peers.ring == (NEW,), seconds=10)
            await until(lambda: one.retired == other.retired == 1)

    asyncio.run(scene())
