"""A container's environment from its manifest: values, fields, Secrets, ConfigMaps, `$(NAME)`. Pure.

Owns how `env` and `envFrom` become a plain mapping (Kubernetes API, EnvVarSource); reads Secrets and
ConfigMaps from a lookup that it is given. Must not touch the API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Object = dict[str, Any]
# ("secrets" | "configmaps", name) -> the object's strings, None when there is no such object.
Lookup = Callable[[str, str], Mapping[str, str] | None]

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


class MissingReference(Exception):
    """A Secret, ConfigMap or key that the container needs is not there: CreateContainerConfigError."""


def resolve_environment(container: Object, pod: Object, lookup: Lookup) -> dict[str, str]:
    """The container's environment; later entries win and may refer to earlier ones.

    Raises MissingReference.
    """
    result: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix", "")
        for kind, field in (("secrets", "secretRef"), ("configmaps", "configMapRef")):
            if field in source:
                values = _find(lookup, kind, source[field])
                result.update({f"{prefix}{key}": value for key, value in (values or {}).items()})
    for entry in container.get("env") or ():
        value = _value(entry, container, pod, lookup, result)
        if value is not None:
            result[entry["name"]] = value
    return result


def references(container: Object, volumes: Iterable[Object]) -> set[tuple[str, str]]:
    """("secrets" | "configmaps", name) of everything that the container's environment or these volumes name."""
    sources = [
        *(container.get("envFrom") or ()),
        *(entry.get("valueFrom") or {} for entry in container.get("env") or ()),
    ]
    found: set[tuple[str, str]] = set()
    for source in sources:
        for kind, fields in (
            ("secrets", ("secretRef", "secretKeyRef")),
            ("configmaps", ("configMapRef", "configMapKeyRef")),
        ):
            found |= {(kind, source[field]["name"]) for field in fields if field in source}
    for volume in volumes:
        if "secret" in volume:
            found.add(("secrets", volume["secret"]["secretName"]))
        if "configMap" in volume:
            found.add(("configmaps", volume["configMap"]["name"]))
    return found


def expand(text: str, environment: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where NAME is known, `$$` is one dollar (third_party/forked/golang/expansion)."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


def _value(entry: Object, container: Object, pod: Object, lookup: Lookup, known: dict[str, str]) -> str | None:
    source = entry.get("valueFrom")
    if source is None:
        return expand(entry.get("value", ""), known)
    if "fieldRef" in source:
        return field_value(source["fieldRef"]["fieldPath"], pod)
    if "resourceFieldRef" in source:
        return _resource(source["resourceFieldRef"]["resource"], container)
    for kind, field in (("secrets", "secretKeyRef"), ("configmaps", "configMapKeyRef")):
        if field in source:
            reference = source[field]
            values = _find(lookup, kind, reference)
            if values is None:
                return None
            if reference["key"] not in values and not reference.get("optional"):
                raise MissingReference(f"couldn't find key {reference['key']} in {kind} {reference['name']}")
            return values.get(reference["key"])
    raise MissingReference(f"environment variable {entry['name']} has a source that the lab doesn't know")


def _find(lookup: Lookup, kind: str, reference: Object) -> Mapping[str, str] | None:
    values = lookup(kind, reference["name"])
    if values is None and not reference.get("optional"):
        raise MissingReference(f'{kind.removesuffix("s")} "{reference["name"]}" not found')
    return values


def field_value(path: str, pod: Object) -> str:
    """The downward API's `fieldPath` of a pod, its status included. Raises MissingReference."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": status.get("hostIP", ""),
        "status.podIP": status.get("podIP", ""),
        "status.hostIPs": ",".join(one["ip"] for one in status.get("hostIPs") or ()),
        "status.podIPs": ",".join(one["ip"] for one in status.get("podIPs") or ()),
    }
    if path not in simple:
        raise MissingReference(f"field path {path} is not supported")
    return str(simple[path])


def _resource(name: str, container: Object) -> str:
    kind, _, resource = name.partition(".")
    return str(((container.get("resources") or {}).get(kind) or {}).get(resource, "0"))
