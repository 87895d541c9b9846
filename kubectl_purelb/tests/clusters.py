"""Objects as an API server gives them, and clusters that are made of such."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from kubectl_purelb.answers import Answer
from kubectl_purelb.cluster import (
    Cluster,
    Program,
    view_config,
    view_gathering,
    view_group,
)
from purelb.services import view_service

Json = dict[str, Any]
NOW = datetime.datetime(2026, 11, 29, 12, 0, tzinfo=datetime.UTC)
SUBNET = "10.31.0.0/16"
WELL = {"allocator": Program("allocator", 2, 2, "a:1"), "lbnodeagent": Program("lbnodeagent", 2, 2, "l:1")}


def service(
    name: str = "web",
    *addresses: str,
    namespace: str = "default",
    group: str = "wire",
    node: str | None = "w11",
    annotations: Mapping[str, str] | None = None,
    branded: bool = True,
    **spec: Any,
) -> Json:
    """A Service with these addresses of ``group``, which ``node`` announces on eth0."""
    said: dict[str, str] = {}
    if addresses and branded:
        said |= {"purelb.io/allocated-by": "PureLB", "purelb.io/allocated-from": group}
    for family in ("IPv4", "IPv6"):
        own = [one for one in addresses if (":" in one) == (family == "IPv6")]
        if own and node is not None:
            said[f"purelb.io/announcing-{family}"] = " ".join(f"{node},eth0,{one}" for one in own)
    return {
        "metadata": {"name": name, "namespace": namespace, "annotations": said | dict(annotations or {})},
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.9", "ports": [{"port": 80}], **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": one} for one in addresses]}},
    }


def condition(kind: str, said: bool, message: str = "") -> Json:
    return {"type": kind, "status": str(said), "reason": "Reason", "message": message}


def group(
    name: str = "wire",
    pool: str = "10.31.188.64-10.31.188.126",
    subnet: str = SUBNET,
    *,
    scope: str = "local",
    version: str = "v1",
    conditions: Iterable[Json] = (),
    **status: Any,
) -> Json:
    """A ServiceGroup that is served, unless its conditions say otherwise."""
    managed = {"manager": "kubectl", "apiVersion": f"purelb.io/{version}", "fieldsV1": {"f:spec": {}}}
    return {
        "metadata": {"name": name, "namespace": "purelb", "managedFields": [managed]},
        "spec": {scope: {"v4pool": {"pool": pool, "subnet": subnet}}},
        "status": {
            "announce": scope.capitalize(),
            "ipam": "Cluster",
            "addresses": [pool],
            "allocatedIPv4": 1,
            "availableIPv4": 62,
            "allocatedIPv6": 0,
            "conditions": list(conditions) or [condition("Ready", True)],
            **status,
        },
    }


def member(name: str, *subnets: str, standing: str = "Serving", **more: Any) -> Json:
    return {
        "name": name, "standing": standing, "subnets": list(subnets or (SUBNET,)), "vips": 1, "agent": "PureLB",
        "version": "0.1.0", **more,
    }  # fmt: skip


def membership(*nodes: Json, age: float = 10.0, nowhere: int = 0) -> Json:
    """The object as its spokesman wrote it ``age`` seconds ago."""
    observed = NOW - datetime.timedelta(seconds=age)
    status = {
        "nodes": list(nodes),
        "vips": 1,
        "nowhere": nowhere,
        "spokesman": "w11",
        "observed": observed.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"metadata": {"name": "purelb", "namespace": "purelb"}, "status": status}


TWO = membership(member("w11"), member("w12"))


def cluster(
    *services: Json,
    groups: Iterable[Json] | None = None,
    configs: Iterable[Json] = (),
    members: Json | None = TWO,
    programs: Mapping[str, Program] = WELL,
    default_announcer: bool = True,
) -> Cluster:
    """With the ServiceGroup ``wire`` and the nodes w11 and w12 on its subnet, if nothing else is said."""
    return Cluster(
        namespace="purelb",
        services=tuple(map(view_service, services)),
        groups=tuple(map(view_group, [group()] if groups is None else groups)),
        configs=tuple(map(view_config, configs)),
        gathering=view_gathering(members) if members is not None else None,
        programs=programs,
        default_announcer=default_announcer,
    )


def document_of(answer: Answer) -> Mapping[str, Any]:
    """What programs are told, where that is one object."""
    assert isinstance(answer.document, Mapping)
    return answer.document


def event(
    reason: str,
    message: str,
    *,
    age: float = 1.0,
    by: str = "purelb-lbnodeagent",
    warns: bool = True,
    about: str = "web",
    kind: str = "Service",
    **more: Any,
) -> Json:
    """What one of our programs said ``age`` seconds ago."""
    at = (NOW - datetime.timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "metadata": {"name": "e", "namespace": "default", "creationTimestamp": at},
        "source": {"component": by},
        "reason": reason,
        "message": message,
        "type": "Warning" if warns else "Normal",
        "lastTimestamp": at,
        "involvedObject": {"kind": kind, "namespace": "" if kind == "Node" else "default", "name": about},
        **more,
    }


def endpoint_slice(*nodes: str, ready: bool = True) -> Json:
    endpoints = [
        {"addresses": [f"10.0.0.{number}"], "nodeName": node, "conditions": {"ready": ready}}
        for number, node in enumerate(nodes, 1)
    ]
    return {"metadata": {"name": "s", "namespace": "default"}, "endpoints": endpoints}
