"""What else must be true before something is created: the cluster's built-in admission.

Owns the namespace's life cycle, a Pod's ServiceAccount and priority, and that nobody grants rights that they lack.
"""

from __future__ import annotations

from .auth import MASTERS, User
from .cluster import Cluster
from .errors import JsonObject, forbidden, not_found
from .rbac import GROUP, Attributes, Authorizer, covers
from .resources import Resource


def admit_create(cluster: Cluster, resource: Resource, obj: JsonObject, user: User) -> None:
    """Raises `StatusError` 403 or 404."""
    meta = obj["metadata"]
    if resource.namespaced:
        namespace = cluster.store.get("/namespaces", "", meta["namespace"])
        if namespace is None:
            raise not_found("namespaces", "", meta["namespace"])
        if namespace.obj["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {meta['namespace']} because it is being terminated"
            raise forbidden(resource.plural, resource.group, meta["name"], why)
    if resource.key == "/pods":
        _admit_pod(cluster, obj)
    if resource.group == GROUP:
        admit_grant(cluster, resource, obj, user)


def _admit_pod(cluster: Cluster, obj: JsonObject) -> None:
    meta, spec = obj["metadata"], obj.get("spec") or {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    if cluster.store.get("/serviceaccounts", meta["namespace"], account) is None:
        why = f'error looking up service account {meta["namespace"]}/{account}: serviceaccount "{account}" not found'
        raise forbidden("pods", "", meta["name"], why)
    if wanted := spec.get("priorityClassName"):
        priority = cluster.store.get("scheduling.k8s.io/priorityclasses", "", wanted)
        if priority is None:
            raise forbidden("pods", "", meta["name"], f"no PriorityClass with name {wanted} was found")
        spec["priority"] = priority.obj["value"]
        spec["preemptionPolicy"] = priority.obj.get("preemptionPolicy", "PreemptLowerPriority")


def admit_grant(cluster: Cluster, resource: Resource, obj: JsonObject, user: User) -> None:
    """RBAC's rule against escalation. Raises `StatusError` 403."""
    if MASTERS in user.groups:
        return
    authorizer = Authorizer(cluster.store)
    namespace = obj["metadata"].get("namespace", "")
    if resource.plural in ("roles", "clusterroles"):
        wanted, verb, name = obj.get("rules") or [], "escalate", obj["metadata"]["name"]
        plural = resource.plural
    else:
        ref = obj["roleRef"]
        plural = "clusterroles" if ref.get("kind") == "ClusterRole" else "roles"
        home = "" if plural == "clusterroles" else namespace
        role = cluster.store.get(f"{GROUP}/{plural}", home, ref.get("name", ""))
        wanted, verb, name = (role.obj.get("rules") or []) if role else [], "bind", ref.get("name", "")
    if authorizer.allows(user, Attributes(verb, GROUP, plural, "", namespace, name)):
        return
    held = list(authorizer.rules_for(user, namespace))
    lacking = [rule for rule in wanted if not covers(held, rule)]
    if lacking:
        groups = ", ".join(f'"{group}"' for group in user.groups)
        shown = "\n".join(str(rule) for rule in lacking)
        why = (
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
            f"{shown}"
        )
        raise forbidden(resource.plural, resource.group, obj["metadata"]["name"], why)
