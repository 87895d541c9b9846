"""Which pod may run where: selectors, taints, tolerations, node affinity, and the choice of a node. Pure.

As kube-scheduler and the DaemonSet controller decide it, for what manifests for bare metal use; resources
and pod affinity play no part. Must not write anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

# What the DaemonSet controller adds to its pods (daemon/util/daemonset_util.go); the last for host network only.
DAEMONSET_TOLERATIONS: tuple[Object, ...] = (
    {"key": NOT_READY, "operator": "Exists", "effect": "NoExecute"},
    {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/disk-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/pid-pressure", "operator": "Exists", "effect": "NoSchedule"},
    {"key": UNSCHEDULABLE, "operator": "Exists", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/network-unavailable", "operator": "Exists", "effect": "NoSchedule"},
)
# What the admission plugin DefaultTolerationSeconds adds to every other pod.
DEFAULT_TOLERATION_SECONDS = 300


def matches_labels(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Equality on every key of a plain selector, as in Service.spec.selector and nodeSelector."""
    return all(labels.get(key) == value for key, value in selector.items())


def matches_selector(selector: Object, labels: Mapping[str, str]) -> bool:
    """A LabelSelector with matchLabels and matchExpressions; an empty one takes everything."""
    return matches_labels(selector.get("matchLabels") or {}, labels) and all(
        _matches_expression(term, labels) for term in selector.get("matchExpressions") or ()
    )


def _matches_expression(term: Object, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(term["key"]), term.get("values") or []
    match term["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and int(value) > int(values[0])
        case "Lt":
            return value is not None and int(value) < int(values[0])
        case operator:
            raise ValueError(f"unknown operator {operator!r} in a selector")


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether this toleration covers this taint (core/v1 Toleration.ToleratesTaint)."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def untolerated(taints: Iterable[Object], tolerations: Iterable[Object], effects: set[str]) -> Object | None:
    """The first taint of these effects that nothing tolerates."""
    accepted = list(tolerations)
    for taint in taints:
        if taint["effect"] in effects and not any(tolerates(one, taint) for one in accepted):
            return taint
    return None


def eviction_delay(taints: Iterable[Object], tolerations: Iterable[Object]) -> float | None:
    """Seconds that a pod may stay under these NoExecute taints; None without a limit, 0 for at once.

    The shortest of the tolerations' seconds counts, as in the taint eviction controller.
    """
    accepted = list(tolerations)
    shortest: float | None = None
    for taint in taints:
        if taint["effect"] != "NoExecute":
            continue
        covering = [one for one in accepted if tolerates(one, taint)]
        if not covering:
            return 0.0
        limits = [float(one["tolerationSeconds"]) for one in covering if one.get("tolerationSeconds") is not None]
        if limits:
            shortest = min(limits) if shortest is None else min(shortest, *limits)
    return max(shortest, 0.0) if shortest is not None else None


def with_daemonset_tolerations(spec: Object) -> list[Object]:
    """The tolerations of a DaemonSet's pod: its template's and those the controller adds."""
    return [*(spec.get("tolerations") or ()), *DAEMONSET_TOLERATIONS]


def with_default_tolerations(tolerations: Iterable[Object]) -> list[Object]:
    """Tolerations with the 300 s for a node that is not ready or unreachable, unless the pod has its own."""
    result = list(tolerations)
    for key in (NOT_READY, UNREACHABLE):
        if not any(tolerates(one, {"key": key, "effect": "NoExecute"}) for one in result):
            result.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": DEFAULT_TOLERATION_SECONDS,
                }
            )
    return result


def matches_node(spec: Object, node: Object) -> bool:
    """Whether the pod's nodeSelector and required node affinity accept the node; taints apart."""
    labels = node["metadata"].get("labels") or {}
    if not matches_labels(spec.get("nodeSelector") or {}, labels):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(_matches_expression(one, labels) for one in term.get("matchExpressions") or ())
        and all(_matches_expression(one, fields) for one in term.get("matchFields") or ())
        for term in required["nodeSelectorTerms"]
    )


def may_schedule(spec: Object, tolerations: Iterable[Object], node: Object) -> bool:
    """Whether a new pod may go to this node."""
    taints = node_taints(node)
    return matches_node(spec, node) and untolerated(taints, tolerations, {"NoSchedule", "NoExecute"}) is None


def may_stay(spec: Object, tolerations: Iterable[Object], node: Object) -> bool:
    """Whether a DaemonSet's running pod may stay on this node: NoSchedule taints don't drive it away."""
    return matches_node(spec, node) and untolerated(node_taints(node), tolerations, {"NoExecute"}) is None


def node_taints(node: Object) -> list[Object]:
    """The node's taints; `kubectl cordon` counts as one, which the node controller adds a moment later."""
    spec = node.get("spec") or {}
    taints = list(spec.get("taints") or ())
    if spec.get("unschedulable") and not any(taint["key"] == UNSCHEDULABLE for taint in taints):
        taints.append({"key": UNSCHEDULABLE, "effect": "NoSchedule"})
    return taints


def choose_node(spec: Object, nodes: Iterable[Object], pods_on: Mapping[str, int]) -> str | None:
    """Name of the node for a new pod: the one with the fewest pods, the last of equals; None: nowhere.

    The last of equals, as in the article, whose allocator runs on the last worker.
    """
    tolerations = spec.get("tolerations") or ()
    fitting: list[str] = [node["metadata"]["name"] for node in nodes if may_schedule(spec, tolerations, node)]
    if not fitting:
        return None
    return min(reversed(fitting), key=lambda name: pods_on.get(name, 0))
