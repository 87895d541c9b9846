"""Agents that gossip on loopback: what a change of keys does to them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

import pytest

from lbnodeagent.gossip.meta import Meta
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


def knows(one: Peers, other: Peers) -> bool:
    """Whether ``one`` has heard what ``other`` says of itself now."""
    return one.roster.others.get(other.roster.node) == other.roster.own


def say(peers: Peers, meta: Meta) -> None:
    """What the data plane does when something of its node changes."""
    peers.roster.set_own(meta)
    peers.set_meta(meta)


async def converse(one: Peers, other: Peers, turn: int) -> None:
    """Each tells something new, and hears the other."""
    for peers in (one, other):
        say(peers, Meta(is_ready=bool(turn % 2), is_excluded=bool(turn // 2 % 2)))
    await until(lambda: knows(one, other) and knows(other, one))


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
        port = free_port()
        one, other = (Peers(name, host, port, Config.fast()) for name, host in zip("ab", HOSTS, strict=True))
        one.set_addresses(frozenset({HOSTS[1]}))
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(peers.run()) for peers in (one, other)]
            one.set_keys(steps[0][0])
            other.set_keys(steps[0][1])
            await until(lambda: "b" in one.roster.others and "a" in other.roster.others)
            for turn, (first, second) in enumerate(steps, 1):
                one.set_keys(first)
                other.set_keys(second)
                await converse(one, other, turn)
            for task in running:
                task.cancel()

    asyncio.run(scene())


@pytest.mark.timeout(90)
def test_an_agent_with_another_key_is_not_heard() -> None:
    async def scene() -> bool:
        port = free_port()
        one, other = (Peers(name, host, port, Config.fast()) for name, host in zip("ab", HOSTS, strict=True))
        one.set_addresses(frozenset({HOSTS[1]}))
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(peers.run()) for peers in (one, other)]
            one.set_keys((NEW,))
            other.set_keys((OLD,))
            await asyncio.sleep(1)
            is_deaf = not one.roster.others and not other.roster.others
            other.set_keys((OLD, NEW))
            one.set_keys((NEW, OLD))
            await until(lambda: bool(one.roster.others) and bool(other.roster.others))
            for task in running:
                task.cancel()
        return is_deaf

    assert asyncio.run(scene())
