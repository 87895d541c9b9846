"""URLs of the Kubernetes API -> what is asked for.

Owns the grammar of paths and which verb a method means. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_METHOD_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "GET": "get", "HEAD": "get"}


@dataclass(frozen=True, slots=True)
class Target:
    """A request to a resource. `verb` is RBAC's: get, list, watch, create, update, patch, delete, deletecollection."""

    verb: str
    group: str
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows the subresource in the path (proxies only)."""


def is_true(value: str | None) -> bool:
    """A boolean query parameter: present and not `0` or `false`."""
    return value is not None and value not in ("0", "false", "False")


def parse(method: str, path: str, query: Mapping[str, str]) -> Target | None:
    """None for a path that is no resource's (`/version`, `/apis/apps/v1`)."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watch = is_true(query.get("watch"))
    if rest[0] == "watch" and len(rest) > 1:  # the deprecated form, still served by Kubernetes
        watch, rest = True, rest[1:]
    namespace = ""
    if (
        rest[0] == "namespaces"
        and len(rest) >= 3
        and not (len(rest) == 3 and rest[2] in ("status", "finalize") and not group)
    ):
        namespace, rest = rest[1], rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if method == "DELETE":
        verb = "delete" if name else "deletecollection"
    else:
        verb = _METHOD_VERBS.get(method, "")
        if verb == "get" and watch and not subresource:
            verb = "watch"
        elif verb == "get" and not name:
            verb = "list"
    if resource == "namespaces" and not group:
        namespace = name  # RBAC sees a namespace as being inside itself
    return Target(verb, group, version, resource, namespace, name, subresource, "/".join(rest[3:]))
