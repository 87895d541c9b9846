"""A minute of random faults in a real lab, with a fixed seed: afterwards everything has to be right."""

from __future__ import annotations

import pytest

from bench.chaos import undergo
from bench.cluster import cluster
from bench.consequences import CONSEQUENCES
from bench.constitution import LAWS

SECONDS = 60.0
SEED = 7


@pytest.mark.timeout(240)
def test_after_a_minute_of_chaos_every_address_is_on_one_node_and_answers() -> None:
    with cluster(nodes=4) as lab:
        outcome = undergo(lab, 12, SECONDS, SEED)

    assert outcome.incidents >= 8
    assert outcome.failed == []
    assert outcome.misplaced == {}
    assert outcome.silent == []
    assert outcome.breaches == {law: [] for law in LAWS}
    assert outcome.consequences == {one: [] for one in CONSEQUENCES}
    assert outcome.exceptions == []
    assert outcome.rest_after <= 15.0
