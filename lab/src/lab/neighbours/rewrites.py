"""What other controllers make of a LoadBalancer Service. Pure.

Owns what they write, as users of PureLB met it; that they write it again and again is `meddler`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from lab.api.objects import Object
from purelb.names import ALLOCATED_BY, ALLOCATED_FROM, ANNOUNCING_KEYS, POOL_TYPE

MARKS = frozenset((ALLOCATED_BY, ALLOCATED_FROM, POOL_TYPE, *ANNOUNCING_KEYS))
"""The annotations that PureLB writes; its users' own are in an operator's template too, and stay."""


def is_load_balancer(service: Object) -> bool:
    return bool(service["spec"].get("type") == "LoadBalancer")


def node_addresses(nodes: Iterable[Object]) -> list[str]:
    """The InternalIPs of all nodes in the order of their names, as ServiceLB of k3s sees them."""
    statuses = [node.get("status") or {} for node in sorted(nodes, key=lambda node: node["metadata"]["name"])]
    return [
        one["address"] for status in statuses for one in status.get("addresses") or () if one["type"] == "InternalIP"
    ]


def foreign_ingress(service: Object, addresses: Sequence[str]) -> list[Object] | None:
    """The nodes' own addresses as the Service's (k3s#269, metallb#1431), of its families; None: they are so already."""
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    wanted = [{"ip": address} for address in addresses if f"IPv{ip_address(address).version}" in families]
    present = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return None if [one.get("ip") for one in present] == [one["ip"] for one in wanted] else wanted


def without_marks(service: Object) -> Object | None:
    """The Service as an operator's template has it (minio/operator#2171, strimzi#4035); None: there is nothing of ours.

    It is meant for a PUT, whose status the API server ignores.
    """
    metadata = service["metadata"]
    annotations = metadata.get("annotations") or {}
    if MARKS.isdisjoint(annotations):
        return None
    kept = {key: value for key, value in annotations.items() if key not in MARKS}
    return {**service, "metadata": {**metadata, "annotations": kept}}
