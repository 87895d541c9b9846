"""The local health score."""

from hypothesis import given
from hypothesis import strategies as st

from memberlist.awareness import Awareness


@given(st.lists(st.integers(-10, 10)))
def test_the_score_stays_within_its_bounds(changes: list[int]) -> None:
    health = Awareness(8)

    for change in changes:
        health.change(change)
        assert 0 <= health.score <= 7


def test_the_worse_we_are_the_more_time_we_give() -> None:
    health = Awareness(8)

    assert health.scale(0.5) == 0.5
    health.change(+3)
    assert health.scale(0.5) == 2.0
    health.change(-1)
    assert health.scale(0.5) == 1.5
