"""What another takes away is put back ever more seldom."""

from __future__ import annotations

from allocator.reconcile.contention import PEACE, WAITS, Contention
from tests.allocator.builders import key

A, B = key("a"), key("b")


def test_the_first_is_put_back_at_once_and_then_ever_more_seldom() -> None:
    contention, now, times = Contention(), 0.0, []
    for _ in range(7):
        now = contention.due(A, now)
        times.append(now)
        contention.restored(A, now)

    assert times == [0.0, 2.0, 12.0, 72.0, 672.0, 1272.0, 1872.0]
    assert contention.due(B, 1.0) == 1.0


def test_after_a_long_peace_or_for_a_new_service_it_begins_anew() -> None:
    contention = Contention()
    for _ in range(3):
        contention.restored(A, 5.0)
    assert contention.due(A, 6.0) == 5.0 + WAITS[2]

    assert contention.due(A, 5.0 + PEACE) == 5.0 + PEACE
    contention.forget(A)
    assert contention.due(A, 6.0) == 6.0
