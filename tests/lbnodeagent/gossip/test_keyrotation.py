"""How a change of the gossip's keys takes effect."""

from __future__ import annotations

import itertools
import random

import pytest

from lbnodeagent.gossip.keyrotation import NOBODY, PATIENCE, SETTLE, Others, Rotation, fingerprint, mark

OLD, NEW = b"0" * 32, b"1" * 16


def saying(*rings: tuple[bytes, ...]) -> Others:
    """Others with these keys, each as it says it; an empty one says nothing."""
    return Others([tuple(mark(key) for key in ring) for ring in rings])


def test_a_fingerprint_is_what_sha256sum_says() -> None:
    assert fingerprint(b"8sb7ikA5qHwQQqxc") == "d2fa9417"


def test_a_starting_agent_uses_what_it_finds() -> None:
    assert Rotation([NEW, OLD], 0.0).ring(0.0, NOBODY) == (NEW, OLD)


def test_a_new_key_opens_at_once_and_seals_when_all_say_that_they_open_it() -> None:
    rotation = Rotation([OLD], 0.0)
    rotation.seen([NEW, OLD], 100.0)

    assert rotation.ring(100.0, saying((OLD,), (OLD, NEW))) == (OLD, NEW)
    assert rotation.ring(101.0, saying((OLD, NEW), (OLD, NEW))) == (NEW, OLD)


def test_one_whose_api_server_is_away_is_waited_for_longer_than_any_delay() -> None:
    rotation = Rotation([OLD], 0.0)
    rotation.seen([NEW], 100.0)

    assert rotation.ring(100 + 5 * SETTLE, saying((OLD,))) == (OLD, NEW)


def test_but_not_for_ever_as_who_has_the_old_key_may_claim_to_be_such_a_one() -> None:
    rotation = Rotation([OLD], 0.0)
    rotation.seen([NEW], 100.0)

    assert rotation.ring(100 + PATIENCE, saying((OLD,))) == (NEW, OLD)
    assert rotation.ring(100 + 2 * PATIENCE - 1, saying((OLD,))) == (NEW, OLD)
    assert rotation.ring(100 + 2 * PATIENCE, saying((OLD,))) == (NEW,)


@pytest.mark.parametrize("others", [NOBODY, saying(()), saying((OLD, NEW), ())])
def test_where_not_all_say_what_they_open_a_new_key_waits_until_they_must_have_seen_it(others: Others) -> None:
    rotation = Rotation([OLD], 0.0)
    rotation.seen([NEW, OLD], 100.0)

    assert rotation.ring(99 + SETTLE, others) == (OLD, NEW)
    assert rotation.ring(100 + SETTLE, others) == (NEW, OLD)


def test_a_key_that_is_taken_out_opens_for_as_long_as_another_agent_seals_with_it() -> None:
    rotation = Rotation([NEW, OLD], 0.0)
    rotation.seen([NEW], 100.0)

    assert rotation.ring(101 + SETTLE, saying((OLD, NEW))) == (NEW, OLD)
    assert rotation.ring(102 + SETTLE, saying((NEW, OLD))) == (NEW,)


def test_a_key_that_is_taken_out_opens_for_a_while_in_any_case() -> None:
    rotation = Rotation([NEW, OLD], 0.0)
    rotation.seen([NEW], 100.0)

    assert rotation.ring(99 + SETTLE, saying((NEW,))) == (NEW, OLD)


def test_replacing_the_key_in_one_step_is_the_same_in_the_end() -> None:
    rotation = Rotation([OLD], 0.0)
    rotation.seen([NEW], 100.0)

    assert rotation.ring(100.0, saying((OLD,))) == (OLD, NEW)
    assert rotation.ring(110.0, saying((OLD, NEW))) == (NEW, OLD)
    assert not rotation.is_at_rest
    assert rotation.ring(110 + SETTLE, saying((NEW, OLD))) == (NEW,)
    assert rotation.is_at_rest


def test_a_change_that_is_taken_back_leaves_no_trace() -> None:
    rotation = Rotation([OLD], 0.0)
    rotation.seen([NEW], 100.0)
    assert rotation.ring(110.0, saying((OLD,))) == (OLD, NEW)
    rotation.seen([OLD], 120.0)

    assert rotation.ring(300.0, saying((OLD,))) == (OLD,)


def test_one_that_starts_during_a_rotation_seals_with_what_all_others_open() -> None:
    rotation = Rotation([NEW, OLD], 0.0)
    assert rotation.ring(0.0, NOBODY) == (NEW, OLD)

    assert rotation.ring(1.0, saying((OLD, NEW), (OLD,))) == (OLD, NEW)
    assert not rotation.is_at_rest
    assert rotation.ring(60.0, saying((OLD, NEW), (OLD,))) == (OLD, NEW)
    assert rotation.ring(61.0, saying((OLD, NEW), (OLD, NEW))) == (NEW, OLD)
    assert rotation.is_at_rest


def test_but_not_for_longer_than_others_wait() -> None:
    rotation = Rotation([NEW, OLD], 0.0)
    assert rotation.ring(1.0, saying((OLD,))) == (OLD, NEW)

    for now in (PATIENCE, PATIENCE + 1, 9 * PATIENCE):
        assert rotation.ring(now, saying((OLD,))) == (NEW, OLD)


def test_nor_with_a_key_that_another_one_does_not_open() -> None:
    rotation = Rotation([NEW, OLD], 0.0)

    assert rotation.ring(1.0, saying((b"2" * 16,), (OLD,))) == (NEW, OLD)
    assert rotation.ring(2.0, saying((), (OLD,))) == (NEW, OLD)


def test_one_that_comes_back_late_in_a_rotation_is_not_deaf_to_those_that_are_through_with_it() -> None:
    rotation = Rotation([OLD], 0.0)
    rotation.seen([NEW, OLD], 100.0)
    assert rotation.ring(101.0, saying((OLD, NEW))) == (NEW, OLD)

    assert rotation.ring(200.0, saying((NEW, OLD), (OLD,))) == (OLD, NEW)
    assert rotation.ring(300.0, saying((NEW, OLD), (NEW, OLD))) == (NEW, OLD)


@pytest.mark.parametrize("seed", range(30))
def test_no_agent_is_ever_deaf_to_another_that_has_heard_it_whoever_starts_again(seed: int) -> None:
    """As it's meant to be done: a new key is put in front of the old one, which stays until all have seen that.

    One that starts knows of the others only what it has heard since.
    """
    chance = random.Random(seed)
    keys: tuple[bytes, ...] = (OLD,)
    change_at = 20.0
    agents = [Rotation(keys, 0.0) for _ in range(3)]
    sees_at = [0.0] * 3
    said: list[dict[int, tuple[bytes, ...]]] = [{other: keys for other in range(3) if other != one} for one in range(3)]
    numbers = itertools.count()
    for tick in range(1600):
        now = tick / 2
        if now >= change_at:
            keys = (next(numbers).to_bytes(16), keys[0]) if len(keys) == 1 else keys[:1]
            change_at = now + chance.uniform(200, 400)  # longer than the API server is away from anybody
        for number in range(3):
            if now >= sees_at[number]:
                agents[number].seen(keys, now)
                sees_at[number] = now + (chance.uniform(0, 150) if chance.random() < 0.05 else chance.uniform(0, 5))
            if chance.random() < 0.005:
                agents[number], said[number] = Rotation(keys, now), {}
        rings = [agent.ring(now, saying(*heard.values())) for agent, heard in zip(agents, said, strict=True)]
        for one, other in itertools.permutations(range(3), 2):
            if len(said[one]) == 2 and said[one][other] == rings[other]:
                assert rings[one][0] in rings[other]
            if chance.random() < 0.3:
                said[one][other] = rings[other]


@pytest.mark.parametrize("seed", range(30))
def test_no_agent_is_ever_deaf_to_another(seed: int) -> None:
    """Three agents that see a Secret late, one of them for minutes not at all, and its key is replaced again and again.

    What they say of their keys is heard late, too.
    """
    chance = random.Random(seed)
    agents = [Rotation([OLD], 0.0) for _ in range(3)]
    sees_at, heard_at = [0.0] * 3, [0.0] * 3
    said: list[tuple[bytes, ...]] = [(OLD,)] * 3
    current, change_at = OLD, 20.0
    numbers = itertools.count()
    for tick in range(1200):
        now = tick / 2
        if now >= change_at:
            current, change_at = next(numbers).to_bytes(16), now + chance.uniform(1, 120)
        for number, agent in enumerate(agents):
            if now >= sees_at[number]:
                agent.seen([current], now)
                sees_at[number] = now + (chance.uniform(0, 300) if chance.random() < 0.05 else chance.uniform(0, 5))
        rings = [
            agent.ring(now, saying(*(ring for other, ring in enumerate(said) if other != number)))
            for number, agent in enumerate(agents)
        ]
        for one, other in itertools.permutations(rings, 2):
            assert one[0] in other
        for number, ring in enumerate(rings):
            if now >= heard_at[number]:
                said[number], heard_at[number] = ring, now + chance.uniform(0, 3)


def test_agents_that_all_see_a_change_agree_at_once() -> None:
    agents = [Rotation([OLD], 0.0) for _ in range(3)]
    for agent in agents:
        agent.seen([NEW], 100.0)
    rings = [agent.ring(100.0, saying((OLD,), (OLD,))) for agent in agents]

    rings = [agent.ring(101.0, saying(*(ring for ring in rings[1:]))) for agent in agents]
    assert rings == [(NEW, OLD)] * 3
