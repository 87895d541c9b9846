"""Writes what an operator asks for: a wish on a Service, a request on the Membership. Nothing else is ever written.

Whether the cluster lets him is its own affair: these are annotations, written with his own rights (ForbiddenError).
"""

from __future__ import annotations

from purelb import names
from purelb.kube import Kube, custom_path, services_path
from purelb.membership import NAME
from purelb.services import ServiceView


async def prefer(kube: Kube, service: ServiceView, node: str | None) -> None:
    """Where its addresses should be from now on; None: anywhere. ConflictError if it isn't that Service any more."""
    path = services_path(service.key.namespace, service.key.name)
    await kube.patch(path, {"metadata": {"uid": service.uid, "annotations": {names.PREFERRED_NODES: node}}})


async def ask_to_rebalance(kube: Kube, namespace: str, when: str) -> None:
    """Have the allocator even out what isn't even, and wait for no node; ``when`` differs from what was said before."""
    path = custom_path(names.MEMBERSHIPS, namespace, NAME)
    await kube.patch(path, {"metadata": {"annotations": {names.REBALANCE: when}}})
