"""When a node counts as cut off: nobody answers its probes any more."""

from __future__ import annotations

import math

import pytest

from lbnodeagent.gossip.hearing import LEAST, PROBES, Hearing

INTERVAL = 0.08


@pytest.fixture
def answers() -> Hearing:
    """It has had peers since 10 s, and their answers."""
    answers = Hearing(INTERVAL)
    assert not answers.look(10.0, -math.inf, has_peers=True)
    return answers


def test_while_somebody_answers_it_is_not(answers: Hearing) -> None:
    assert not answers.look(20.0, 19.9, has_peers=True)
    assert not answers.is_cut_off


def test_it_is_when_nobody_has_answered_for_some_turns_of_probing(answers: Hearing) -> None:
    answers.look(11.0, 11.0, has_peers=True)

    assert not answers.look(10.99 + LEAST, 11.0, has_peers=True)
    assert answers.look(11.01 + LEAST, 11.0, has_peers=True)
    assert answers.is_cut_off


def test_a_slow_profile_waits_longer() -> None:
    answers = Hearing(1.0)
    answers.look(0.0, 0.0, has_peers=True)

    assert not answers.look(float(PROBES), 0.0, has_peers=True)
    assert answers.look(PROBES + 0.1, 0.0, has_peers=True)


def test_the_first_answer_ends_it(answers: Hearing) -> None:
    answers.look(12.0, 11.0, has_peers=True)

    assert answers.look(12.1, 12.05, has_peers=True)
    assert not answers.is_cut_off


def test_the_first_peers_get_their_time_to_answer() -> None:
    answers = Hearing(INTERVAL)

    assert not answers.look(50.0, -math.inf, has_peers=False)
    assert not answers.look(60.0, -math.inf, has_peers=True)
    assert not answers.look(59.99 + LEAST, -math.inf, has_peers=True)
    assert answers.look(60.1 + LEAST, -math.inf, has_peers=True)


def test_peers_that_come_back_without_an_answer_end_nothing(answers: Hearing) -> None:
    answers.look(12.0, 11.0, has_peers=True)
    answers.look(13.0, 11.0, has_peers=False)

    assert not answers.look(14.0, 11.0, has_peers=True)
    assert answers.is_cut_off


def test_when_a_peer_has_just_died_the_others_have_answered_since_or_it_is_cut_off(answers: Hearing) -> None:
    answers.look(11.0, 11.0, has_peers=True)

    assert not answers.look(11.13, 11.0, has_peers=True, is_death=True)
    assert answers.look(11.15, 11.0, has_peers=True, is_death=True)
    assert not answers.look(11.2, 11.0, has_peers=True)
    assert answers.is_cut_off, "until somebody answers"
    assert answers.look(11.4, 11.35, has_peers=True)
