"""Schemas of the built-in kinds, as OpenAPI v3 with Kubernetes' extensions.

Owns what type each field of a built-in kind has. The types are read, when first needed, from the model files of the
installed official client (as text: importing 800 pydantic models would cost seconds and 60 MB); how lists and maps
merge is stated here, because the client's models don't say. Must not touch: objects, HTTP.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from .errors import JsonObject

REF: Final = "#/components/schemas/"

_CLASS_IMPORT = re.compile(r"^ +from kubernetes\.client\.models\.(\w+) import (\w+)$", re.MULTILINE)
_FIELD = re.compile(r"^    (\w+): ((?!ClassVar).+?)(?: = (?:Field\((.*)\)|(None)))?$", re.MULTILINE)
_ALIAS = re.compile(r'\b(?:serialization_)?alias="([^"]+)"')
_DESCRIPTION = re.compile(r'description=("(?:[^"\\]|\\.)*")')
_CLASS_DOC = re.compile(r'^class \w+\(BaseModel\):\n    """\n    (.*)\n', re.MULTILINE)
_PREFIX = re.compile(r"^(?:Core|Events|Discovery|Rbac|Storage|Authentication|Apiextensions|Resource)?V[12](?=[A-Z])")

_META = frozenset(
    [
        "APIResource",
        "DeleteOptions",
        "LabelSelector",
        "LabelSelectorRequirement",
        "ListMeta",
        "ManagedFieldsEntry",
        "ObjectMeta",
        "OwnerReference",
        "Preconditions",
        "FieldSelectorRequirement",
    ]
)
_ROOTS: Final[Mapping[tuple[str, str], str]] = {
    ("", "Event"): "CoreV1Event",
    ("events.k8s.io", "Event"): "EventsV1Event",
    ("autoscaling", "HorizontalPodAutoscaler"): "V2HorizontalPodAutoscaler",
    ("authentication.k8s.io", "TokenRequest"): "AuthenticationV1TokenRequest",
}

# Maps of quantities: a number is as good as its text in these fields (resource.Quantity).
_QUANTITY_MAPS = frozenset(
    [
        "limits",
        "requests",
        "capacity",
        "allocatable",
        "hard",
        "used",
        "overhead",
        "allocatedResources",
        "default",
        "defaultRequest",
        "max",
        "min",
        "maxLimitRequestRatio",
    ]
)
_QUANTITIES = frozenset(("sizeLimit", "divisor"))
_MICRO_TIMES = frozenset(("acquireTime", "renewTime", "eventTime", "lastObservedTime"))

# (definition, field) -> how the list or map merges: OpenAPI extensions without their "x-kubernetes-" prefix. Lists not
# named here are atomic. The source: the `+listType`, `+mapType` and `patchStrategy` marks in k8s.io/api's types.go.
_BY_TYPE: JsonObject = {
    "patch-merge-key": "type",
    "patch-strategy": "merge",
    "list-type": "map",
    "list-map-keys": ["type"],
}
_BY_NAME: JsonObject = {
    "patch-merge-key": "name",
    "patch-strategy": "merge",
    "list-type": "map",
    "list-map-keys": ["name"],
}
_BY_NAME_RETAIN: JsonObject = {**_BY_NAME, "patch-strategy": "merge,retainKeys"}
_SET: JsonObject = {"patch-strategy": "merge", "list-type": "set"}
_ATOMIC_MAP: JsonObject = {"map-type": "atomic"}


def _by(key: str, *more: str) -> JsonObject:
    return {
        "patch-merge-key": key,
        "patch-strategy": "merge",
        "list-type": "map",
        "list-map-keys": [key, *more],
    }


_MERGE: Final[Mapping[tuple[str, str], JsonObject]] = {
    ("ObjectMeta", "finalizers"): _SET,
    ("ObjectMeta", "ownerReferences"): _by("uid"),
    ("PodSpec", "containers"): _BY_NAME,
    ("PodSpec", "initContainers"): _BY_NAME,
    ("PodSpec", "ephemeralContainers"): _BY_NAME,
    ("PodSpec", "volumes"): _BY_NAME_RETAIN,
    ("PodSpec", "imagePullSecrets"): _BY_NAME,
    ("PodSpec", "hostAliases"): _by("ip"),
    ("PodSpec", "resourceClaims"): _BY_NAME_RETAIN,
    ("PodSpec", "schedulingGates"): _BY_NAME,
    ("PodSpec", "topologySpreadConstraints"): _by("topologyKey", "whenUnsatisfiable"),
    ("PodSpec", "nodeSelector"): _ATOMIC_MAP,
    ("PodStatus", "hostIPs"): {"patch-merge-key": "ip", "patch-strategy": "merge", "list-type": "atomic"},
    ("PodStatus", "podIPs"): _by("ip"),
    ("Container", "ports"): _by("containerPort", "protocol"),
    ("Container", "env"): _BY_NAME,
    ("Container", "volumeMounts"): _by("mountPath"),
    ("Container", "volumeDevices"): _by("devicePath"),
    ("EphemeralContainer", "ports"): _by("containerPort", "protocol"),
    ("EphemeralContainer", "env"): _BY_NAME,
    ("EphemeralContainer", "volumeMounts"): _by("mountPath"),
    ("ServiceSpec", "ports"): _by("port", "protocol"),
    ("ServiceSpec", "selector"): _ATOMIC_MAP,
    ("ServiceAccount", "secrets"): _BY_NAME,
    ("ReplicationControllerSpec", "selector"): _ATOMIC_MAP,
    ("ContainerStatus", "volumeMounts"): _by("mountPath"),
    ("ContainerStatus", "allocatedResourcesStatus"): _BY_NAME,
    ("PodStatus", "resourceClaimStatuses"): _BY_NAME_RETAIN,
    ("ResourceRequirements", "claims"): {"list-type": "map", "list-map-keys": ["name"]},
    ("ResourceStatus", "resources"): {"list-type": "map", "list-map-keys": ["resourceID"]},
    ("CSINodeSpec", "drivers"): _BY_NAME,
    ("JobStatus", "conditions"): {"patch-merge-key": "type", "patch-strategy": "merge", "list-type": "atomic"},
    ("PodDisruptionBudgetSpec", "selector"): {"patch-strategy": "replace"},
    ("NodeSpec", "podCIDRs"): _SET,
    ("NodeStatus", "addresses"): _by("type"),
    ("DeploymentSpec", "strategy"): {"patch-strategy": "retainKeys"},
    ("EndpointSlice", "addresses"): {"list-type": "set"},
    ("Endpoint", "addresses"): {"list-type": "set"},
    ("JSONSchemaProps", "x-kubernetes-validations"): {
        "patch-merge-key": "rule",
        "patch-strategy": "merge",
        "list-type": "map",
        "list-map-keys": ["rule"],
    },
}
_ATOMIC_TYPES = frozenset(
    [
        "LabelSelector",
        "ObjectReference",
        "LocalObjectReference",
        "TypedLocalObjectReference",
        "SecretKeySelector",
        "RoleRef",
        "ConfigMapKeySelector",
        "ObjectFieldSelector",
        "ResourceFieldSelector",
        "NodeSelector",
        "NodeSelectorTerm",
        "SecretReference",
        "TopologySelectorTerm",
        "Subject",
        "CrossVersionObjectReference",
    ]
)


def short_name(definition: str) -> str:
    """`io.k8s.api.core.v1.ServicePort` -> `ServicePort`."""
    return definition.rpartition(".")[2]


def _definition_name(class_name: str) -> str:
    bare = _PREFIX.sub("", class_name)
    if bare in _META:
        return f"io.k8s.apimachinery.pkg.apis.meta.v1.{bare}"
    group, version = "core", "v1"
    if class_name.startswith("V2"):
        group, version = "autoscaling", "v2"
    else:
        for prefix in ("Events", "Discovery", "Rbac", "Storage", "Authentication", "Resource"):
            if class_name.startswith(prefix + "V1"):
                group = prefix.lower()
    return f"io.k8s.api.{group}.{version}.{bare}"


class BuiltInSchemas:
    """Definitions by name, parsed from the client's files one by one as they are asked for."""

    def __init__(self) -> None:
        spec = find_spec("kubernetes")
        if spec is None or spec.submodule_search_locations is None:
            raise RuntimeError("the package 'kubernetes' is not installed: the built-in kinds have no schemas")
        self._models = Path(next(iter(spec.submodule_search_locations))) / "client" / "models"
        index = (self._models / "__init__.py").read_text()
        self._files = {name: module for module, name in _CLASS_IMPORT.findall(index)}
        self._definitions: dict[str, JsonObject] = {}
        self._roots: dict[tuple[str, str], JsonObject | None] = {}

    def root(self, group: str, kind: str) -> JsonObject | None:
        """The schema of a kind, or None for a kind that the client does not know."""
        at = (group, kind)
        if at not in self._roots:
            class_name = _ROOTS.get(at, "V1" + kind)
            known = class_name in self._files
            self._roots[at] = self.definition(self._parse(class_name)) if known else None
        return self._roots[at]

    def root_name(self, group: str, kind: str) -> str:
        return _definition_name(_ROOTS.get((group, kind), "V1" + kind))

    def definition(self, name: str) -> JsonObject:
        return self._definitions[name]

    def resolve(self, schema: JsonObject) -> JsonObject:
        """Follows `$ref`, also where it hides in the one-element `allOf` that carries a description beside it."""
        ref = schema.get("$ref")
        if ref is None and "allOf" in schema and len(schema["allOf"]) == 1:
            ref = schema["allOf"][0].get("$ref")
        return schema if ref is None else self._definitions[ref.removeprefix(REF)]

    def closure(self, name: str) -> Iterator[str]:
        """`name` and every definition reachable from it."""
        seen, waiting = {name}, [name]
        while waiting:
            current = waiting.pop()
            yield current
            for ref in _refs(self._definitions[current]):
                if ref not in seen:
                    seen.add(ref)
                    waiting.append(ref)

    def _parse(self, class_name: str) -> str:
        name = _definition_name(class_name)
        if name in self._definitions:
            return name
        text = (self._models / f"{self._files[class_name]}.py").read_text()
        doc = _CLASS_DOC.search(text)
        schema: JsonObject = {"type": "object", "description": doc[1].strip() if doc else ""}
        self._definitions[name] = schema
        properties: JsonObject = {}
        required: list[str] = []
        for attribute, annotation, arguments, none in _FIELD.findall(text):
            alias = _ALIAS.search(arguments)
            field = alias[1] if alias else attribute
            if not none and "default=" not in arguments:
                required.append(field)
            described = _DESCRIPTION.search(arguments)
            optional = re.fullmatch(r"Optional\[(.*)\]", annotation)
            shape = self._shape(optional[1] if optional else annotation, field)
            if described:
                text_of_field = ast.literal_eval(described[1])
                if "$ref" in shape:
                    shape = {"allOf": [shape], "default": {}, "description": text_of_field}
                else:
                    shape = {"description": text_of_field, **shape}
            properties[field] = self._merge_rules(short_name(name), field, shape)
        schema["properties"] = properties
        if required:
            schema["required"] = sorted(required)
        if short_name(name) in _ATOMIC_TYPES:
            schema["x-kubernetes-map-type"] = "atomic"
        return name

    def _shape(self, annotation: str, field: str) -> JsonObject:
        if annotation.startswith("List[") and annotation.endswith("]") and "|" not in annotation:
            return {"type": "array", "items": self._shape(annotation[5:-1], "")}
        if annotation.startswith("Dict[str, ") and annotation.endswith("]") and "|" not in annotation:
            if annotation == "Dict[str, Any]":
                return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            if field in _QUANTITY_MAPS:
                return {"type": "object", "additionalProperties": dict(_QUANTITY)}
            inner = annotation[10:-1]
            if "bytes" in inner:
                return {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}
            return {"type": "object", "additionalProperties": self._shape(inner, "")}
        if annotation in _SCALARS:
            if field in _QUANTITIES:
                return dict(_QUANTITY)
            return dict(_SCALARS[annotation])
        if annotation == "datetime":
            return {"type": "string", "format": "date-time"}
        if annotation == "StrictInt | StrictStr":
            return {
                "format": "int-or-string",
                "x-kubernetes-int-or-string": True,
                "oneOf": [{"type": "integer"}, {"type": "string"}],
            }
        if annotation in self._files:
            return {"$ref": REF + self._parse(annotation)}
        return {"x-kubernetes-preserve-unknown-fields": True}

    @staticmethod
    def _merge_rules(definition: str, field: str, shape: JsonObject) -> JsonObject:
        rules = _MERGE.get((definition, field))
        if rules is None and field == "conditions" and shape.get("type") == "array":
            rules = _BY_TYPE
        if rules is None and shape.get("type") == "array":
            rules = {"list-type": "atomic"}
        for rule, value in (rules or {}).items():
            shape[f"x-kubernetes-{rule}"] = value
        return shape


_QUANTITY: Final[Mapping[str, Any]] = {"oneOf": [{"type": "string"}, {"type": "number"}]}
_SCALARS: Final[Mapping[str, JsonObject]] = {
    "StrictStr": {"type": "string"},
    "StrictInt": {"type": "integer", "format": "int32"},
    "StrictBool": {"type": "boolean"},
    "Union[StrictFloat, StrictInt]": {"type": "number"},
}


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(REF)
            else:
                yield from _refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from _refs(value)


@cache
def built_in_schemas() -> BuiltInSchemas:
    """Parsed once per process: they are the same for every server."""
    return BuiltInSchemas()
