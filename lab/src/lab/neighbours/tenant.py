"""Somebody who may edit one namespace and nothing else, as a cluster's users are: an account, its rights, a kubeconfig.

Owns these objects. What a tenant does with them is up to who uses the kubeconfig.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from lab.api.cluster import Cluster
from lab.api.objects import Object, path
from purelb.errors import ConflictError, NotFoundError

NAME: Final = "tenant"
_LASTING: Final = 24 * 3600
"""Seconds for which the token is good."""
_RBAC: Final = "rbac.authorization.k8s.io"
# `edit` is filled from others by kube-controller-manager, which isn't beside a real API server of a lab.
_PARTS: Final = ("system:aggregate-to-edit", "system:aggregate-to-view")


async def settle(cluster: Cluster, namespace: str) -> str:
    """Let a tenant into that namespace, which is made if there is none; returns its token. Raises KubeError."""
    wanted = [("namespaces", "", {"metadata": {"name": namespace}}), ("serviceaccounts", namespace, _named())]
    edit = await cluster.kube.get(path("clusterroles", "", "edit"))
    for role in ("edit",) if edit.get("rules") else _PARTS:
        binding = {
            "metadata": {"name": f"{NAME}-{role.replace(':', '-')}", "labels": {NAME: ""}},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
        }
        wanted.append(("rolebindings", namespace, binding))
    for plural, where, body in wanted:
        with contextlib.suppress(ConflictError):
            await cluster.kube.create(path(plural, where), body)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    ask = path("serviceaccounts", namespace, NAME, "token")
    answer = await cluster.kube.create(ask, {**request, "spec": {"expirationSeconds": _LASTING}})
    return str(answer["status"]["token"])


async def evict(cluster: Cluster, namespace: str) -> None:
    """Take the account and its rights away again; the namespace and what the tenant made stay. Raises KubeError."""
    bindings = await cluster.kube.list(path("rolebindings", namespace), labelSelector=NAME)
    gone = [path("rolebindings", namespace, one["metadata"]["name"]) for one in bindings.items]
    for where in (*gone, path("serviceaccounts", namespace, NAME)):
        with contextlib.suppress(NotFoundError):
            await cluster.kube.delete(where)


def kubeconfig(admin: Mapping[str, Any], namespace: str, token: str) -> Object:
    """The tenant's, from the administrator's."""
    context = {"cluster": admin["clusters"][0]["name"], "user": NAME, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": admin["clusters"],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": context}],
        "current-context": NAME,
    }


def _named() -> Object:
    return {"metadata": {"name": NAME}}
