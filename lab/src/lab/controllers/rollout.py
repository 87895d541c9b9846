"""How many pods of which revision: the arithmetic of Deployments and DaemonSets. Pure.

As kube-controller-manager's deployment (rolling.go, recreate.go) and daemon (update.go) controllers decide
it. Input are counts and pods as frozen values, output what to create and delete; must not read or write
the API.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The alphabet of Kubernetes' generated names: no vowels, no digits that look like letters.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def safe_name(data: bytes, length: int) -> str:
    """A name part of that length from the hash of `data`, in Kubernetes' alphabet."""
    digest = hashlib.sha256(data).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:length])


def template_hash(template: Mapping[str, Any]) -> str:
    """What tells one pod template from another: the value of the label pod-template-hash."""
    return safe_name(json.dumps(template, sort_keys=True).encode(), 10)


def resolve(value: int | str | None, default: int | str, total: int, *, round_up: bool) -> int:
    """An int-or-percent field such as maxSurge, as a number of pods."""
    chosen = default if value is None else value
    if isinstance(chosen, str):
        share = int(chosen.rstrip("%")) * total / 100
        return math.ceil(share) if round_up else math.floor(share)
    return chosen


@dataclass(frozen=True, slots=True)
class Replicas:
    """One ReplicaSet: what it is told to run, what runs, and what can serve."""

    name: str
    wanted: int
    running: int
    available: int


@dataclass(frozen=True, slots=True)
class Strategy:
    """A Deployment's strategy, in pods. `recreate` ignores the two limits."""

    recreate: bool
    max_surge: int
    max_unavailable: int


def deployment_strategy(spec: Mapping[str, Any]) -> Strategy:
    """The strategy of a Deployment's spec; both limits zero means one unavailable, as upstream."""
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Strategy(True, 0, 0)
    rolling, total = strategy.get("rollingUpdate") or {}, spec.get("replicas", 1)
    surge = resolve(rolling.get("maxSurge"), "25%", total, round_up=True)
    unavailable = resolve(rolling.get("maxUnavailable"), "25%", total, round_up=False)
    return Strategy(False, surge, unavailable if surge or unavailable else 1)


def scale_deployment(desired: int, strategy: Strategy, new: Replicas, old: Sequence[Replicas]) -> dict[str, int]:
    """Next `replicas` of each ReplicaSet, by name; those that keep theirs are left out.

    One step: called again after each change until nothing is left to do.
    """
    wanted = {one.name: one.wanted for one in (*old, new)}
    if strategy.recreate:
        target = {one.name: 0 for one in old}
        target[new.name] = desired if not any(one.wanted or one.running for one in old) else new.wanted
    else:
        target = _roll(desired, strategy, new, old)
    return {name: count for name, count in target.items() if count != wanted[name]}


def _roll(desired: int, strategy: Strategy, new: Replicas, old: Sequence[Replicas]) -> dict[str, int]:
    target = {one.name: one.wanted for one in (*old, new)}
    total = sum(target.values())
    if new.wanted > desired:
        target[new.name] = desired
    elif new.wanted < desired:
        room = desired + strategy.max_surge - total
        target[new.name] = new.wanted + max(0, min(room, desired - new.wanted))

    # Pods of old revisions that don't serve are no loss; then as many others as availability allows.
    spare = total - (desired - strategy.max_unavailable) - max(0, new.wanted - new.available)
    spare = max(0, spare)
    for one in old:
        broken = min(one.wanted - min(one.available, one.wanted), spare)
        target[one.name] -= broken
        spare -= broken
    available = sum(one.available for one in (*old, new))
    spare = min(spare, max(0, available - (desired - strategy.max_unavailable)))
    for one in old:
        fewer = min(target[one.name], spare)
        target[one.name] -= fewer
        spare -= fewer
    return target


@dataclass(frozen=True, slots=True)
class DaemonPod:
    """One pod of a DaemonSet."""

    name: str
    node: str
    revision: str
    is_available: bool
    is_terminating: bool
    created: str = ""


@dataclass(frozen=True, slots=True)
class DaemonPlan:
    """Nodes on which to create a pod of the new revision, and names of pods to delete."""

    create: tuple[str, ...]
    delete: tuple[str, ...]


def plan_daemonset(
    should_run: Sequence[str],
    may_stay: Sequence[str],
    pods: Sequence[DaemonPod],
    revision: str,
    update: Mapping[str, Any],
) -> DaemonPlan:
    """What a DaemonSet does next: a pod on each node, and the rolling update within its limits.

    `should_run` are nodes that take a new pod, `may_stay` those that also keep one; `update` is the spec's
    updateStrategy (RollingUpdate with maxUnavailable, maxSurge; or OnDelete).
    """
    create, delete = [], []
    keep, rolling = set(may_stay) | set(should_run), update.get("rollingUpdate") or {}
    rolls = update.get("type", "RollingUpdate") == "RollingUpdate"
    surge = resolve(rolling.get("maxSurge"), 0, len(should_run), round_up=True)
    unavailable = resolve(rolling.get("maxUnavailable"), 0 if surge else 1, len(should_run), round_up=True)

    delete += [pod.name for pod in pods if pod.node not in keep and not pod.is_terminating]
    surging, down = 0, 0
    outdated: list[DaemonPod] = []
    for node in sorted(keep):
        here = [pod for pod in pods if pod.node == node]
        alive = sorted((pod for pod in here if not pod.is_terminating), key=lambda pod: (pod.created, pod.name))
        new = [pod for pod in alive if pod.revision == revision]
        old = [pod for pod in alive if pod.revision != revision]
        if (here or node in should_run) and not any(pod.is_available for pod in here):
            down += 1
        delete += [pod.name for pod in new[1:]] + [pod.name for pod in old[1:]]
        if not alive:
            # While the old pod stops, a new one would fight it for the node's ports.
            if not here and node in should_run:
                create.append(node)
        elif new and old:
            surging += 1
            if new[0].is_available:
                delete.append(old[0].name)
        elif old and rolls:
            outdated.append(old[0])

    # Pods that don't serve go first: replacing them costs nothing.
    for pod in sorted(outdated, key=lambda pod: (pod.is_available, pod.node)):
        if not pod.is_available and not surge:
            delete.append(pod.name)
        elif surge:
            if surging < surge:
                surging += 1
                create.append(pod.node)
        elif down < unavailable:
            down += 1
            delete.append(pod.name)
    return DaemonPlan(tuple(create), tuple(delete))
