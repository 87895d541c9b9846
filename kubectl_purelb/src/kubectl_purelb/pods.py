"""PureLB's own pods, and which of them is meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from kubectl_purelb.cluster import AGENT, ALLOCATOR, component_of
from purelb.addresses import listed
from purelb.errors import SettingsError

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """One of them."""

    name: str
    component: str
    node: str
    is_running: bool
    restarts: int


def view_pods(bodies: Iterable[Json]) -> tuple[Pod, ...]:
    """Those of the two programs, by name."""
    found = [_pod(body) for body in bodies if component_of(body) in (ALLOCATOR, AGENT)]
    return tuple(sorted(found, key=lambda pod: pod.name))


def _pod(body: Json) -> Pod:
    status = body.get("status") or {}
    return Pod(
        name=body["metadata"]["name"],
        component=component_of(body),
        node=str((body.get("spec") or {}).get("nodeName") or ""),
        is_running=status.get("phase") == "Running",
        restarts=sum(one.get("restartCount") or 0 for one in status.get("containerStatuses") or ()),
    )


def chosen(pods: Sequence[Pod], subject: str) -> tuple[Pod, ...]:
    """Those that run and are meant by a pod's name, by ``allocator``, or by the node whose agent is meant.

    Raises SettingsError where none is.
    """
    running = [pod for pod in pods if pod.is_running]
    for found in (
        [pod for pod in running if pod.name == subject],
        [pod for pod in running if pod.component == ALLOCATOR and subject == ALLOCATOR],
        [pod for pod in running if pod.component == AGENT and pod.node == subject],
    ):
        if found:
            return tuple(found)
    known = listed([*sorted({pod.node for pod in running if pod.component == AGENT}), ALLOCATOR], 8)
    raise SettingsError(f'"{subject}" is no pod of PureLB\'s that runs, nor a node with one: {known}')
