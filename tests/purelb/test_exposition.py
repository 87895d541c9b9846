"""Metrics as text: what Prometheus' own library would write, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from allocator.page.metrics import PageMetrics
from purelb.exposition import CONTENT_TYPE, rendered
from purelb.flowmetrics import FlowMetrics
from purelb.metrics import AgentMetrics, AllocatorMetrics, RouterMetrics, new_registry


class Once(Collector):
    """Metrics of one moment."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def judge(registry: CollectorRegistry) -> None:
    moment = Once(registry.collect())

    assert rendered(moment.metrics) == generate_latest(moment)


def test_all_metrics_of_our_programs_are_written_as_the_library_does() -> None:
    agent, allocator = new_registry(), new_registry()
    metrics = AgentMetrics(agent)
    RouterMetrics(agent)
    FlowMetrics(agent)
    AllocatorMetrics(allocator)
    PageMetrics(allocator)
    metrics.round_trips.observe(0.001)
    metrics.refusals.labels("not-given").inc()

    judge(agent)
    judge(allocator)


@given(st.text(), st.text(), st.floats())
def test_whatever_a_label_or_a_value_is(documentation: str, label: str, value: float) -> None:
    registry = CollectorRegistry()
    Gauge("level", documentation, ["name", "also"], registry=registry).labels(label, "x").set(value)
    Counter("looks", documentation, ["name"], registry=registry).labels(label).inc(abs(value) if value == value else 1)
    Histogram("seconds", documentation, buckets=(0.5, 10, 2e9), registry=registry).observe(value)

    judge(registry)


def test_the_form_is_named_as_the_library_names_it() -> None:
    assert CONTENT_TYPE == CONTENT_TYPE_LATEST
