"""How long a routed VIP stays on a node whose endpoints have moved away."""

from __future__ import annotations

from lbnodeagent.dataplane.linger import LINGER, Linger
from tests.lbnodeagent.scenes import NOW, ROUTED


def test_it_stays_for_a_moment_from_when_it_was_first_seen_to_go() -> None:
    linger = Linger()

    linger.look(ROUTED, NOW, is_going=True)
    linger.look(ROUTED, NOW + LINGER / 2, is_going=True)

    assert linger.lingers(ROUTED, NOW + LINGER * 0.9)
    assert not linger.lingers(ROUTED, NOW + LINGER)


def test_its_end_is_told_once() -> None:
    linger = Linger()
    linger.look(ROUTED, NOW, is_going=True)

    assert linger.deadline == NOW + LINGER
    assert linger.due(NOW) == set()
    assert linger.due(NOW + LINGER) == {ROUTED}
    assert linger.due(NOW + LINGER) == set()
    assert linger.deadline is None


def test_an_endpoint_that_comes_back_ends_it() -> None:
    linger = Linger()
    linger.look(ROUTED, NOW, is_going=True)

    linger.look(ROUTED, NOW + 0.1, is_going=False)

    assert linger.deadline is None
    assert not linger.lingers(ROUTED, NOW + 0.2)


def test_nothing_lingers_that_never_had_to_go() -> None:
    assert not Linger().lingers(ROUTED, NOW)
