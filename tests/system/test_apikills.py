"""The API server ends and returns twice under load: what is new is announced soon after, and nothing restarts."""

from __future__ import annotations

import pytest

from bench.apikills import undergo
from bench.cluster import cluster

SEED = 9
WITHIN = 15.0
"""Seconds: the benchmark demands a third of it, of a machine that has nothing else to do."""


@pytest.mark.timeout(240)
def test_what_is_new_is_announced_soon_after_the_api_server_is_back() -> None:
    with cluster(nodes=3) as lab:
        outcome = undergo(lab, 2, SEED)

    assert len(outcome.waited) >= 10
    assert outcome.never == []
    assert max(outcome.waited.values()) <= WITHIN
    assert outcome.restarted == {}
    assert outcome.exceptions == []
