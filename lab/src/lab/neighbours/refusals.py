"""What refuses writes in a real cluster: a ResourceQuota that is used up, and a ValidatingAdmissionPolicy.

Owns these objects and how they are put and taken away. PureLB's programs alone meet the policy, everybody the quota.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from lab.api.cluster import Cluster
from lab.api.objects import Object, path
from lab.errors import FaultRefused
from purelb.errors import ConflictError, NotFoundError

NAME: Final = "lab"
PROGRAMS: Final = "system:serviceaccount:purelb:"
"""How the names of the programs' accounts begin."""
_KINDS: Final = ("events", "events.events.k8s.io", "leases.coordination.k8s.io", "secrets", "configmaps", "services")
_WITHIN: Final = 30.0
"""Seconds for a policy to be in force: the API server compiles it in the background."""
_POLICIES: Final = "validatingadmissionpolicies"
_BINDINGS: Final = "validatingadmissionpolicybindings"


async def use_up_quotas(cluster: Cluster) -> None:
    """In every namespace but Kubernetes' own nothing more can be created of the kinds that PureLB creates.

    The usage is written by hand: the controller that counts isn't beside a real API server of a lab.
    """
    hard = {f"count/{kind}": "0" for kind in _KINDS}
    for namespace in _namespaces(cluster):
        with contextlib.suppress(ConflictError):
            quota = {"metadata": {"name": NAME}, "spec": {"hard": hard}}
            await cluster.kube.create(path("resourcequotas", namespace), quota)
        usage = {"status": {"hard": hard, "used": hard}}
        await cluster.kube.patch(path("resourcequotas", namespace, NAME, "status"), usage)


async def lift_quotas(cluster: Cluster) -> None:
    """Whatever is there of them. Raises KubeError."""
    for namespace in _namespaces(cluster):
        await _delete(cluster, path("resourcequotas", namespace, NAME))


async def deny(cluster: Cluster, is_denied: Callable[[], bool]) -> None:
    """Have all writes of the programs denied, and wait until they are. Raises KubeError, FaultRefused."""
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    policy: Object = {
        "metadata": {"name": NAME},
        "spec": {
            "matchConstraints": {"resourceRules": [{**everything, "operations": ["CREATE", "UPDATE", "DELETE"]}]},
            "matchConditions": [
                {"name": "programs", "expression": f"request.userInfo.username.startsWith('{PROGRAMS}')"}
            ],
            "validations": [{"expression": "false", "message": "the lab refuses"}],
        },
    }
    binding = {"metadata": {"name": NAME}, "spec": {"policyName": NAME, "validationActions": ["Deny"]}}
    for plural, body in ((_POLICIES, policy), (_BINDINGS, binding)):
        with contextlib.suppress(ConflictError):
            await cluster.kube.create(path(plural), body)
    try:
        async with asyncio.timeout(_WITHIN):
            while not await asyncio.to_thread(is_denied):
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise FaultRefused(f"the API server doesn't enforce the policy within {_WITHIN:g} s") from None


async def allow(cluster: Cluster) -> None:
    """Take the policy away, if there is one. Raises KubeError."""
    for plural in (_BINDINGS, _POLICIES):
        await _delete(cluster, path(plural, "", NAME))


def _namespaces(cluster: Cluster) -> list[str]:
    names = [namespace["metadata"]["name"] for namespace in cluster.caches["namespaces"]]
    return sorted(name for name in names if not name.startswith("kube-"))


async def _delete(cluster: Cluster, where: str) -> None:
    with contextlib.suppress(NotFoundError):
        await cluster.kube.delete(where)
