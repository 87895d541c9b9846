"""VIPs for which the wire is asked before a node that may be cut off takes them, or goes on to have them."""

from __future__ import annotations

from itertools import count

import pytest

from lbnodeagent.election.doubts import (
    AGAIN_MOST,
    CATCH_UP,
    DETECTING,
    OVER,
    OWN_MOST,
    PATIENCE,
    RETRY,
    Doubts,
)
from lbnodeagent.election.inquiries import AGAIN, PAUSE, QUESTIONS
from lbnodeagent.wire.neighbours import BURST
from purelb.addresses import IPAddress
from tests.lbnodeagent.scenes import VIP, VIP6


def played(doubts: Doubts, until: float, *, answers: frozenset[IPAddress] = frozenset()) -> tuple[int, set[IPAddress]]:
    """How many questions are asked up to then, and which VIPs nobody has; ``answers``: for which somebody answers."""
    asked, silent = 0, set[IPAddress]()
    while (now := doubts.deadline) is not None and now <= until:
        due = doubts.due(now)
        asked += len(due.questions)
        for vip in answers & set(due.questions):
            doubts.heard(vip, "w12", now + 0.001)
        for vip, _ in due.silent:
            doubts.settle(vip)
            silent.add(vip)
    return asked, silent


def test_while_it_is_asked_the_vip_may_be_another_node_s() -> None:
    doubts = Doubts()
    doubts.doubt((VIP,), "w12", 0.0)

    assert doubts.to(VIP) == "w12"
    assert doubts.is_open(VIP)


def test_what_nobody_answers_for_is_silent_after_three_questions() -> None:
    doubts = Doubts()
    doubts.doubt((VIP, VIP6), "w12", 0.0)

    assert played(doubts, QUESTIONS * PAUSE) == (2 * QUESTIONS, {VIP, VIP6})
    assert doubts.to(VIP) is None


def test_what_somebody_answers_for_is_left_to_that_one() -> None:
    doubts = Doubts()
    doubts.doubt((VIP,), "w12", 0.0)
    doubts.due(0.0)

    assert doubts.heard(VIP, "w13", 0.001)
    assert doubts.to(VIP) == "w13"
    assert not doubts.is_open(VIP)
    assert not doubts.heard(VIP, "w13", 0.002), "nothing new"
    assert doubts.heard(VIP, "w12", 0.003)


def test_a_new_ipv6_address_is_not_asked_for_while_another_node_may_look_for_duplicates() -> None:
    doubts = Doubts()
    doubts.doubt((VIP, VIP6), "w12", 0.0, are_new=True)

    assert doubts.due(0.0).questions == (VIP,)
    assert doubts.due(DETECTING).questions == (VIP, VIP6)


def test_it_is_asked_for_again_ever_more_seldom() -> None:
    doubts = Doubts()
    doubts.doubt((VIP,), "w12", 0.0)

    asked, silent = played(doubts, 60.0, answers=frozenset({VIP}))

    assert not silent
    assert 60 < asked < 65


def test_a_vip_that_falls_silent_later_is_taken_within_about_a_second() -> None:
    doubts = Doubts()
    doubts.doubt((VIP,), "w12", 0.0)
    played(doubts, 60.0, answers=frozenset({VIP}))

    assert played(doubts, 60.0 + AGAIN_MOST + QUESTIONS * PAUSE) == (QUESTIONS, {VIP})


def test_where_the_wire_itself_says_nothing_it_is_asked_again_later() -> None:
    doubts = Doubts()
    doubts.doubt((VIP,), "w12", 0.0)
    for now in (0.0, PAUSE, 2 * PAUSE):
        doubts.due(now)
    ((vip, since),) = doubts.due(3 * PAUSE).silent
    assert (vip, since) == (VIP, 0.0)

    doubts.hold(VIP, 3 * PAUSE)

    assert doubts.to(VIP) == "w12"
    assert doubts.deadline == 3 * PAUSE + RETRY


def test_with_many_vips_each_is_asked_for_more_seldom() -> None:
    vips = frozenset(VIP + number for number in range(1000))
    doubts = Doubts()
    doubts.doubt(vips, "w12", 0.0)

    asked, _ = played(doubts, 20.0, answers=vips)

    assert asked / 20 < 260


def test_no_more_are_asked_for_at_once_than_answers_fit_into_a_socket_s_buffer() -> None:
    vips = frozenset(VIP + number for number in range(1000))
    doubts = Doubts()
    doubts.doubt(vips, "w12", 0.0)

    asked: dict[float, int] = {}
    silent = set[IPAddress]()
    while (now := doubts.deadline) is not None:
        due = doubts.due(now)
        asked[now] = len(due.questions)
        for vip, _ in due.silent:
            doubts.settle(vip)
            silent.add(vip)

    assert silent == vips
    assert sum(asked.values()) == 3 * len(vips)
    assert all(sum(asked[at] for at in asked if now <= at < now + 0.009) <= BURST for now in asked)
    assert max(asked) < 0.7


def test_an_own_vip_is_left_to_a_node_that_has_it_at_the_second_answer() -> None:
    doubts = Doubts()

    assert not doubts.claimed_own(VIP, "w12", 0.0, is_first=False)
    assert doubts.to(VIP) is None
    assert doubts.due(AGAIN).questions == (VIP,)

    assert doubts.claimed_own(VIP, "w12", AGAIN + 0.001, is_first=False)
    assert doubts.to(VIP) == "w12"
    assert not doubts.is_open(VIP)


def test_who_claims_one_own_vip_has_no_others_asked_for() -> None:
    doubts = Doubts()
    doubts.begin(0.0)
    doubts.due(0.0)

    asked = []
    for number in range(30):
        now = 0.03 * number
        if number % 10 == 0:
            doubts.claimed_own(VIP, "w12", now, is_first=True)
        asked.append(doubts.due(now))

    assert not any(due.own for due in asked)
    assert sum(len(due.questions) for due in asked) == 3


def test_of_two_that_both_have_it_the_first_by_the_hash_rule_waits_for_the_other() -> None:
    left: dict[bool, float] = {}
    for is_first in (True, False):
        doubts, now = Doubts(), 0.0
        while not doubts.claimed_own(VIP, "w12", now, is_first=is_first):
            assert doubts.deadline is not None
            now = doubts.deadline
            assert doubts.due(now).questions == (VIP,)
        left[is_first] = now

    assert left[False] == pytest.approx(AGAIN)
    assert left[True] == pytest.approx(PATIENCE)


def test_own_vips_are_asked_for_at_once_and_then_ever_more_seldom() -> None:
    doubts = Doubts()
    doubts.begin(0.0)
    times = []
    for _ in count():
        deadline = doubts.deadline
        if deadline is None:
            break
        if doubts.due(deadline).own:
            times.append(deadline)

    assert times == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 31.0 + OWN_MOST]


def test_when_peers_are_heard_again_nothing_is_in_doubt() -> None:
    doubts = Doubts()
    doubts.begin(0.0)
    doubts.doubt((VIP,), "w12", 0.0)

    assert doubts.over(5.0) == {VIP}
    assert doubts.to(VIP) is None

    assert doubts.deadline == 5.0 + OVER
    assert doubts.due(5.0 + OVER).own, "whoever has one too is told of"
    assert doubts.deadline is None


def test_what_is_another_node_s_by_the_election_is_not_in_doubt() -> None:
    doubts = Doubts()
    doubts.doubt((VIP,), "w12", 0.0)

    doubts.end(VIP)

    assert doubts.to(VIP) is None
    assert not doubts.heard(VIP, "w12", 1.0)


def test_who_stood_still_asks_for_all_that_it_had_and_doubts_what_it_hears_for_a_while() -> None:
    doubts = Doubts()
    doubts.catch_up((VIP, VIP6), "w12", 0.0)

    assert doubts.is_open(VIP)
    assert played(doubts, QUESTIONS * PAUSE, answers=frozenset({VIP6}))[1] == {VIP}

    assert not doubts.has_caught_up(CATCH_UP - 0.1)
    assert doubts.is_catching_up
    assert doubts.has_caught_up(CATCH_UP)
    assert not doubts.is_catching_up


def test_a_vip_is_taken_back_from_the_node_that_has_it_when_that_asks_who_is_to_have_it() -> None:
    doubts = Doubts()
    doubts.catch_up((VIP,), "w12", 0.0)

    assert not doubts.give_back(VIP, "w12"), "nobody was heard to have it"
    doubts.heard(VIP, "w12", 0.0)
    assert not doubts.give_back(VIP, "w1"), "that one hasn't"

    assert doubts.give_back(VIP, "w12")
    assert doubts.to(VIP) is None
