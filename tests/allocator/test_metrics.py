"""What dashboards made for PureLB read of the allocator."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from allocator.reconcile.notices import Notices
from allocator.reconcile.plan import Write
from purelb import names
from purelb.events import EventRecorder
from purelb.kube import Kube
from purelb.metrics import AllocatorMetrics
from purelb.servicegroups import ServiceGroup
from tests.allocator.builders import entries, group, local, service
from tests.allocator.reconcile.test_review import Desk

SERIES = {
    "purelb_address_pool_size": {"pool"},
    "purelb_address_pool_addresses_in_use": {"pool"},
    "purelb_k8s_client_updates": set(),
    "purelb_k8s_client_update_errors": set(),
    "purelb_k8s_client_config_loaded_bool": set(),
    "purelb_servicegroups_out_of_scope": {"namespace", "name", "type"},
    "purelb_address_pool_allocation_rejected": {"pool", "reason"},
    "purelb_address_pool_multipool_allocations": {"pool"},
    "purelb_address_pool_multipool_partial": {"pool"},
    "purelb_address_pool_balance_pools_allocations": {"pool"},
    "purelb_allocator_sg_status_writes": {"outcome"},
}


class Ear:
    """Notices and what they count."""

    def __init__(self, *groups: ServiceGroup) -> None:
        self.registry = CollectorRegistry()
        self.metrics = AllocatorMetrics(self.registry)
        self.notices = Notices(EventRecorder(Kube(), "test"), self.metrics)
        self.desk = Desk(*groups)

    def hear(self, name: str, **parts: Any) -> None:
        plan = self.desk.review(name, **parts)
        self.notices.standing(service(name, **parts), plan)
        if isinstance(plan.step, Write):
            self.notices.done(plan.step, 0.0)

    def count(self, series: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(series, labels)


def test_the_names_and_labels_are_purelb_s() -> None:
    registry = CollectorRegistry()
    AllocatorMetrics(registry)

    shown = {family.name: metric for metric in registry._collector_to_names for family in metric.collect()}

    assert {name: set(shown[name]._labelnames) for name in SERIES} == SERIES  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("annotations", "labels"),
    [
        ({names.SERVICE_GROUP: "nope"}, {"pool": "nope", "reason": "unknown_pool"}),
        ({names.ADDRESSES: "10.9.9.9"}, {"pool": "<unknown>", "reason": "other"}),
        ({names.MULTI_POOL: "true"}, {"pool": "default", "reason": "multipool_refused"}),
    ],
)
def test_a_refusal_is_counted_once_by_pool_and_reason(annotations: dict[str, str], labels: dict[str, str]) -> None:
    ear = Ear(group("default", local=local("10.1.0.0/30", balancePools=True)))

    for _ in range(3):
        ear.hear("a", annotations=annotations)

    assert ear.count("purelb_address_pool_allocation_rejected_total", **labels) == 1


def test_multi_pool_and_balanced_allocations_are_counted_and_partial_ones_apart() -> None:
    every = group("every", local={"v4pools": entries("10.1.0.0/32", "10.2.0.0/30"), "multiPool": True})
    even = group("even", local={"v4pools": entries("10.3.0.0/30", "10.4.0.0/30"), "balancePools": True})
    ear = Ear(every, even)

    for name in ("a", "b"):
        ear.hear(name, annotations={names.SERVICE_GROUP: "every"})
    ear.hear("c", annotations={names.SERVICE_GROUP: "even"})

    assert ear.count("purelb_address_pool_multipool_allocations_total", pool="every") == 2
    assert ear.count("purelb_address_pool_multipool_partial_total", pool="every") == 1
    assert ear.count("purelb_address_pool_balance_pools_allocations_total", pool="even") == 1
    assert ear.count("purelb_address_pool_multipool_allocations_total", pool="even") is None


def test_the_gauges_of_a_removed_pool_go_with_it_and_its_counters_stay() -> None:
    every = group("every", local={"v4pools": entries("10.1.0.0/32", "10.2.0.0/30"), "multiPool": True})
    ear = Ear(every)
    ear.hear("a", annotations={names.SERVICE_GROUP: "every"})
    ear.metrics.pool_size.labels("every").set(5)

    ear.metrics.forget_pool("every")

    assert ear.count("purelb_address_pool_size", pool="every") is None
    assert ear.count("purelb_address_pool_multipool_allocations_total", pool="every") == 1


def test_a_tenant_can_t_fill_the_metrics_with_names_of_groups_that_there_are_not() -> None:
    ear = Ear(group("default", local=local("10.1.0.0/30")))

    for number in range(200):
        ear.hear("a", annotations={names.SERVICE_GROUP: f"nope-{number}"})

    labels = {"reason": "unknown_pool"}
    assert ear.count("purelb_address_pool_allocation_rejected_total", pool="nope-0", **labels) == 1
    assert ear.count("purelb_address_pool_allocation_rejected_total", pool="nope-199", **labels) is None
    assert ear.count("purelb_address_pool_allocation_rejected_total", pool="<unknown>", **labels) == 136
