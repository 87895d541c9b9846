"""Clusters as the status page's view model is told of them."""

from __future__ import annotations

from typing import Any

from allocator.page.facts import Facts
from allocator.page.view import Teller
from purelb import names
from purelb.addresses import parse_network
from purelb.membership import MemberNode, Standing
from purelb.services import ServiceView
from tests.allocator.builders import group_body, local, service

LAN = frozenset({parse_network("10.1.0.0/24")})
TELLER = Teller("allocator-0", "0.1.0", 1000.0, default_announcer=True)
POOL = group_body("default", local=local("10.1.0.1-10.1.0.250")) | {
    "status": {
        "announce": "Local",
        "ipam": "Cluster",
        "addresses": ["10.1.0.1-10.1.0.250"],
        "allocatedIPv4": 2,
        "availableIPv4": 248,
        "conditions": [{"type": "Ready", "status": "True"}],
    }
}


def member(name: str, standing: Standing = Standing.SERVING, reason: str = "", **more: Any) -> MemberNode:
    return MemberNode(name, standing, reason, LAN, **more)


def members(*names: str) -> dict[str, MemberNode]:
    return {name: member(name) for name in names}


def placed(name: str, address: str, node: str = "", *plan: str, **more: Any) -> ServiceView:
    """A Service that PureLB gave an address, which a node announces, and which the plan would have on these."""
    annotations = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "default", **more.pop("annotations", {})}
    if node:
        annotations[names.ANNOUNCING_IPV4] = f"{node},eth0"
    if plan:
        annotations[names.PLACEMENT] = f"{address}={','.join(plan)}"
    return service(name, ingress=[address], annotations=annotations, **more)


def facts(*services: ServiceView, there: tuple[str, ...] = ("w1", "w2", "w3"), **more: Any) -> Facts:
    known: dict[str, Any] = {"groups": (POOL,), "members": members(*there), "leads": True, **more}
    return Facts(services=services, **known)
