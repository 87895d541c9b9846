"""Churn: the slope of a program's memory."""

from __future__ import annotations

import pytest

from bench.churn import last, least, slope


@pytest.mark.parametrize("grows", [0.0, 0.5, 12.0])
def test_a_slope_is_told_in_mib_per_hour_whatever_the_noise(grows: float) -> None:
    samples = [(at, 70 + grows * at / 3600 + 0.2 * (-1) ** at) for at in range(0, 3600, 5)]

    assert slope(samples) == pytest.approx(grows, abs=0.01)


@pytest.mark.parametrize("grows", [0.0, 0.5, 12.0])
def test_what_waits_to_be_collected_hides_no_growth_and_is_none(grows: float) -> None:
    """Three megabytes that come within some minutes, and go at once: by all samples that alone may look like growth."""
    samples = [(at, 50 + grows * at / 3600 + 3 * ((at / 540) % 1)) for at in range(600, 3600, 10)]

    assert slope(least(samples)) == pytest.approx(grows, abs=0.6)
    assert slope(samples) > slope(least(samples)) - 0.6


def test_too_few_samples_have_no_slope() -> None:
    assert slope([(0.0, 70.0), (1.0, 90.0)]) == 0.0


def test_a_program_whose_memory_was_never_read_has_no_size() -> None:
    assert last([]) is None
    assert last([(0.0, 70.0), (1.0, 90.04)]) == 90.0
