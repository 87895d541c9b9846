"""What other controllers make of a Service."""

from __future__ import annotations

from typing import Any

import pytest

from lab.neighbours.rewrites import foreign_ingress, node_addresses, without_marks

NODES = [
    {"metadata": {"name": name}, "status": {"addresses": [{"type": "InternalIP", "address": ip}]}}
    for name, ip in (("b", "192.0.2.2"), ("a", "192.0.2.1"), ("c", "2001:db8::3"))
]


def service(*ips: str, families: tuple[str, ...] = ("IPv4",)) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "annotations": {}},
        "spec": {"type": "LoadBalancer", "ipFamilies": list(families)},
        "status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}},
    }


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (service("192.0.2.80"), [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}]),
        (service(families=("IPv6",)), [{"ip": "2001:db8::3"}]),
        (service("192.0.2.1", "192.0.2.2"), None),
    ],
)
def test_servicelb_writes_the_nodes_addresses_of_the_services_families(before: dict[str, Any], expected: Any) -> None:
    assert foreign_ingress(before, node_addresses(NODES)) == expected


def test_an_operators_template_has_the_users_annotations_alone() -> None:
    marked = service()
    marked["metadata"]["annotations"] = {"purelb.io/allocated-by": "PureLB", "purelb.io/service-group": "mine"}

    replaced = without_marks(marked)

    assert replaced is not None
    assert replaced["metadata"]["annotations"] == {"purelb.io/service-group": "mine"}
    assert replaced["spec"] == marked["spec"]
    assert without_marks(replaced) is None
