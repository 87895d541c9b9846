"""Whom to join, and when to look for that again."""

from __future__ import annotations

import random

from lbnodeagent.gossip.joining import Joining
from lbnodeagent.tables import FOREVER

ALL = frozenset({"10.0.0.1", "10.0.0.2"})


def joining() -> Joining:
    made = Joining(random.Random(1))
    made.addresses = ALL
    return made


def test_while_everybody_is_there_nothing_is_due() -> None:
    one = joining()

    assert one.due(ALL, now=5.0) == []
    assert one.next_due(ALL) == FOREVER


def test_whoever_is_missing_is_due_at_once_and_not_again_while_a_try_is_under_way() -> None:
    one = joining()

    assert one.next_due({"10.0.0.1"}) <= 5.0
    assert one.due({"10.0.0.1"}, now=5.0) == ["10.0.0.2"]
    assert one.next_due({"10.0.0.1"}) == FOREVER


def test_a_try_that_failed_is_due_again_after_its_pause_or_at_once_in_haste() -> None:
    one = joining()
    one.due({"10.0.0.1"}, now=5.0)
    one.tried("10.0.0.2", 6.0, worked=False)

    due = one.next_due({"10.0.0.1"})

    assert 6.0 < due < 7.0
    assert one.due({"10.0.0.1"}, now=due - 0.01) == []
    assert one.due({"10.0.0.1"}, now=due) == ["10.0.0.2"]
    one.tried("10.0.0.2", due, worked=False)
    one.start_over()
    assert one.next_due({"10.0.0.1"}) <= due


def test_a_member_that_was_there_is_due_when_it_is_gone() -> None:
    one = joining()
    one.seen("10.0.0.9")

    assert one.next_due(ALL | {"10.0.0.9"}) == FOREVER
    assert one.next_due(ALL) <= 0.0
