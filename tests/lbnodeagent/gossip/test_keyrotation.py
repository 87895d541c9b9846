"""How a change of the gossip's keys takes effect."""

from __future__ import annotations

import itertools
import random

import pytest

from lbnodeagent.gossip.keyrotation import Rotation

OLD, NEW = b"0" * 32, b"1" * 16
SETTLE = 45.0


def test_a_starting_agent_uses_what_it_finds() -> None:
    assert Rotation([NEW, OLD], 0.0, SETTLE).ring(0.0) == (NEW, OLD)


def test_a_new_key_opens_at_once_and_seals_when_all_have_it() -> None:
    rotation = Rotation([OLD], 0.0, SETTLE)
    rotation.seen([NEW, OLD], 100.0)

    assert rotation.ring(100.0) == (OLD, NEW)
    assert rotation.ring(144.0) == (OLD, NEW)
    assert rotation.ring(145.0) == (NEW, OLD)


def test_a_key_that_is_taken_out_opens_for_as_long_as_another_agent_may_seal_with_it() -> None:
    rotation = Rotation([NEW, OLD], 0.0, SETTLE)
    rotation.seen([NEW], 100.0)

    assert rotation.ring(144.0) == (NEW, OLD)
    assert rotation.ring(146.0) == (NEW,)


def test_replacing_the_key_in_one_step_is_the_same_in_the_end() -> None:
    rotation = Rotation([OLD], 0.0, SETTLE)
    rotation.seen([NEW], 100.0)

    assert rotation.ring(100.0) == (OLD, NEW)
    assert rotation.ring(145.0) == (NEW, OLD)
    assert rotation.ring(189.0) == (NEW, OLD)
    assert rotation.ring(190.0) == (NEW,)


def test_a_change_that_is_taken_back_leaves_no_trace() -> None:
    rotation = Rotation([OLD], 0.0, SETTLE)
    rotation.seen([NEW], 100.0)
    rotation.seen([OLD], 120.0)

    assert rotation.ring(300.0) == (OLD,)


@pytest.mark.parametrize("seed", range(20))
def test_no_agent_is_ever_deaf_to_another(seed: int) -> None:
    """Three agents that look at different times, and a Secret whose key is replaced again and again."""
    chance = random.Random(seed)
    agents = [Rotation([OLD], 0.0, SETTLE) for _ in range(3)]
    looks = [chance.uniform(0, 12) for _ in agents]
    current, change_at = OLD, 20.0
    numbers = itertools.count()
    for tick in range(1200):
        now = tick / 2
        if now >= change_at:
            current, change_at = next(numbers).to_bytes(16), now + chance.uniform(1, 120)
        for number, agent in enumerate(agents):
            if now >= looks[number]:
                agent.seen([current], now)
                looks[number] = now + chance.uniform(8, 12)
        rings = [agent.ring(now) for agent in agents]
        for one, other in itertools.permutations(rings, 2):
            assert one[0] in other
