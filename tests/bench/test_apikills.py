"""How long a new Service waited: an outage counts for nothing, its end does."""

from __future__ import annotations

import math

import pytest

from bench.apikills import announced, waited
from bench.wire import Change

AWAY = [(10.0, 15.0), (30.0, 33.0)]


@pytest.mark.parametrize(
    ("created", "came", "seconds"),
    [
        (2.0, 2.5, 0.5),  # before any outage
        (9.0, 16.0, 1.0),  # it met one
        (12.0, 15.0, 0.0),  # as soon as the server was back
        (9.9, 10.1, 0.0),  # what was under way came meanwhile
        (16.0, 20.0, 4.0),  # between two
        (14.0, 35.0, 2.0),  # it met both, and waits from the last return
        (29.0, math.inf, math.inf),
    ],
)
def test_it_waits_from_the_last_return_that_it_met(created: float, came: float, seconds: float) -> None:
    assert waited(created, came, AWAY) == pytest.approx(seconds)


def test_an_address_counts_from_its_first_node_and_only_if_it_is_of_a_pool() -> None:
    changes = [
        Change(1.0, "a", "eth0", "10.31.64.1", is_there=True),
        Change(2.0, "a", "eth0", "10.31.64.1", is_there=False),
        Change(3.0, "b", "eth0", "10.31.64.1", is_there=True),
        Change(4.0, "b", "eth0", "192.0.2.1", is_there=True),
    ]

    assert announced(changes) == {"10.31.64.1": 1.0}
