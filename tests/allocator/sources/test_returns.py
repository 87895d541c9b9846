"""What is to be given back: once at a time, and again where it failed."""

from __future__ import annotations

import pytest

from allocator.sources.returns import Return, Returns
from tests.allocator.builders import key

ITEM = Return("netbox", key("a"))


def test_what_is_added_twice_is_given_back_once() -> None:
    returns = Returns()
    returns.add(ITEM)
    returns.add(ITEM)

    assert returns.take(100.0) == [ITEM]
    assert returns.take(100.0) == []


def test_what_is_added_while_it_is_under_way_comes_after_it() -> None:
    returns = Returns()
    returns.add(ITEM)
    returns.take(100.0)
    returns.add(ITEM)

    assert returns.take(100.0) == []
    assert returns.due is None

    returns.done(ITEM)
    assert returns.take(100.0) == [ITEM]


def test_what_failed_is_tried_later_and_later_and_the_other_side_s_delay_is_obeyed() -> None:
    returns, now, pauses = Returns(), 100.0, []
    returns.add(ITEM)
    for retry_after in (None, None, 17.0, None):
        assert returns.take(now) == [ITEM]
        returns.failed(ITEM, now, retry_after)
        assert returns.due is not None
        pauses.append(returns.due - now)
        returns.add(ITEM)
        now = returns.due

    assert pauses == [pytest.approx(pause) for pause in (1.0, 2.0, 17.0, 4.0)]


def test_after_a_success_the_next_failure_is_a_first_one() -> None:
    returns = Returns()
    returns.add(ITEM)
    for now in (100.0, 101.0):
        returns.take(now)
        returns.failed(ITEM, now, None)
    returns.take(103.0)
    returns.done(ITEM)
    returns.add(ITEM)
    returns.take(103.0)

    returns.failed(ITEM, 103.0, None)

    assert returns.due == 104.0
