"""API servers for tests that don't care which: the embedded one, or a real one when `KUBEBUILDER_ASSETS` names it.

The embedded server starts in milliseconds, so that each test has its own. A real one takes seconds: it is started once
for all tests of a process, and emptied before each.
"""

from __future__ import annotations

import atexit
import functools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from kubedouble import ApiServer
from kubedouble.envtest import assets
from kubedouble.testing.clusters import Api, Real

Json = dict[str, Any]

_SYSTEM: Final = ("kube-system", "kube-public", "kube-node-lease")
_OWN: Final = {("default", "services", "kubernetes"), ("default", "endpoints", "kubernetes")}
"""What the API server itself keeps in `default`, besides the EndpointSlice of that name."""
_EMPTY_WITHIN: Final = 20.0


class Server(Protocol):
    """What both kinds have in common."""

    url: str

    def kubeconfig(self, *, user: str = "admin", server: str = "") -> Json: ...

    def service_account_token(self, namespace: str, name: str) -> str: ...


@functools.cache
def real_server() -> Real | None:
    """The real server of this process, started by who asks first; None without assets."""
    programs = assets()
    if programs is None:
        return None
    running = Real(programs)
    atexit.register(running.stop)
    return running


@asynccontextmanager
async def api_server(*, embedded: bool = False) -> AsyncIterator[Server]:
    """A server without any objects but those that a new one has. `embedded`: never the real one."""
    real = None if embedded else real_server()
    if real is not None:
        empty(real.api)
        yield real
        return
    server = ApiServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def empty(api: Api) -> None:
    """Delete what tests left behind in a real server; there is no controller manager to do it with the namespace."""
    deadline = time.monotonic() + _EMPTY_WITHIN
    while left := list(_leftovers(api)):
        assert time.monotonic() < deadline, f"these don't go: {left[:5]}"
        for path in left:
            answer = api.delete(path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
            assert answer.status in (200, 202, 404, 409), f"DELETE {path}: {answer.body}"
            if answer.status == 200 and (answer.body.get("metadata") or {}).get("finalizers"):
                api.merge(path, {"metadata": {"finalizers": None}})


def _leftovers(api: Api) -> Iterator[str]:
    for prefix, resource in _resources(api):
        plural = resource["name"]
        for item in api.get(f"{prefix}/{plural}").ok()["items"]:
            namespace, name = item["metadata"].get("namespace", ""), item["metadata"]["name"]
            if resource["namespaced"]:
                is_systems = namespace in _SYSTEM or (namespace, plural, name) in _OWN
                if not is_systems and not (namespace == "default" and name == "kubernetes"):
                    yield f"{prefix}/namespaces/{namespace}/{plural}/{name}"
            elif plural == "nodes" or _is_granted(plural, item):
                yield f"{prefix}/{plural}/{name}"


def _is_granted(plural: str, item: Json) -> bool:
    """Whether it is a cluster-wide right that a test has given, not one of those every server has."""
    labels = item["metadata"].get("labels") or {}
    return plural in ("clusterroles", "clusterrolebindings") and "kubernetes.io/bootstrapping" not in labels


def _resources(api: Api) -> Iterator[tuple[str, Json]]:
    """Each kind that can be listed and deleted, under its group's preferred version."""
    groups = [("/api/v1", "v1")]
    for group in api.get("/apis").ok()["groups"]:
        version = group["preferredVersion"]["groupVersion"]
        groups.append((f"/apis/{version}", version))
    for prefix, _ in groups:
        for resource in api.get(prefix).ok()["resources"]:
            if {"list", "delete"} <= set(resource["verbs"]) and "/" not in resource["name"]:
                yield prefix, resource
