"""On which nodes a shared address is, for the endpoints of those who share it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Set

import pytest

from purelb.services import ServiceKey, ServiceView
from purelb.sharers import nodes_for, sharer

NONE: frozenset[str] = frozenset()


def service(name: str, *, age: int = 0, policy: str = "Local", **annotations: str) -> ServiceView:
    """Made so many days ago."""
    return ServiceView(
        key=ServiceKey("test", name),
        uid=name,
        resource_version="1",
        created=datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC) - datetime.timedelta(days=age),
        type="LoadBalancer",
        external_traffic_policy=policy,
        annotations={f"purelb.io/{key.replace('_', '-')}": value for key, value in annotations.items()},
    )


def nodes(endpoints: Mapping[str, str], *services: ServiceView) -> tuple[Set[str] | None, Set[str] | None]:
    """By Service the nodes with an endpoint, divided by blanks."""
    return nodes_for(map(sharer, services), lambda key: frozenset(endpoints.get(key.name, "").split()))


def test_one_service_with_policy_local_has_it_where_its_endpoints_are() -> None:
    assert nodes({"a": "n1 n2"}, service("a")) == ({"n1", "n2"}, None)
    assert nodes({}, service("a")) == (NONE, None)


def test_with_policy_cluster_it_is_anywhere_and_with_affinity_rather_where_endpoints_are() -> None:
    alone = service("a", policy="Cluster", node_affinity="service-endpoints")

    assert nodes({"a": "n1"}, service("a", policy="Cluster")) == (None, None)
    assert nodes({"a": "n1"}, alone) == (None, {"n1"})
    assert nodes({"a": "n1"}, alone, service("b", policy="Cluster")) == (None, None)


@pytest.mark.parametrize(("endpoints", "rather"), [("", None), ("n9", {"n9"})])
def test_policy_local_takes_it_from_nobody_with_policy_cluster(endpoints: str, rather: set[str] | None) -> None:
    sharers = service("victim", policy="Cluster"), service("a")

    assert nodes({"a": endpoints}, *sharers) == (None, rather)


def test_of_several_with_policy_local_the_oldest_that_has_endpoints_decides() -> None:
    old, new = service("victim", age=2), service("a", age=1)

    assert nodes({"victim": "n1 n2", "a": "n2 n3"}, new, old) == ({"n1", "n2"}, {"n2"})
    assert nodes({"victim": "n1", "a": "n9"}, new, old) == ({"n1"}, None)
    assert nodes({"victim": "", "a": "n9"}, new, old) == ({"n9"}, None)
    assert nodes({"victim": "n1", "a": ""}, new, old) == ({"n1"}, None)
