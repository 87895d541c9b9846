"""A Pod's status from what its containers do. Pure.

Owns how container states become phase, conditions and containerStatuses (kubelet's status manager); must not
watch or write anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    reason: str  # ContainerCreating, CrashLoopBackOff, CreateContainerConfigError
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    since: str  # API time


@dataclass(frozen=True, slots=True)
class Terminated:
    exit_code: int
    started: str
    finished: str

    @property
    def reason(self) -> str:
        return "Completed" if self.exit_code == 0 else "Error"


ContainerState = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """One container as of now."""

    name: str
    image: str
    state: ContainerState
    last: Terminated | None = None
    restarts: int = 0
    started: bool = False  # its startup probe, if it has one, has passed
    ready: bool = False


@dataclass(frozen=True, slots=True)
class PodPlace:
    """Where the pod runs: addresses of the pod and of its node, IPv4 first, and since when."""

    pod_ips: tuple[str, ...]
    host_ips: tuple[str, ...]
    since: str


def pod_status(
    spec: Object, place: PodPlace, containers: tuple[ContainerStatus, ...], now: str, previous: Object
) -> Object:
    """The status to write; condition times move only when the condition does.

    Without `qosClass`: the API server has set it by the spec, and takes no other (core ValidatePodStatusUpdate).
    """
    ready = bool(containers) and all(one.ready for one in containers)
    status: Object = {
        "phase": phase(spec.get("restartPolicy", "Always"), containers),
        "podIP": place.pod_ips[0],
        "podIPs": [{"ip": ip} for ip in place.pod_ips],
        "hostIP": place.host_ips[0],
        "hostIPs": [{"ip": ip} for ip in place.host_ips],
        "startTime": place.since,
        "containerStatuses": [_container(one) for one in containers],
    }
    unready = " ".join(one.name for one in containers if not one.ready)
    why = ("", "") if ready else ("ContainersNotReady", f"containers with unready status: [{unready}]")
    wanted = {
        "PodScheduled": (True, "", ""),
        "Initialized": (True, "", ""),
        "ContainersReady": (ready, *why),
        "Ready": (ready, *why),
    }
    known = {one["type"]: one for one in previous.get("conditions") or ()}
    status["conditions"] = [
        _condition(kind, holds, reason, message, now, known.get(kind))
        for kind, (holds, reason, message) in wanted.items()
    ]
    return status


def phase(restart_policy: str, containers: tuple[ContainerStatus, ...]) -> str:
    """Pending, Running, Succeeded or Failed (kubelet getPhase)."""
    states = [one.state for one in containers]
    if any(isinstance(state, Waiting) and one.restarts == 0 for one, state in zip(containers, states, strict=True)):
        return "Pending"
    if all(isinstance(state, Terminated) for state in states) and restart_policy != "Always":
        codes = [state.exit_code for state in states if isinstance(state, Terminated)]
        if all(code == 0 for code in codes):
            return "Succeeded"
        if restart_policy == "Never":
            return "Failed"
    return "Running"


def _container(one: ContainerStatus) -> Object:
    result: Object = {
        "name": one.name,
        "image": one.image,
        "imageID": f"lab://{one.image}",
        "containerID": f"lab://{one.name}-{one.restarts}",
        "restartCount": one.restarts,
        "started": one.started,
        "ready": one.ready,
        "state": _state(one.state),
    }
    if one.last is not None:
        result["lastState"] = _state(one.last)
    return result


def _state(state: ContainerState) -> Object:
    # All three keys, so that a merge patch takes away the former state.
    empty: Object = {"waiting": None, "running": None, "terminated": None}
    match state:
        case Waiting(reason, message):
            return {**empty, "waiting": {"reason": reason, "message": message}}
        case Running(since):
            return {**empty, "running": {"startedAt": since}}
        case Terminated(code, started, finished):
            terminated = {"exitCode": code, "reason": state.reason, "startedAt": started, "finishedAt": finished}
            return {**empty, "terminated": terminated}


def _condition(kind: str, holds: bool, reason: str, message: str, now: str, known: Object | None) -> Object:
    status = "True" if holds else "False"
    since = known["lastTransitionTime"] if known is not None and known["status"] == status else now
    result = {"type": kind, "status": status, "lastTransitionTime": since, "lastProbeTime": None}
    if reason:
        result.update(reason=reason, message=message)
    return result
