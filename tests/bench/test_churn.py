"""Churn: the slope of a program's memory."""

from __future__ import annotations

import pytest

from bench.churn import last, slope


@pytest.mark.parametrize("grows", [0.0, 0.5, 12.0])
def test_a_slope_is_told_in_mib_per_hour_whatever_the_noise(grows: float) -> None:
    samples = [(at, 70 + grows * at / 3600 + 0.2 * (-1) ** at) for at in range(0, 3600, 5)]

    assert slope(samples) == pytest.approx(grows, abs=0.01)


def test_too_few_samples_have_no_slope() -> None:
    assert slope([(0.0, 70.0), (1.0, 90.0)]) == 0.0


def test_a_program_whose_memory_was_never_read_has_no_size() -> None:
    assert last([]) is None
    assert last([(0.0, 70.0), (1.0, 90.04)]) == 90.0
