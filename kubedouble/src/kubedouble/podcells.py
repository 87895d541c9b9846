"""Cells of the columns of Pods, Nodes and workloads: object -> what stands there. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from .ages import age, human_duration
from .cells import NONE, selector_text
from .errors import JsonObject

# Pods


def pod_reason(obj: JsonObject) -> tuple[int, int, str, int]:
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


def pod_restarts(obj: JsonObject) -> str:
    count = pod_reason(obj)[3]
    last = ""
    for state in obj.get("status", {}).get("containerStatuses") or []:
        ended = (state.get("lastState") or {}).get("terminated") or {}
        last = max(last, ended.get("finishedAt") or "")
    return f"{count} ({age(last)} ago)" if count and last else str(count)


def pod_ready(obj: JsonObject) -> str:
    ready, total, _, _ = pod_reason(obj)
    return f"{ready}/{total}"


def pod_ip(obj: JsonObject) -> str:
    status = obj.get("status", {})
    ips = [entry.get("ip", "") for entry in status.get("podIPs") or []]
    return (ips[0] if ips else status.get("podIP", "")) or NONE


def readiness_gates(obj: JsonObject) -> str:
    gates = obj.get("spec", {}).get("readinessGates") or []
    if not gates:
        return NONE
    true = {entry["type"] for entry in obj.get("status", {}).get("conditions") or [] if entry["status"] == "True"}
    return f"{sum(gate['conditionType'] in true for gate in gates)}/{len(gates)}"


# Nodes


def node_status(obj: JsonObject) -> str:
    ready = [entry for entry in obj.get("status", {}).get("conditions") or [] if entry.get("type") == "Ready"]
    words = ["Unknown"] if not ready else ["Ready" if ready[0].get("status") == "True" else "NotReady"]
    if obj.get("spec", {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def node_roles(obj: JsonObject) -> str:
    roles = set()
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if key.startswith("node-role.kubernetes.io/"):
            roles.add(key.removeprefix("node-role.kubernetes.io/"))
        elif key == "kubernetes.io/role" and value:
            roles.add(value)
    return ",".join(sorted(role for role in roles if role)) or NONE


def node_address(kind: str) -> Callable[[JsonObject], str]:
    def cell(obj: JsonObject) -> str:
        for address in obj.get("status", {}).get("addresses") or []:
            if address.get("type") == kind:
                return str(address.get("address", ""))
        return NONE

    return cell


def node_info(field: str) -> Callable[[JsonObject], str]:
    return lambda obj: obj.get("status", {}).get("nodeInfo", {}).get(field) or "<unknown>"


# Workloads


def template_spec(obj: JsonObject) -> JsonObject:
    spec: JsonObject = obj.get("spec", {}).get("template", {}).get("spec", {})
    return spec


def containers(obj: JsonObject) -> str:
    return ",".join(entry.get("name", "") for entry in template_spec(obj).get("containers") or [])


def images(obj: JsonObject) -> str:
    return ",".join(entry.get("image", "") for entry in template_spec(obj).get("containers") or [])


def workload_selector(obj: JsonObject) -> str:
    return selector_text(obj.get("spec", {}).get("selector"))


def ratio(obj: JsonObject, ready: str, wanted: str) -> str:
    return f"{obj.get('status', {}).get(ready, 0)}/{obj.get('spec', {}).get(wanted, 0)}"


def job_status(obj: JsonObject) -> str:
    for condition in obj.get("status", {}).get("conditions") or []:
        if condition.get("status") == "True" and condition["type"] in ("Complete", "Failed", "Suspended"):
            return str(condition["type"])
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else "Running"


def job_duration(obj: JsonObject) -> str:
    status = obj.get("status", {})
    if not status.get("startTime"):
        return ""
    end = datetime.fromisoformat(status["completionTime"]) if status.get("completionTime") else datetime.now(UTC)
    return human_duration((end - datetime.fromisoformat(status["startTime"])).total_seconds())
