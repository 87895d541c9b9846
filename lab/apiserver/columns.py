"""The columns of the built-in kinds, as `kubectl get` shows them (`pkg/printers/internalversion`). Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from .errors import JsonObject

NONE: Final = "<none>"
_LB_WIDTH: Final = 16
"""EXTERNAL-IP is cut at this width unless `-o wide` (loadBalancerStatusStringer)."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    cell: Callable[[JsonObject], Any]
    kind: str = "string"
    form: str = ""
    text: str = ""
    priority: int = 0


def human_duration(seconds: float) -> str:
    """apimachinery `duration.HumanDuration`: 5s, 3m12s, 47m, 5h3m, 2d4h, 400d, 3y12d."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"


def age(stamp: str | None) -> str:
    """How long ago, from an RFC 3339 time."""
    if not stamp:
        return "<unknown>"
    try:
        then = datetime.fromisoformat(stamp)
    except ValueError:
        return "<invalid>"
    return human_duration((datetime.now(UTC) - then).total_seconds())


def _name(obj: JsonObject) -> str:
    return str(obj["metadata"].get("name", ""))


def _age(obj: JsonObject) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


def _at(*path: str, default: Any = "") -> Callable[[JsonObject], Any]:
    def cell(obj: JsonObject) -> Any:
        node: Any = obj
        for step in path:
            node = node.get(step) if isinstance(node, dict) else None
        return default if node is None else node

    return cell


def _selector_text(selector: JsonObject | None) -> str:
    """`metav1.FormatLabelSelector`."""
    if not selector:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], ",".join(expression.get("values") or [])
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }.get(expression["operator"], key)
        )
    return ",".join(parts) or NONE


def _pairs(values: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((values or {}).items())) or NONE


NAME: Final = Column("Name", _name, form="name")
AGE: Final = Column("Age", _age)


def _wide(name: str, cell: Callable[[JsonObject], Any]) -> Column:
    return Column(name, cell, priority=1)


# Services


def _external_ip(obj: JsonObject, *, wide: bool) -> str:
    spec = obj.get("spec", {})
    external = list(spec.get("externalIPs") or [])
    match spec.get("type"):
        case "LoadBalancer":
            ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
            addresses = [entry.get("ip") or entry.get("hostname") or "" for entry in ingress]
            text = ",".join(dict.fromkeys(addresses))
            if not wide and len(text) > _LB_WIDTH:
                text = text[: _LB_WIDTH - 3] + "..."
            if external:
                return ",".join([text, *external]) if text else ",".join(external)
            return text or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName", ""))
        case _:
            return ",".join(external) or NONE


def _service_ports(obj: JsonObject) -> str:
    shown = []
    for port in obj.get("spec", {}).get("ports") or []:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


# Pods


def _pod_reason(obj: JsonObject) -> tuple[int, int, str, int]:
    """Ready containers, all containers, status word, restarts (printPod)."""
    status, spec = obj.get("status", {}), obj.get("spec", {})
    reason = status.get("reason") or status.get("phase", "")
    states = status.get("containerStatuses") or []
    ready = restarts = 0
    running = False
    for state in reversed(states):
        restarts += state.get("restartCount", 0)
        now = state.get("state") or {}
        if (now.get("waiting") or {}).get("reason"):
            reason = now["waiting"]["reason"]
        elif (ended := now.get("terminated")) is not None:
            if ended.get("reason"):
                reason = ended["reason"]
            elif ended.get("signal"):
                reason = f"Signal:{ended['signal']}"
            else:
                reason = f"ExitCode:{ended.get('exitCode', 0)}"
        elif state.get("ready") and "running" in now:
            running = True
            ready += 1
    if reason == "Completed" and running:
        conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or []}
        reason = "Running" if conditions.get("Ready") == "True" else "NotReady"
    if obj["metadata"].get("deletionTimestamp"):
        reason = "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return ready, len(spec.get("containers") or []), reason, restarts


def _pod_restarts(obj: JsonObject) -> str:
    count = _pod_reason(obj)[3]
    last = ""
    for state in obj.get("status", {}).get("containerStatuses") or []:
        ended = (state.get("lastState") or {}).get("terminated") or {}
        last = max(last, ended.get("finishedAt") or "")
    return f"{count} ({age(last)} ago)" if count and last else str(count)


def _pod_ready(obj: JsonObject) -> str:
    ready, total, _, _ = _pod_reason(obj)
    return f"{ready}/{total}"


def _pod_ip(obj: JsonObject) -> str:
    status = obj.get("status", {})
    ips = [entry.get("ip", "") for entry in status.get("podIPs") or []]
    return (ips[0] if ips else status.get("podIP", "")) or NONE


def _readiness_gates(obj: JsonObject) -> str:
    gates = obj.get("spec", {}).get("readinessGates") or []
    if not gates:
        return NONE
    true = {
        entry["type"] for entry in obj.get("status", {}).get("conditions") or [] if entry["status"] == "True"
    }
    return f"{sum(gate['conditionType'] in true for gate in gates)}/{len(gates)}"


# Nodes


def _node_status(obj: JsonObject) -> str:
    ready = [entry for entry in obj.get("status", {}).get("conditions") or [] if entry.get("type") == "Ready"]
    words = ["Unknown"] if not ready else ["Ready" if ready[0].get("status") == "True" else "NotReady"]
    if obj.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _node_roles(obj: JsonObject) -> str:
    roles = set()
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if key.startswith("node-role.kubernetes.io/"):
            roles.add(key.removeprefix("node-role.kubernetes.io/"))
        elif key == "kubernetes.io/role" and value:
            roles.add(value)
    return ",".join(sorted(role for role in roles if role)) or NONE


def _node_address(kind: str) -> Callable[[JsonObject], str]:
    def cell(obj: JsonObject) -> str:
        for address in obj.get("status", {}).get("addresses") or []:
            if address.get("type") == kind:
                return str(address.get("address", ""))
        return NONE

    return cell


def _node_info(field: str) -> Callable[[JsonObject], str]:
    return lambda obj: obj.get("status", {}).get("nodeInfo", {}).get(field) or "<unknown>"


# Workloads


def _template_spec(obj: JsonObject) -> JsonObject:
    spec: JsonObject = obj.get("spec", {}).get("template", {}).get("spec", {})
    return spec


def _containers(obj: JsonObject) -> str:
    return ",".join(entry.get("name", "") for entry in _template_spec(obj).get("containers") or [])


def _images(obj: JsonObject) -> str:
    return ",".join(entry.get("image", "") for entry in _template_spec(obj).get("containers") or [])


def _workload_selector(obj: JsonObject) -> str:
    return _selector_text(obj.get("spec", {}).get("selector"))


def _of(obj: JsonObject, ready: str, wanted: str) -> str:
    return f"{obj.get('status', {}).get(ready, 0)}/{obj.get('spec', {}).get(wanted, 0)}"


def _number(name: str, *path: str) -> Column:
    return Column(name, _at(*path, default=0), kind="integer")


_WORKLOAD_WIDE: Final = (
    _wide("Containers", _containers),
    _wide("Images", _images),
    _wide("Selector", _workload_selector),
)


def _job_status(obj: JsonObject) -> str:
    for condition in obj.get("status", {}).get("conditions") or []:
        if condition.get("status") == "True":
            if condition["type"] in ("Complete", "Failed", "Suspended"):
                return str(condition["type"])
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else "Running"


def _job_duration(obj: JsonObject) -> str:
    status = obj.get("status", {})
    if not status.get("startTime"):
        return ""
    end = datetime.fromisoformat(status["completionTime"]) if status.get("completionTime") else datetime.now(UTC)
    return human_duration((end - datetime.fromisoformat(status["startTime"])).total_seconds())


# Events


def _event_seen(obj: JsonObject) -> str:
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("eventTime")
    count = obj.get("count") or series.get("count") or 0
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    if count > 1 and first and not series:
        return f"{age(last)} (x{count} over {age(first)})"
    if series and first:
        return f"{age(last)} (x{series.get('count', 1)} over {age(first)})"
    return age(last) if last else "<unknown>"


def _event_last(obj: JsonObject) -> str:
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or obj.get("eventTime")
    return age(last) if last else "<unknown>"


def _event_first(obj: JsonObject) -> str:
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    return age(first) if first else "<unknown>"


def _event_object(obj: JsonObject) -> str:
    involved = obj.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def _event_source(obj: JsonObject) -> str:
    source = obj.get("source") or {}
    parts = [source.get("component") or obj.get("reportingComponent") or "", source.get("host") or ""]
    return ", ".join(part for part in parts if part)


# Endpoints and slices


def _endpoints(obj: JsonObject) -> str:
    shown: list[str] = []
    for subset in obj.get("subsets") or []:
        for address in subset.get("addresses") or []:
            for port in subset.get("ports") or [{}]:
                shown.append(f"{address['ip']}:{port['port']}" if port else address["ip"])
    return _first(shown, 3)


def _first(shown: list[str], limit: int) -> str:
    if not shown:
        return NONE
    more = len(shown) - limit
    return ",".join(shown[:limit]) + (f" + {more} more..." if more > 0 else "")


def _slice_ports(obj: JsonObject) -> str:
    return _first([str(port.get("port", "*")) for port in obj.get("ports") or []], 3) if obj.get("ports") else "<unset>"


def _slice_endpoints(obj: JsonObject) -> str:
    addresses = [entry["addresses"][0] for entry in obj.get("endpoints") or [] if entry.get("addresses")]
    return _first(addresses, 3) if addresses else "<unset>"


# Bindings


def _role_ref(obj: JsonObject) -> str:
    ref = obj.get("roleRef", {})
    return f"{ref.get('kind', '')}/{ref.get('name', '')}"


def _subjects(kind: str) -> Callable[[JsonObject], str]:
    def cell(obj: JsonObject) -> str:
        shown = []
        for subject in obj.get("subjects") or []:
            if subject.get("kind") == kind:
                home = f"{subject['namespace']}/" if subject.get("namespace") else ""
                shown.append(home + subject.get("name", ""))
        return ", ".join(shown)

    return cell


_BINDING: Final = (
    NAME,
    Column("Role", _role_ref),
    AGE,
    _wide("Users", _subjects("User")),
    _wide("Groups", _subjects("Group")),
    _wide("ServiceAccounts", _subjects("ServiceAccount")),
)
_CREATED: Final = (NAME, Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp", ""), kind="date"))


def _ingress_address(obj: JsonObject) -> str:
    entries = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return ",".join(entry.get("ip") or entry.get("hostname") or "" for entry in entries)


def _ingress_hosts(obj: JsonObject) -> str:
    hosts = [rule.get("host") or "*" for rule in obj.get("spec", {}).get("rules") or []]
    return ",".join(hosts) or "*"


BUILT_IN_COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "/services": (
        NAME,
        Column("Type", _at("spec", "type")),
        Column("Cluster-IP", lambda obj: obj.get("spec", {}).get("clusterIP") or NONE),
        Column("External-IP", lambda obj: _external_ip(obj, wide=True)),
        Column("Port(s)", _service_ports),
        AGE,
        _wide("Selector", lambda obj: _pairs(obj.get("spec", {}).get("selector"))),
    ),
    "/pods": (
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", lambda obj: _pod_reason(obj)[2]),
        Column("Restarts", _pod_restarts),
        AGE,
        _wide("IP", _pod_ip),
        _wide("Node", lambda obj: obj.get("spec", {}).get("nodeName") or NONE),
        _wide("Nominated Node", lambda obj: obj.get("status", {}).get("nominatedNodeName") or NONE),
        _wide("Readiness Gates", _readiness_gates),
    ),
    "/nodes": (
        NAME,
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        AGE,
        Column("Version", _at("status", "nodeInfo", "kubeletVersion")),
        _wide("Internal-IP", _node_address("InternalIP")),
        _wide("External-IP", _node_address("ExternalIP")),
        _wide("OS-Image", _node_info("osImage")),
        _wide("Kernel-Version", _node_info("kernelVersion")),
        _wide("Container-Runtime", _node_info("containerRuntimeVersion")),
    ),
    "/namespaces": (NAME, Column("Status", _at("status", "phase")), AGE),
    "/configmaps": (
        NAME,
        Column("Data", lambda obj: len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), kind="integer"),
        AGE,
    ),
    "/secrets": (
        NAME,
        Column("Type", _at("type")),
        Column("Data", lambda obj: len(obj.get("data") or {}), kind="integer"),
        AGE,
    ),
    "/serviceaccounts": (NAME, AGE),
    "/endpoints": (NAME, Column("Endpoints", _endpoints), AGE),
    "/events": (
        Column("Last Seen", _event_last),
        Column("Type", _at("type")),
        Column("Reason", _at("reason")),
        Column("Object", _event_object),
        Column("Subobject", _at("involvedObject", "fieldPath"), priority=1),
        Column("Source", _event_source, priority=1),
        Column("Message", lambda obj: str(obj.get("message") or "").strip()),
        Column("First Seen", _event_first, priority=1),
        Column("Count", lambda obj: str(obj.get("count") or (obj.get("series") or {}).get("count") or 1), priority=1),
        Column("Name", _name, form="name", priority=1),
    ),
    "apps/deployments": (
        NAME,
        Column("Ready", lambda obj: _of(obj, "readyReplicas", "replicas")),
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
        Column("Node Selector", lambda obj: _pairs(_template_spec(obj).get("nodeSelector"))),
        AGE,
        *_WORKLOAD_WIDE,
    ),
    "apps/statefulsets": (
        NAME,
        Column("Ready", lambda obj: _of(obj, "readyReplicas", "replicas")),
        AGE,
        _wide("Containers", _containers),
        _wide("Images", _images),
    ),
    "batch/jobs": (
        NAME,
        Column("Status", _job_status),
        Column("Completions", lambda obj: _of(obj, "succeeded", "completions")),
        Column("Duration", _job_duration),
        AGE,
        *_WORKLOAD_WIDE,
    ),
    "coordination.k8s.io/leases": (NAME, Column("Holder", _at("spec", "holderIdentity")), AGE),
    "discovery.k8s.io/endpointslices": (
        NAME,
        Column("AddressType", _at("addressType")),
        Column("Ports", _slice_ports),
        Column("Endpoints", _slice_endpoints),
        AGE,
    ),
    "rbac.authorization.k8s.io/roles": _CREATED,
    "rbac.authorization.k8s.io/clusterroles": _CREATED,
    "apiextensions.k8s.io/customresourcedefinitions": _CREATED,
    "rbac.authorization.k8s.io/rolebindings": _BINDING,
    "rbac.authorization.k8s.io/clusterrolebindings": _BINDING,
    "scheduling.k8s.io/priorityclasses": (
        NAME,
        Column("Value", _at("value", default=0), kind="integer"),
        Column("Global-Default", lambda obj: bool(obj.get("globalDefault")), kind="boolean"),
        AGE,
        Column("PreemptionPolicy", _at("preemptionPolicy")),
    ),
    "policy/poddisruptionbudgets": (
        NAME,
        Column("Min Available", lambda obj: str(obj.get("spec", {}).get("minAvailable", "N/A"))),
        Column("Max Unavailable", lambda obj: str(obj.get("spec", {}).get("maxUnavailable", "N/A"))),
        Column("Allowed Disruptions", _at("status", "disruptionsAllowed", default=0), kind="integer"),
        AGE,
    ),
    "networking.k8s.io/networkpolicies": (
        NAME,
        Column("Pod-Selector", lambda obj: _selector_text(obj.get("spec", {}).get("podSelector"))),
        AGE,
    ),
    "networking.k8s.io/ingresses": (
        NAME,
        Column("Class", lambda obj: obj.get("spec", {}).get("ingressClassName") or NONE),
        Column("Hosts", _ingress_hosts),
        Column("Address", _ingress_address),
        Column("Ports", lambda obj: "80, 443" if obj.get("spec", {}).get("tls") else "80"),
        AGE,
    ),
}
