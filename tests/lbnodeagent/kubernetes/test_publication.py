"""When the object that says who is there is written, and which side of a split writes it."""

from __future__ import annotations

import math
from dataclasses import replace

from lbnodeagent.kubernetes.publication import CHECK, COUNTS, LOOK, MISSED, PACE, PATIENCE, Publication, Published
from purelb.membership import RENEWAL, STALE, Attendance, MemberNode, Standing
from tests.lbnodeagent.scenes import NOW


def attendance(*nodes: str, vips: int = 0, standing: Standing = Standing.SERVING) -> Attendance:
    """These nodes; the first one has the VIPs."""
    return Attendance(
        tuple(MemberNode(name, standing, vips=0 if number else vips) for number, name in enumerate(nodes)), vips
    )


def published(*nodes: str, by: str, version: str = "1") -> Published:
    return Published(version, by, frozenset(nodes))


def publication(node: str, *nodes: str, written_at: float | None = None) -> Publication:
    made = Publication(node)
    made.attends(attendance(*nodes))
    if written_at is not None:
        made.written(made.wanted, written_at)
    return made


def test_who_does_not_speak_for_all_writes_nothing() -> None:
    made = publication("w11", "w11", "w12")
    made.attends(Attendance())

    assert made.deadline == math.inf


def test_a_change_is_written_at_once_and_the_next_one_a_second_later() -> None:
    made = publication("m", "m", "w11", written_at=NOW)

    made.attends(attendance("m"))

    assert made.deadline == NOW + PACE


def test_numbers_of_vips_alone_wait_a_little() -> None:
    made = publication("m", "m", "w11", written_at=NOW)

    made.attends(attendance("m", "w11", vips=7))

    assert made.deadline == NOW + COUNTS


def test_without_a_change_it_is_renewed_now_and_then() -> None:
    made = publication("m", "m", "w11", written_at=NOW)
    made.checked(NOW + RENEWAL - 1)

    assert made.deadline == NOW + RENEWAL
    assert not made.is_check(NOW + RENEWAL)
    assert STALE > 2 * RENEWAL, "one renewal may be late"


def test_one_that_speaks_again_writes_again() -> None:
    made = publication("m", "m", "w11", written_at=NOW)
    made.attends(Attendance())
    made.attends(attendance("m", "w11"))

    assert made.deadline == -math.inf


def test_after_a_failure_it_waits() -> None:
    made = publication("m", "m")
    made.failed(NOW + 3)

    assert made.deadline == NOW + 3


def test_the_successor_of_a_spokesman_that_died_writes_at_once() -> None:
    made = publication("w11", "w11", "w12")

    assert made.may_write(published("m", "w11", "w12", by="m"), NOW)


def test_the_first_of_all_writes_over_an_empty_object() -> None:
    assert publication("m", "m").may_write(Published("1"), NOW)


def test_a_spokesman_that_is_heard_will_stop_by_itself() -> None:
    made = publication("m", "m", "w11")

    assert made.may_write(published("w11", "w12", "w13", "w14", by="w11"), NOW)


def test_the_larger_side_of_a_split_writes_at_once_and_the_smaller_one_looks_on() -> None:
    before = published("a", "b", "c", "d", "e", by="a")

    assert publication("c", "c", "d", "e").may_write(before, NOW)
    smaller = publication("a", "a", "b")
    assert not smaller.may_write(before, NOW)
    after = published("c", "d", "e", by="c", version="2")
    assert not smaller.may_write(after, NOW + PATIENCE)
    for later in range(1, 100):
        assert not smaller.may_write(published("c", "d", "e", by="c", version=str(2 + later)), NOW + later * LOOK)
        assert smaller.deadline == NOW + (later + 1) * LOOK


def test_the_larger_side_takes_it_back_from_the_smaller_one() -> None:
    assert publication("c", "c", "d", "e").may_write(published("a", "b", by="a"), NOW)


def test_of_two_halves_the_one_whose_spokesman_it_was_goes_on() -> None:
    before = published("a", "b", "c", "d", by="a")

    assert publication("a", "a", "b").may_write(before, NOW)
    assert not publication("c", "c", "d").may_write(before, NOW)
    assert not publication("c", "c", "d").may_write(published("a", "b", by="a"), NOW)


def test_where_most_nodes_died_at_once_the_rest_waits_a_moment_for_another_side() -> None:
    made = publication("d", "d")
    before = published("a", "b", "c", "d", by="a")

    assert not made.may_write(before, NOW)
    assert made.deadline == NOW + PATIENCE
    assert made.may_write(before, NOW + PATIENCE)


def test_of_another_side_that_was_seen_to_live_more_silence_is_needed() -> None:
    made = publication("d", "d")
    made.may_write(published("a", "b", "c", "d", by="a"), NOW)
    last = published("a", "b", "c", by="a", version="2")

    assert not made.may_write(last, NOW + PATIENCE)
    assert not made.may_write(last, NOW + PATIENCE + STALE - 1)
    assert made.may_write(last, NOW + PATIENCE + STALE)


def test_who_sees_others_again_does_not_go_on_looking_on() -> None:
    made = publication("d", "d")
    made.may_write(published("a", "b", "c", "d", by="a"), NOW)

    made.attends(attendance("b", "c", "d"))

    assert made.deadline == -math.inf
    assert made.may_write(published("a", "b", "c", "d", by="a"), NOW + 1)


def test_whether_it_is_still_so_is_looked_at_each_ten_seconds() -> None:
    """Two that lost sight of each other for a moment: only one of them may have noticed, and the other one written."""
    made = publication("a", "a", "b", written_at=NOW)
    assert made.deadline == NOW + CHECK
    assert made.is_check(NOW + CHECK)

    made.checked(NOW + CHECK)
    assert made.deadline == NOW + 2 * CHECK

    made.attends(attendance("a"))
    assert not made.is_check(NOW + CHECK)


def standin() -> Publication:
    """The next in line, which sees that the spokesman has written."""
    made = Publication("w11")
    made.attends(replace(attendance("m", "w11"), is_standin=True))
    assert not made.may_write(published("m", "w11", by="m"), NOW)
    return made


def test_the_next_in_line_looks_once_a_minute_and_writes_nothing() -> None:
    made = standin()

    assert made.deadline == NOW + LOOK
    made.attends(replace(attendance("m", "w11", "w12"), is_standin=True))
    assert made.deadline == NOW + LOOK
    assert not made.may_write(published("m", "w11", "w12", by="m", version="2"), NOW + 10 * LOOK)


def test_it_stands_in_for_a_spokesman_that_is_heard_and_does_not_write() -> None:
    made, old = standin(), published("m", "w11", by="m")
    assert not made.may_write(old, NOW + MISSED - 1)
    assert made.may_write(old, NOW + MISSED)
    made.written(made.wanted, NOW + MISSED)

    made.attends(replace(attendance("w11"), is_standin=True))
    assert made.deadline == NOW + MISSED + PACE
    assert made.may_write(published("m", "w11", by="w11", version="2"), NOW + MISSED + PACE)


def test_it_stops_when_the_spokesman_writes_again() -> None:
    made = standin()
    made.written(made.wanted, NOW)

    assert not made.may_write(published("m", "w11", by="m", version="9"), NOW + CHECK)
    assert made.deadline == NOW + CHECK + LOOK


def test_a_stand_in_that_becomes_the_spokesman_writes_at_once() -> None:
    made = standin()
    made.attends(attendance("w11"))

    assert made.deadline == -math.inf
    assert not made.may_write(published("m", "w11", by="m", version="7"), NOW + 1), "it hears one of two"
    assert made.deadline == NOW + 1 + PATIENCE, "what it saw before says nothing of another side"
    made.attends(attendance("w11", "w12"))
    assert made.may_write(published("m", "w11", "w12", by="m"), NOW + 1)
