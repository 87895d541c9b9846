"""Subresources other than `status`: scale, binding, eviction, token, finalize; and the access reviews.

Owns their bodies and what they do. `pods/log` streams and is in `streams.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from .auth import AUDIENCE, Authenticator, User
from .callers import Caller
from .cluster import Cluster
from .crds import CustomKind
from .deletion import DeleteOptions
from .errors import (
    JsonObject,
    StatusError,
    bad_request,
    conflict,
    forbidden,
    too_many_requests,
)
from .jsonpath import find
from .metadata import now
from .operations import Operations
from .rbac import Authorizer, access_review, rules_review
from .resources import Resource
from .selectors import matches_label_selector
from .store import Record

Subject = tuple[Resource, str, str]
"""A resource, a namespace and a name."""


class Subresources:
    def __init__(
        self, cluster: Cluster, operations: Operations, authenticator: Authenticator, authorizer: Authorizer
    ) -> None:
        self._cluster = cluster
        self._operations = operations
        self._authenticator = authenticator
        self._authorizer = authorizer

    # Scale

    def scale(self, resource: Resource, record: Record) -> JsonObject:
        """`autoscaling/v1 Scale` of an object."""
        obj, meta = record.obj, record.obj["metadata"]
        spec, status = ".spec.replicas", ".status.replicas"
        selector = ""
        kind = self._cluster.kind(resource)
        if isinstance(kind, CustomKind) and kind.scale:
            spec, status = kind.scale["specReplicasPath"], kind.scale["statusReplicasPath"]
            if path := kind.scale.get("labelSelectorPath"):
                selector = next((str(value) for value in find(obj, path)), "")
        else:
            labels = (obj.get("spec", {}).get("selector") or {}).get("matchLabels") or {}
            selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {
                key: meta[key]
                for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
                if key in meta
            },
            "spec": {"replicas": next(iter(find(obj, spec)), 0)},
            "status": {"replicas": next(iter(find(obj, status)), 0), **({"selector": selector} if selector else {})},
        }

    def set_scale(self, resource: Resource, record: Record, scale: JsonObject, caller: Caller) -> JsonObject:
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            raise bad_request("spec.replicas must be greater than or equal to 0")
        path = ".spec.replicas"
        kind = self._cluster.kind(resource)
        if isinstance(kind, CustomKind) and kind.scale:
            path = kind.scale["specReplicasPath"]
        version = (scale.get("metadata") or {}).get("resourceVersion")
        if version and version != str(record.rv):
            raise conflict(resource.plural, resource.group, record.key[1])

        def change(obj: JsonObject) -> JsonObject:
            return _with(obj, path.strip(".").split("."), replicas)

        namespace, name = record.key
        return self.scale(resource, self._operations.patch(resource, namespace, name, change, caller))

    # Pods

    def bind(self, pods: Resource, namespace: str, name: str, body: JsonObject, caller: Caller) -> JsonObject:
        """A scheduler gives a Pod to a node."""
        node = (body.get("target") or {}).get("name", "")
        record = self._operations.find(pods, namespace, name)
        if record.obj["spec"].get("nodeName"):
            why = f'pod {name} is already assigned to node "{record.obj["spec"]["nodeName"]}"'
            raise conflict("pods/binding", "", name, why)
        new = {**record.obj, "metadata": dict(record.obj["metadata"])}
        new["spec"] = {**new["spec"], "nodeName": node}
        status = dict(new.get("status") or {})
        conditions = [entry for entry in status.get("conditions") or [] if entry["type"] != "PodScheduled"]
        conditions.append(
            {"lastProbeTime": None, "lastTransitionTime": now(), "status": "True", "type": "PodScheduled"}
        )
        new["status"] = {**status, "conditions": conditions}
        if not caller.dry_run:
            self._cluster.store.put(pods.key, namespace, name, new)
        return _success()

    def evict(self, pods: Resource, namespace: str, name: str, body: JsonObject, caller: Caller) -> JsonObject:
        """Deletes a Pod unless a disruption budget forbids it (then 429)."""
        record = self._operations.find(pods, namespace, name)
        labels = record.obj["metadata"].get("labels") or {}
        budgets = [
            budget
            for budget in self._cluster.store.records("policy/poddisruptionbudgets", namespace)
            if matches_label_selector((budget.obj.get("spec") or {}).get("selector"), labels)
        ]
        ended = record.obj.get("status", {}).get("phase") in ("Succeeded", "Failed", "Pending")
        if len(budgets) > 1:
            raise StatusError(
                500,
                "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            )
        if budgets and not ended:
            self._disrupt(budgets[0], caller)
        options = delete_options(body.get("deleteOptions") or {})
        self._operations.delete(pods, namespace, name, options, caller)
        return {**_success(), "code": 201}

    def _disrupt(self, budget: Record, caller: Caller) -> None:
        status = budget.obj.get("status") or {}
        allowed = status.get("disruptionsAllowed", 0)
        if allowed <= 0:
            error = too_many_requests("Cannot evict pod as it would violate the pod's disruption budget.", 10)
            name, current, needs = budget.key[1], status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
            message = f"The disruption budget {name} needs {needs} healthy pods and has {current} currently"
            error.details = {
                "causes": [
                    {
                        "reason": "DisruptionBudget",
                        "message": message,
                    }
                ]
            }
            error.retry_after = None
            raise error
        if not caller.dry_run:
            new = {**budget.obj, "metadata": dict(budget.obj["metadata"])}
            new["status"] = {**status, "disruptionsAllowed": allowed - 1}
            self._cluster.store.put("policy/poddisruptionbudgets", *budget.key, new)

    # Tokens and reviews

    def token(self, accounts: Resource, namespace: str, name: str, body: JsonObject) -> JsonObject:
        """TokenRequest."""
        account = self._operations.find(accounts, namespace, name)
        spec = body.get("spec") or {}
        lifetime = spec.get("expirationSeconds") or 3600
        if lifetime < 600:
            raise bad_request("spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes")
        pod = None
        if (ref := spec.get("boundObjectRef")) and ref.get("kind") == "Pod":
            record = self._cluster.store.get("/pods", namespace, ref.get("name", ""))
            if record is None:
                raise bad_request(f'pods "{ref.get("name", "")}" not found')
            pod = record.obj
        audiences = tuple(spec.get("audiences") or (AUDIENCE,))
        token, expires = self._authenticator.issue(
            namespace, name, account.obj["metadata"]["uid"], lifetime=lifetime, audiences=audiences, pod=pod
        )
        stamp = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "creationTimestamp": now()},
            "spec": {**spec, "audiences": list(audiences), "expirationSeconds": lifetime},
            "status": {"token": token, "expirationTimestamp": stamp},
        }

    def review(self, resource: Resource, namespace: str, body: JsonObject, user: User) -> JsonObject:
        """The resources that are questions."""
        spec = body.get("spec") or {}
        answer: JsonObject = {
            "kind": resource.kind,
            "apiVersion": resource.group_version,
            "metadata": {"creationTimestamp": None},
            "spec": spec,
        }
        match resource.plural:
            case "selfsubjectaccessreviews":
                answer["status"] = access_review(self._authorizer, user, spec)
            case "subjectaccessreviews" | "localsubjectaccessreviews":
                subject = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
                answer["status"] = access_review(self._authorizer, subject, spec)
            case "selfsubjectrulesreviews":
                answer["status"] = rules_review(self._authorizer, user, spec.get("namespace", ""))
            case "selfsubjectreviews":
                answer.pop("spec")
                answer["status"] = {"userInfo": user.info()}
            case "tokenreviews":
                answer["status"] = self._token_review(spec)
            case _:
                raise forbidden(resource.plural, resource.group, "", "not a review")
        return answer

    def _token_review(self, spec: JsonObject) -> JsonObject:
        try:
            user = self._authenticator.user_of(str(spec.get("token", "")))
        except StatusError:
            return {"user": {}, "error": "invalid bearer token"}
        return {"authenticated": True, "user": user.info(), "audiences": [AUDIENCE]}


def _success() -> JsonObject:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _with(node: Any, steps: list[str], value: Any) -> JsonObject:
    """A copy of `node` with `value` at the end of `steps`."""
    result = dict(node) if isinstance(node, dict) else {}
    first, *rest = steps
    result[first] = _with(result.get(first), rest, value) if rest else value
    return result


def delete_options(body: JsonObject) -> DeleteOptions:
    """From a DeleteOptions body (query parameters are merged in before)."""
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds")
    propagation = body.get("propagationPolicy") or ""
    if not propagation and body.get("orphanDependents") is not None:
        propagation = "Orphan" if body["orphanDependents"] else "Background"
    return DeleteOptions(
        grace_seconds=int(grace) if grace is not None else None,
        propagation=propagation,
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
    )
