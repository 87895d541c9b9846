"""Make before break, as a dialogue with time as an argument."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.election.handover import ASK, ASK_LATE, PATIENCE, PATIENCE_LEAVING, PATIENCE_WITH_PURELB, Handover

VIP = ip_address("10.31.188.64")
OTHER = ip_address("10.31.188.65")


def test_the_loser_keeps_the_vip_asks_and_lets_go_when_the_winner_has_it() -> None:
    handover = Handover()

    handover.lose(VIP, "w12", 0.0, understands=True)
    questions, expired = handover.due(0.0)

    assert (questions, expired) == ({"w12": (VIP,)}, set())
    assert handover.held == {VIP}
    assert handover.confirm("w12", [VIP, OTHER]) == {VIP}
    assert handover.held == frozenset()


def test_it_asks_again_until_it_is_answered() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 0.0, understands=True)

    asked = [handover.due(now)[0] for now in (0.0, ASK / 2, ASK, 2 * ASK)]

    assert asked == [{"w12": (VIP,)}, {}, {"w12": (VIP,)}, {"w12": (VIP,)}]


def test_only_the_winners_word_counts() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 0.0, understands=True)

    assert handover.confirm("m1", [VIP]) == set()
    assert handover.held == {VIP}


def test_it_is_kept_for_a_silent_winner_which_is_asked_less_often_in_the_end() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 0.0, understands=True)

    assert handover.due(100 * PATIENCE) == ({"w12": (VIP,)}, set())
    assert handover.deadline == 100 * PATIENCE + ASK_LATE


def test_a_winner_that_the_neighbours_hear_to_have_it_is_not_waited_for_without_end() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 0.0, understands=True)
    handover.claimed(VIP, "m1", 1.0)
    handover.claimed(OTHER, "w12", 1.0)
    assert handover.due(PATIENCE)[1] == set()

    handover.lose(OTHER, "w12", 0.0, understands=True)
    handover.claimed(OTHER, "w12", 1.0)
    assert handover.due(PATIENCE - 0.01)[1] == set()
    assert handover.due(PATIENCE)[1] == {OTHER}

    handover.claimed(VIP, "w12", 20.0)
    assert handover.due(20.0)[1] == {VIP}


def test_a_winner_that_cannot_answer_is_given_less_time() -> None:
    handover = Handover()
    handover.lose(VIP, "purelb", 0.0, understands=False)

    assert handover.due(PATIENCE_WITH_PURELB)[1] == {VIP}


def test_who_shuts_down_waits_no_longer_than_it_may_also_for_what_it_holds_already() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 0.0, understands=True)
    handover.lose(VIP, "w12", 1.0, understands=True, is_leaving=True)
    handover.lose(OTHER, "w12", 1.0, understands=True, is_leaving=True)

    assert handover.due(1.0 + PATIENCE_LEAVING)[1] == {VIP, OTHER}


def test_another_winner_meanwhile_is_asked_at_once() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 0.0, understands=True)
    handover.due(0.0)

    handover.lose(VIP, "m1", 0.05, understands=True)

    assert handover.due(0.05)[0] == {"m1": (VIP,)}
    assert handover.confirm("w12", [VIP]) == set()
    assert handover.confirm("m1", [VIP]) == {VIP}


def test_one_that_cannot_answer_gives_no_more_time_to_the_next() -> None:
    handover = Handover()
    handover.lose(VIP, "purelb", 0.0, understands=False)

    handover.lose(VIP, "m1", 0.1, understands=False)

    assert handover.due(PATIENCE_WITH_PURELB)[1] == {VIP}


def test_what_was_let_go_is_not_held_again_before_it_is_gone() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 0.0, understands=True)
    handover.confirm("w12", [VIP])

    handover.lose(VIP, "w12", 0.1, understands=True)
    assert handover.held == frozenset()

    handover.end(VIP)
    handover.lose(VIP, "w12", 0.2, understands=True)
    assert handover.held == {VIP}


def test_a_vip_that_comes_back_is_no_longer_handed_over() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 0.0, understands=True)

    handover.end(VIP)

    assert handover.due(PATIENCE) == ({}, set())
    assert handover.deadline is None


def test_the_winner_answers_those_who_asked_before_it_had_the_vip() -> None:
    handover = Handover()
    handover.asked("w11", VIP)
    handover.asked("m1", VIP)

    assert handover.placed(VIP) == {"w11", "m1"}
    assert handover.placed(VIP) == frozenset()


def test_who_asked_for_what_then_became_anothers_is_forgotten() -> None:
    handover = Handover()
    handover.asked("w11", VIP)

    handover.not_ours(VIP)

    assert handover.placed(VIP) == frozenset()


def test_the_next_deadline_is_the_next_question_or_the_end() -> None:
    handover = Handover()
    handover.lose(VIP, "w12", 10.0, understands=True)
    assert handover.deadline == 10.0

    handover.due(10.0)
    assert handover.deadline == 10.0 + ASK
