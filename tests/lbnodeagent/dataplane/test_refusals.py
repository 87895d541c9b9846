"""What was refused is told once."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry

from lbnodeagent.dataplane.invariants import Refusal, Rule
from lbnodeagent.dataplane.refusals import Refusals
from lbnodeagent.dataplane.takeovers import Cause
from purelb.metrics import AgentMetrics
from tests.lbnodeagent.scenes import ROUTED, VIP

REFUSAL = Refusal(VIP, "eth0", "forbidden-address", "it is node m's address")


def test_a_refusal_is_told_once_for_as_long_as_it_lasts() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.note([VIP, ROUTED], [REFUSAL])

    assert refusals.take() == [REFUSAL]
    assert refusals.take() == []


def test_it_is_told_again_when_it_had_ended() -> None:
    refusals = Refusals()
    refusals.note([VIP], [REFUSAL])
    refusals.note([ROUTED], [])
    refusals.note([VIP], [])
    refusals.note([VIP], [REFUSAL])

    assert refusals.take() == [REFUSAL, REFUSAL]


def test_each_rule_is_counted_from_the_beginning_so_that_the_first_refusal_shows_as_a_rise() -> None:
    registry = CollectorRegistry()
    AgentMetrics(registry)

    for rule in get_args(Rule):
        assert registry.get_sample_value("purelb_lbnodeagent_refusals_total", {"rule": rule}) == 0
    for cause in get_args(Cause):
        assert registry.get_sample_value("purelb_lbnodeagent_takeover_seconds_count", {"reason": cause}) == 0
