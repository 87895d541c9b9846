"""An agent that the API lists and the gossip doesn't know is told of, in time and not too early."""

from __future__ import annotations

from lbnodeagent.kubernetes.unheard import LOST, NEVER_HEARD, STEADY, UnheardAgents

ALONE = frozenset({"m"})


def listed(*nodes: str) -> UnheardAgents:
    """What ``m`` knows, when it has begun at time 0 and hears nobody."""
    unheard = UnheardAgents()
    unheard.members(ALONE, 0.0)
    unheard.agents(frozenset(nodes), 0.0)
    return unheard


def test_agents_that_never_were_heard_are_told_of_soon() -> None:
    unheard = listed("w12", "w11")

    assert unheard.look(NEVER_HEARD - 0.1) == ()
    assert unheard.look(NEVER_HEARD) == ("w11", "w12")


def test_one_that_is_heard_in_time_is_not_told_of() -> None:
    unheard = listed("w11")
    unheard.members(ALONE | {"w11"}, NEVER_HEARD - 1.0)

    assert unheard.look(NEVER_HEARD) == ()
    assert unheard.look(1000.0) == ()


def test_one_that_failed_is_told_of_when_its_pod_should_have_been_called_dead() -> None:
    unheard = listed("w11")
    unheard.members(ALONE | {"w11"}, 1.0)
    unheard.members(ALONE, 100.0)

    assert unheard.look(100.0 + LOST - 0.1) == ()
    assert unheard.look(100.0 + LOST) == ("w11",)


def test_a_dead_node_is_not_told_of() -> None:
    unheard = listed("w11")
    unheard.members(ALONE | {"w11"}, 1.0)
    unheard.members(ALONE, 100.0)
    unheard.agents(frozenset(), 150.0)

    assert unheard.look(1000.0) == ()


def test_a_dead_node_is_not_told_of_while_the_api_server_is_away() -> None:
    unheard = listed("w11")
    unheard.members(ALONE | {"w11"}, 1.0)
    unheard.members(ALONE, 100.0)

    assert unheard.look(1000.0, is_current=False) == ()


def test_who_comes_and_goes_is_told_of_until_it_stays() -> None:
    unheard, now = listed("w11"), 0.0
    told = []
    while now < 120.0:
        unheard.members(ALONE | {"w11"}, now)
        unheard.members(ALONE, now + 1.0)
        told.append(unheard.look(now + 1.5))
        now += 3.0
    unheard.members(ALONE | {"w11"}, now)

    assert told[-1] == ("w11",)
    assert all(told[turn] for turn in range(6, 40))
    assert unheard.look(now + STEADY - 0.1) == ("w11",)
    assert unheard.look(now + STEADY) == ()


def test_while_this_node_takes_no_part_it_says_nothing_of_others() -> None:
    unheard = listed("w11")
    unheard.members(frozenset(), 1.0)
    assert unheard.look(1000.0) == ()

    unheard.members(ALONE, 1000.0)
    assert unheard.look(1000.0 + NEVER_HEARD - 0.1) == ()
    assert unheard.look(1000.0 + NEVER_HEARD) == ("w11",)
