"""Keys to look at: each once, the senior first, some later."""

from __future__ import annotations

import weakref

import pytest

from purelb.workqueue import SLACK, WorkQueue


def drained(queue: WorkQueue[str, int], now: float = 100.0) -> list[str]:
    keys = []
    while (key := queue.take(now)) is not None:
        keys.append(key)
    return keys


def test_the_senior_comes_first_whoever_was_added_first() -> None:
    queue: WorkQueue[str, int] = WorkQueue()
    for name, rank in (("c", 3), ("a", 1), ("b", 2)):
        queue.add(name, rank)

    assert drained(queue) == ["a", "b", "c"]


def test_the_urgent_come_before_their_seniors_and_keep_their_order_among_themselves() -> None:
    queue: WorkQueue[str, int] = WorkQueue()
    queue.add_at("soon", 0, 101.0, urgent=True)
    for name, rank, urgent in (("old", 1, False), ("new", 4, True), ("newer", 5, True), ("young", 2, False)):
        queue.add(name, rank, urgent=urgent)

    assert drained(queue, 101.0) == ["soon", "new", "newer", "old", "young"]


def test_a_thousand_changes_of_one_key_are_one_look() -> None:
    queue: WorkQueue[str, int] = WorkQueue()
    for _ in range(1000):
        queue.add("a", 0)

    assert len(queue) == 1
    assert drained(queue) == ["a"]


def test_a_delayed_key_comes_when_it_is_due() -> None:
    queue: WorkQueue[str, int] = WorkQueue()
    assert queue.due is None
    queue.add_at("a", 0, 105.0)

    assert queue.due == 105.0
    assert drained(queue, 104.9) == []
    assert drained(queue, 105.0) == ["a"]


def test_a_change_ends_the_delay_and_counts_for_both() -> None:
    queue: WorkQueue[str, int] = WorkQueue()
    queue.add_at("a", 0, 105.0)

    queue.add("a", 0)

    assert drained(queue, 100.0) == ["a"]
    assert drained(queue, 110.0) == []


def test_the_last_delay_counts() -> None:
    queue: WorkQueue[str, int] = WorkQueue()
    queue.add_at("a", 0, 101.0)
    queue.add_at("a", 0, 105.0)

    assert drained(queue, 102.0) == []
    assert drained(queue, 106.0) == ["a"]


class Text(str):
    """A key that tells whether anybody has it still."""


@pytest.mark.parametrize("step", [0.0, 0.01])
def test_a_delay_that_is_given_again_at_each_look_is_kept_once(step: float) -> None:
    queue: WorkQueue[str, int] = WorkQueue()
    given = list[weakref.ref[Text]]()
    for number in range(10 * SLACK):
        queue.add("a", 0)
        assert queue.take(0.0) == "a"
        key = Text("a")
        given.append(weakref.ref(key))
        queue.add_at(key, 0, 600.0 + number * step)

    assert sum(key() is not None for key in given) <= 2 * SLACK
    assert drained(queue, 600.0 + 10 * SLACK) == ["a"]
