"""Services and ServiceGroups as API objects and as values, for the tests of the allocator."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from allocator.ipam.engine import Engine
from allocator.ipam.groups import Groups, admit
from allocator.ipam.requests import Answer, Decision, Refusal, Request, Seniority, Terms
from purelb.addresses import Family, IPAddress, parse_address
from purelb.servicegroups import ServiceGroup, parse_service_group
from purelb.services import Port, ServiceKey, ServiceView, view_service

EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
Json = dict[str, Any]
INGRESS: Json = {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}


def group_body(name: str, *, namespace: str = "purelb", age: int = 0, **spec: Any) -> Json:
    """A ServiceGroup object; ``age`` in seconds before now, so that a greater one is senior."""
    created = EPOCH - datetime.timedelta(seconds=age)
    return {
        "apiVersion": "purelb.io/v1",
        "kind": "ServiceGroup",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": created.isoformat().replace("+00:00", "Z"),
        },
        "spec": spec,
    }


def local(v4: str | None = None, v6: str | None = None, **more: Any) -> Json:
    """A ``local`` block with one pool per family, in subnets wide enough for anything."""
    block: Json = dict(more)
    if v4 is not None:
        block["v4pool"] = {"subnet": "0.0.0.0/0", "pool": v4, "aggregation": "/32"}
    if v6 is not None:
        block["v6pool"] = {"subnet": "::/0", "pool": v6, "aggregation": "/128"}
    return block


def entries(*pools: str) -> list[Json]:
    """A ``v4pools`` or ``v6pools`` list."""
    return [{"subnet": "::/0" if ":" in pool else "0.0.0.0/0", "pool": pool} for pool in pools]


def group(name: str, **spec: Any) -> ServiceGroup:
    """A parsed ServiceGroup."""
    return parse_service_group(group_body(name, **spec))


def configured(*groups: ServiceGroup) -> Groups:
    """A configuration in which all of them are served."""
    configuration, refused = admit(groups, {})
    assert not refused
    return configuration


def engine_with(*groups: ServiceGroup) -> Engine:
    """An engine that serves these groups."""
    engine = Engine()
    engine.configure(configured(*groups))
    return engine


def key(name: str, namespace: str = "default") -> ServiceKey:
    return ServiceKey(namespace, name)


def seniority(name: str, rank: int = 0, namespace: str = "default") -> Seniority:
    """A rank among Services: the lower, the older."""
    return Seniority(EPOCH, rank, key(name, namespace))


def request(
    name: str,
    *,
    namespace: str = "default",
    rank: int = 0,
    group: str | None = None,
    pinned: Iterable[str] = (),
    families: str = "4",
    share: str | None = None,
    ports: Iterable[str] = ("TCP/80",),
    backend: str = "",
    **more: Any,
) -> Request:
    """A request; ``families`` is "4", "6", "46", "64" or nothing."""
    return Request(
        service=key(name, namespace),
        seniority=seniority(name, rank, namespace),
        group=group,
        pinned=tuple(parse_address(text) for text in pinned),
        families=tuple(Family.IPV4 if digit == "4" else Family.IPV6 for digit in families),
        terms=Terms(share, frozenset(port(text) for text in ports), backend),
        **more,
    )


def port(text: str) -> Port:
    """``TCP/80``."""
    protocol, _, number = text.partition("/")
    return Port(protocol, int(number))


def given(answer: Answer) -> list[str]:
    """The addresses of a decision."""
    assert isinstance(answer, Decision), answer
    return [str(address) for address in answer.addresses]


def refused(answer: Answer) -> str:
    """The sentence of a refusal."""
    assert isinstance(answer, Refusal), answer
    return answer.message


def ip(text: str) -> IPAddress:
    return parse_address(text)


def service_body(
    name: str,
    *,
    namespace: str = "default",
    version: int = 1,
    age: int = 0,
    annotations: Mapping[str, str] | None = None,
    ingress: Iterable[str] = (),
    ports: Iterable[int] = (80,),
    writer: str = "",
    **spec: Any,
) -> Json:
    """A Service as the API server returns it; ``writer`` is the field manager of its addresses, if that's known."""
    created = EPOCH - datetime.timedelta(seconds=age)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": created.isoformat().replace("+00:00", "Z"),
            "annotations": dict(annotations or {}),
            "managedFields": [{"manager": writer, "subresource": "status", "fieldsV1": INGRESS}] if writer else [],
        },
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.188.0.7",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"protocol": "TCP", "port": number} for number in ports],
            **spec,
        },
        "status": {"loadBalancer": {"ingress": [{"ip": text, "ipMode": "VIP"} for text in ingress]}},
    }


def service(name: str, **parts: Any) -> ServiceView:
    """A Service as our programs see it."""
    return view_service(service_body(name, **parts))


LAYER2 = group("default", local=local("10.31.188.64-10.31.188.66"))
"""Three addresses."""
DUAL = group("default", local=local("10.0.0.0/30", "fd00::/126"))
"""Four of each family."""
