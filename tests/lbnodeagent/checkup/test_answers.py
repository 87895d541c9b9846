"""An address is to be answered for by one host; none or two must show again and again before it counts."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

from lbnodeagent.checkup.answers import ASKED, IN_A_ROW, Answers, Doubt
from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress

VIP = ip_address("10.31.188.64")
ONE, TWO = Mac(b"RT\0\0\0\1"), Mac(b"RT\0\0\0\2")
NOBODY: frozenset[Mac] = frozenset()


def heard(answers: Answers, *macs: Mac, node: str = "w12") -> tuple[Doubt, ...]:
    return answers.heard({VIP: node}, {VIP: frozenset(macs)})


def test_one_answer_is_right_whoever_gives_it() -> None:
    answers = Answers(Random(1))

    assert [heard(answers, mac) for mac in (ONE, TWO, ONE)] == [(), (), ()]
    assert answers.suspects == frozenset()


def test_silence_counts_after_several_looks_and_ends_with_an_answer() -> None:
    answers = Answers(Random(1))

    assert [heard(answers) for _ in range(IN_A_ROW)] == [(), (), (Doubt(VIP, "w12", NOBODY),)]
    assert answers.suspects == {VIP}
    assert heard(answers, ONE) == ()
    assert heard(answers) == ()


def test_two_answers_count_likewise_and_a_silence_in_between_begins_anew() -> None:
    answers = Answers(Random(1))

    assert [heard(answers, ONE, TWO), heard(answers, ONE, TWO), heard(answers)] == [(), (), ()]
    assert [heard(answers, ONE, TWO) for _ in range(IN_A_ROW)][-1] == (Doubt(VIP, "w12", frozenset({ONE, TWO})),)


def test_an_address_that_moved_meanwhile_begins_anew() -> None:
    answers = Answers(Random(1))

    assert [heard(answers, node=node) for node in ("w12", "w12", "w11")] == [(), (), ()]


def test_a_node_that_hears_nothing_at_all_blames_nobody() -> None:
    answers = Answers(Random(1))
    for _ in range(IN_A_ROW - 1):
        heard(answers)
    answers.heard({}, {})

    assert heard(answers) == ()


def test_few_are_asked_for_at_once_the_suspects_always_and_in_a_large_cluster_not_by_all() -> None:
    answers = Answers(Random(1))
    announced: dict[IPAddress, str] = {ip_address(f"10.31.188.{number}"): "w12" for number in range(64, 200)}

    assert len(answers.to_ask(announced, 3)) == ASKED
    asking = sum(bool(answers.to_ask(announced, 1000)) for _ in range(1000))
    assert 0 < asking < 50
    heard(answers)
    assert VIP in answers.to_ask(announced, 1_000_000)
