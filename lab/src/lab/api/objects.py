"""What every kind has in common: paths, owners, conditions, times. Pure.

Objects are the dictionaries that the API server sends. Must not know where they come from.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

_GROUPS = {
    "nodes": "/api/v1",
    "pods": "/api/v1",
    "services": "/api/v1",
    "namespaces": "/api/v1",
    "serviceaccounts": "/api/v1",
    "configmaps": "/api/v1",
    "secrets": "/api/v1",
    "events": "/api/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "daemonsets": "/apis/apps/v1",
    "controllerrevisions": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1",
    "resourcequotas": "/api/v1",
    "validatingadmissionpolicies": "/apis/admissionregistration.k8s.io/v1",
    "validatingadmissionpolicybindings": "/apis/admissionregistration.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}


def path(plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """`path("pods", "x", "y", "status")` is /api/v1/namespaces/x/pods/y/status."""
    scope = f"namespaces/{namespace}/{plural}" if namespace else plural
    return "/".join(part for part in (_GROUPS[plural], scope, name, subresource) if part)


def now() -> str:
    """The time as API objects carry it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def controller_of(obj: Object) -> Object | None:
    """The ownerReference of the object's controller."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return dict(owner)
    return None


def is_daemon_pod(pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["kind"] == "DaemonSet" for owner in owners)


def owner_reference(owner: Object, kind: str, api: str = "apps/v1") -> Object:
    metadata = owner["metadata"]
    return {
        "apiVersion": api,
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_terminating(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def condition(obj: Object, kind: str) -> Object | None:
    """The status condition of that type."""
    for one in (obj.get("status") or {}).get("conditions") or ():
        if one["type"] == kind:
            return dict(one)
    return None


def is_ready(obj: Object) -> bool:
    """Whether a Pod or a Node is Ready."""
    ready = condition(obj, "Ready")
    return ready is not None and ready["status"] == "True"
