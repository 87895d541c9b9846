"""The columns of the built-in kinds, as `kubectl get` shows them (`pkg/printers/internalversion`). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .cells import (
    NONE,
    age_of,
    at,
    endpoints,
    event_first,
    event_last,
    event_object,
    event_source,
    external_ip,
    ingress_address,
    ingress_hosts,
    name_of,
    pairs,
    role_ref,
    selector_text,
    service_ports,
    slice_endpoints,
    slice_ports,
    subjects,
)
from .errors import JsonObject
from .podcells import (
    containers,
    images,
    job_duration,
    job_status,
    node_address,
    node_info,
    node_roles,
    node_status,
    pod_ip,
    pod_ready,
    pod_reason,
    pod_restarts,
    ratio,
    readiness_gates,
    template_spec,
    workload_selector,
)


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    cell: Callable[[JsonObject], Any]
    kind: str = "string"
    form: str = ""
    text: str = ""
    priority: int = 0


NAME: Final = Column("Name", name_of, form="name")
AGE: Final = Column("Age", age_of)


def _wide(name: str, cell: Callable[[JsonObject], Any]) -> Column:
    return Column(name, cell, priority=1)


def _number(name: str, *path: str) -> Column:
    return Column(name, at(*path, default=0), kind="integer")


_WORKLOAD_WIDE: Final = (
    _wide("Containers", containers),
    _wide("Images", images),
    _wide("Selector", workload_selector),
)
_BINDING: Final = (
    NAME,
    Column("Role", role_ref),
    AGE,
    _wide("Users", subjects("User")),
    _wide("Groups", subjects("Group")),
    _wide("ServiceAccounts", subjects("ServiceAccount")),
)
_CREATED: Final = (NAME, Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp", ""), kind="date"))


BUILT_IN_COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "/services": (
        NAME,
        Column("Type", at("spec", "type")),
        Column("Cluster-IP", lambda obj: obj.get("spec", {}).get("clusterIP") or NONE),
        Column("External-IP", lambda obj: external_ip(obj)),
        Column("Port(s)", service_ports),
        AGE,
        _wide("Selector", lambda obj: pairs(obj.get("spec", {}).get("selector"))),
    ),
    "/pods": (
        NAME,
        Column("Ready", pod_ready),
        Column("Status", lambda obj: pod_reason(obj)[2]),
        Column("Restarts", pod_restarts),
        AGE,
        _wide("IP", pod_ip),
        _wide("Node", lambda obj: obj.get("spec", {}).get("nodeName") or NONE),
        _wide("Nominated Node", lambda obj: obj.get("status", {}).get("nominatedNodeName") or NONE),
        _wide("Readiness Gates", readiness_gates),
    ),
    "/nodes": (
        NAME,
        Column("Status", node_status),
        Column("Roles", node_roles),
        AGE,
        Column("Version", at("status", "nodeInfo", "kubeletVersion")),
        _wide("Internal-IP", node_address("InternalIP")),
        _wide("External-IP", node_address("ExternalIP")),
        _wide("OS-Image", node_info("osImage")),
        _wide("Kernel-Version", node_info("kernelVersion")),
        _wide("Container-Runtime", node_info("containerRuntimeVersion")),
    ),
    "/namespaces": (NAME, Column("Status", at("status", "phase")), AGE),
    "/configmaps": (
        NAME,
        Column("Data", lambda obj: len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), kind="integer"),
        AGE,
    ),
    "/secrets": (
        NAME,
        Column("Type", at("type")),
        Column("Data", lambda obj: len(obj.get("data") or {}), kind="integer"),
        AGE,
    ),
    "/serviceaccounts": (NAME, AGE),
    "/endpoints": (NAME, Column("Endpoints", endpoints), AGE),
    "/events": (
        Column("Last Seen", event_last),
        Column("Type", at("type")),
        Column("Reason", at("reason")),
        Column("Object", event_object),
        Column("Subobject", at("involvedObject", "fieldPath"), priority=1),
        Column("Source", event_source, priority=1),
        Column("Message", lambda obj: str(obj.get("message") or "").strip()),
        Column("First Seen", event_first, priority=1),
        Column("Count", lambda obj: str(obj.get("count") or (obj.get("series") or {}).get("count") or 1), priority=1),
        Column("Name", name_of, form="name", priority=1),
    ),
    "apps/deployments": (
        NAME,
        Column("Ready", lambda obj: ratio(obj, "readyReplicas", "replicas")),
        _number("Up-to-date", "status", "updatedReplicas"),
        _number("Available", "status", "availableReplicas"),
        AGE,
        *_WORKLOAD_WIDE,
    ),
    "apps/replicasets": (
        NAME,
        _number("Desired", "spec", "replicas"),
        _number("Current", "status", "replicas"),
        _number("Ready", "status", "readyReplicas"),
        AGE,
        *_WORKLOAD_WIDE,
    ),
    "apps/daemonsets": (
        NAME,
        _number("Desired", "status", "desiredNumberScheduled"),
        _number("Current", "status", "currentNumberScheduled"),
        _number("Ready", "status", "numberReady"),
        _number("Up-to-date", "status", "updatedNumberScheduled"),
        _number("Available", "status", "numberAvailable"),
        Column("Node Selector", lambda obj: pairs(template_spec(obj).get("nodeSelector"))),
        AGE,
        *_WORKLOAD_WIDE,
    ),
    "apps/statefulsets": (
        NAME,
        Column("Ready", lambda obj: ratio(obj, "readyReplicas", "replicas")),
        AGE,
        _wide("Containers", containers),
        _wide("Images", images),
    ),
    "batch/jobs": (
        NAME,
        Column("Status", job_status),
        Column("Completions", lambda obj: ratio(obj, "succeeded", "completions")),
        Column("Duration", job_duration),
        AGE,
        *_WORKLOAD_WIDE,
    ),
    "coordination.k8s.io/leases": (NAME, Column("Holder", at("spec", "holderIdentity")), AGE),
    "discovery.k8s.io/endpointslices": (
        NAME,
        Column("AddressType", at("addressType")),
        Column("Ports", slice_ports),
        Column("Endpoints", slice_endpoints),
        AGE,
    ),
    "rbac.authorization.k8s.io/roles": _CREATED,
    "rbac.authorization.k8s.io/clusterroles": _CREATED,
    "apiextensions.k8s.io/customresourcedefinitions": _CREATED,
    "rbac.authorization.k8s.io/rolebindings": _BINDING,
    "rbac.authorization.k8s.io/clusterrolebindings": _BINDING,
    "scheduling.k8s.io/priorityclasses": (
        NAME,
        Column("Value", at("value", default=0), kind="integer"),
        Column("Global-Default", lambda obj: bool(obj.get("globalDefault")), kind="boolean"),
        AGE,
        Column("PreemptionPolicy", at("preemptionPolicy")),
    ),
    "policy/poddisruptionbudgets": (
        NAME,
        Column("Min Available", lambda obj: str(obj.get("spec", {}).get("minAvailable", "N/A"))),
        Column("Max Unavailable", lambda obj: str(obj.get("spec", {}).get("maxUnavailable", "N/A"))),
        Column("Allowed Disruptions", at("status", "disruptionsAllowed", default=0), kind="integer"),
        AGE,
    ),
    "networking.k8s.io/networkpolicies": (
        NAME,
        Column("Pod-Selector", lambda obj: selector_text(obj.get("spec", {}).get("podSelector"))),
        AGE,
    ),
    "networking.k8s.io/servicecidrs": (NAME, Column("CIDRs", lambda obj: ",".join(obj["spec"]["cidrs"])), AGE),
    "networking.k8s.io/ingresses": (
        NAME,
        Column("Class", lambda obj: obj.get("spec", {}).get("ingressClassName") or NONE),
        Column("Hosts", ingress_hosts),
        Column("Address", ingress_address),
        Column("Ports", lambda obj: "80, 443" if obj.get("spec", {}).get("tls") else "80"),
        AGE,
    ),
}
