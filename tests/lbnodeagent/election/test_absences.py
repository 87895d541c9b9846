"""VIPs that are left to a node whose agent comes back."""

from __future__ import annotations

from lbnodeagent.election.absences import Absences
from lbnodeagent.election.inquiries import AGAIN, PAUSE, QUESTIONS
from tests.lbnodeagent.scenes import VIP, VIP6

BACK = 20.0


def away() -> Absences:
    """w12 had VIP and VIP6, which would be this node's now."""
    absences = Absences()
    absences.away({"w12": BACK})
    absences.left("w12", (VIP, VIP6))
    for vip in (VIP, VIP6):
        absences.won(vip, 0.0)
    return absences


def test_what_a_node_had_is_left_to_it_and_asked_for_at_once() -> None:
    absences = away()

    assert absences.to(VIP) == "w12"
    assert absences.is_open(VIP)
    assert absences.due(0.0).questions == (VIP, VIP6)


def test_as_long_as_it_answers_it_is_asked_ten_times_a_second() -> None:
    absences = away()
    asked = 0
    while (now := absences.deadline) is not None and now < 10.0:
        ended = absences.due(now)
        asked += len(ended.questions)
        assert not ended.silent
        for vip in ended.questions:
            absences.heard(vip, "w12", now + 0.001)

    assert 2 * 90 < asked <= 2 * 101
    assert not absences.is_open(VIP)


def test_another_node_s_answer_is_none() -> None:
    absences = away()
    absences.due(0.0)
    absences.heard(VIP, "w13", 0.001)

    assert absences.is_open(VIP)


def test_one_that_falls_silent_has_all_others_asked_for_at_once() -> None:
    absences = away()
    for vip in absences.due(0.0).questions:
        absences.heard(vip, "w12", 0.001)
    for number in range(QUESTIONS):
        now = 0.001 + AGAIN + number * PAUSE
        if VIP6 in absences.due(now).questions:
            absences.heard(VIP6, "w12", now)
    ended = absences.due(0.001 + AGAIN + QUESTIONS * PAUSE)

    assert ended.silent == {VIP}
    assert absences.to(VIP) is None
    assert absences.to(VIP6) == "w12"
    assert VIP6 in absences.due(0.001 + AGAIN + QUESTIONS * PAUSE).questions


def test_one_that_is_not_back_in_time_has_them_no_longer() -> None:
    absences = away()

    ended = absences.due(BACK)

    assert ended.late == {VIP, VIP6}
    assert absences.to(VIP) is None
    assert absences.deadline is None


def test_one_that_is_back_or_gone_for_good_leaves_nothing_to_ask_for() -> None:
    absences = away()

    assert absences.away({}) == {VIP, VIP6}
    assert absences.to(VIP) is None
    assert absences.deadline is None


def test_what_its_heir_leaves_to_the_next_one_is_left_on() -> None:
    absences = away()
    absences.lost(VIP)
    assert absences.to(VIP) is None
    assert absences.keeper(VIP) == "w12"

    absences.won(VIP, 5.0)
    assert absences.to(VIP) == "w12"


def test_one_that_nobody_wants_any_more_is_forgotten() -> None:
    absences = away()
    absences.end(VIP)

    assert absences.keeper(VIP) is None
    absences.won(VIP, 1.0)
    assert absences.to(VIP) is None


def test_of_one_that_said_nothing_of_coming_back_nothing_is_kept() -> None:
    absences = Absences()
    absences.left("w12", (VIP,))
    absences.won(VIP, 0.0)

    assert absences.to(VIP) is None
