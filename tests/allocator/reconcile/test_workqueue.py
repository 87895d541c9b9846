"""Keys to look at: each once, the senior first, some later."""

from __future__ import annotations

import asyncio

from allocator.reconcile.workqueue import WorkQueue
from tests.allocator.builders import seniority


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def drained(queue: WorkQueue[str]) -> list[str]:
    keys = []
    while (key := queue.take()) is not None:
        keys.append(key)
    return keys


def test_the_senior_comes_first_whoever_was_added_first() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    for name, rank in (("c", 3), ("a", 1), ("b", 2)):
        queue.add(name, seniority(name, rank))

    assert drained(queue) == ["a", "b", "c"]


def test_the_urgent_come_before_their_seniors_and_keep_their_order_among_themselves() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_later("soon", seniority("soon", 0), 1.0, urgent=True)
    for name, rank, urgent in (("old", 1, False), ("new", 4, True), ("newer", 5, True), ("young", 2, False)):
        queue.add(name, seniority(name, rank), urgent=urgent)
    clock.now += 1.0

    assert drained(queue) == ["soon", "new", "newer", "old", "young"]


def test_a_thousand_changes_of_one_key_are_one_look() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    for _ in range(1000):
        queue.add("a", seniority("a"))

    assert len(queue) == 1
    assert drained(queue) == ["a"]


def test_a_delayed_key_comes_when_it_is_due() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_later("a", seniority("a"), 5.0)

    clock.now += 4.9
    assert drained(queue) == []
    clock.now += 0.2
    assert drained(queue) == ["a"]


def test_a_change_ends_the_delay_and_counts_for_both() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_later("a", seniority("a"), 5.0)

    queue.add("a", seniority("a"))

    assert drained(queue) == ["a"]
    clock.now += 10
    assert drained(queue) == []


def test_the_last_delay_counts() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_later("a", seniority("a"), 1.0)
    queue.add_later("a", seniority("a"), 5.0)

    clock.now += 2
    assert drained(queue) == []
    clock.now += 4
    assert drained(queue) == ["a"]


def test_a_waiter_wakes_for_a_key_for_a_due_one_and_for_a_nudge() -> None:
    async def scenario() -> list[str]:
        loop = asyncio.get_running_loop()
        queue: WorkQueue[str] = WorkQueue(loop.time)
        async with asyncio.timeout(5):
            queue.add_later("due", seniority("due"), 0.01)
            while (key := queue.take()) is None:
                await queue.wait()
            loop.call_soon(queue.nudge)
            await queue.wait()
            loop.call_soon(queue.add, "added", seniority("added"))
            await queue.wait()
        return [key, *drained(queue)]

    assert asyncio.run(scenario()) == ["due", "added"]
