"""How long a routed VIP stays on a node whose endpoints have moved away."""

from __future__ import annotations

from lbnodeagent.dataplane.linger import LINGER, Farewell
from tests.lbnodeagent.scenes import NOW, ROUTED


def test_it_stays_for_a_moment_from_when_it_was_first_seen_to_go() -> None:
    farewell = Farewell()

    farewell.look(ROUTED, NOW, is_going=True)
    farewell.look(ROUTED, NOW + LINGER / 2, is_going=True)

    assert farewell.lingers(ROUTED, NOW + LINGER * 0.9)
    assert not farewell.lingers(ROUTED, NOW + LINGER)


def test_its_end_is_told_once() -> None:
    farewell = Farewell()
    farewell.look(ROUTED, NOW, is_going=True)

    assert farewell.deadline == NOW + LINGER
    assert farewell.due(NOW) == set()
    assert farewell.due(NOW + LINGER) == {ROUTED}
    assert farewell.due(NOW + LINGER) == set()
    assert farewell.deadline is None


def test_an_endpoint_that_comes_back_ends_it() -> None:
    farewell = Farewell()
    farewell.look(ROUTED, NOW, is_going=True)

    farewell.look(ROUTED, NOW + 0.1, is_going=False)

    assert farewell.deadline is None
    assert not farewell.lingers(ROUTED, NOW + 0.2)


def test_nothing_lingers_that_never_had_to_go() -> None:
    assert not Farewell().lingers(ROUTED, NOW)
