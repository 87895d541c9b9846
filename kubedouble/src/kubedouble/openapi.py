"""The OpenAPI documents: /openapi/v3 (apply, explain) and /openapi/v2.

Owns the paths and components made from the registry, the built-in schemas and the live CRDs.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Any, Final

from .cluster import Cluster
from .crds import CustomKind
from .discovery import VERSION
from .errors import JsonObject
from .openapiwire import encode_document
from .resources import Resource
from .schemas import REF
from .store import encode

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
_PATCH_TYPES: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_QUERY: Final = ("dryRun", "fieldManager", "fieldValidation")


class OpenApi:
    """Documents are made when asked for and kept until the registry changes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._made: dict[str, bytes] = {}
        self._generation = -1

    def _fresh(self) -> dict[str, bytes]:
        if self._generation != self._cluster.registry.generation:
            self._made.clear()
            self._generation = self._cluster.registry.generation
        return self._made

    def _group_versions(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self._cluster.registry.all():
            prefix = f"apis/{resource.group}" if resource.group else "api"
            found.setdefault(f"{prefix}/{resource.version}", []).append(resource)
        return found

    def index(self) -> JsonObject:
        """/openapi/v3: where each group's document is; the hash changes with its content."""
        paths = {}
        for path in self._group_versions():
            body = self.document(path)
            assert body is not None
            digest = hashlib.sha512(body).hexdigest().upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
        return {"paths": paths}

    def document(self, path: str) -> bytes | None:
        """/openapi/v3/`path`, encoded; None when there is no such group and version."""
        made = self._fresh()
        if path not in made:
            resources = self._group_versions().get(path)
            if resources is None:
                return None
            made[path] = encode(self._document(path, resources))
        return made[path]

    def _document(self, path: str, resources: list[Resource]) -> JsonObject:
        schemas: JsonObject = {}
        paths: JsonObject = {}
        for resource in resources:
            name = self._component(resource, schemas)
            paths.update(_paths(f"/{path}", resource, name))
        self._meta(schemas)
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
            "paths": paths,
            "components": {"schemas": schemas},
        }

    def _component(self, resource: Resource, schemas: JsonObject) -> str:
        """Adds the kind's schema and all that it refers to; returns its name."""
        kinds = [{"group": resource.group, "version": resource.version, "kind": resource.kind}]
        if resource.custom:
            kind = self._cluster.kind(resource)
            assert isinstance(kind, CustomKind)
            name = ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
            schema = _custom_schema(kind.schema)
        else:
            built_in = self._cluster.schemas
            schema = built_in.root(resource.group, resource.kind) or {"type": "object"}
            name = built_in.root_name(resource.group, resource.kind)
            if built_in.root(resource.group, resource.kind) is not None:
                for reachable in built_in.closure(name):
                    schemas[reachable] = built_in.definition(reachable)
            schema = dict(schema)
        schema["x-kubernetes-group-version-kind"] = kinds
        schemas[name] = schema
        schemas[name + "List"] = {
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"$ref": f"{REF}{_META}ListMeta"},
                "items": {"type": "array", "items": {"$ref": REF + name}},
            },
            "x-kubernetes-group-version-kind": [{**kinds[0], "kind": resource.list_kind}],
        }
        return name

    def _meta(self, schemas: JsonObject) -> None:
        built_in = self._cluster.schemas
        built_in.root("", "Service")  # brings ObjectMeta along
        for wanted in ("ObjectMeta", "ListMeta"):
            if _META + wanted in schemas:
                continue
            if wanted == "ListMeta":
                schemas[_META + wanted] = {
                    "type": "object",
                    "properties": {field: {"type": "string"} for field in ("continue", "resourceVersion", "selfLink")},
                }
            else:
                for reachable in built_in.closure(_META + wanted):
                    schemas[reachable] = built_in.definition(reachable)

    def swagger(self, *, protobuf: bool) -> bytes:
        """/openapi/v2, as JSON or as gnostic's protobuf."""
        made = self._fresh()
        form = "v2-protobuf" if protobuf else "v2"
        if form not in made:
            paths: JsonObject = {}
            definitions: JsonObject = {}
            for path, resources in self._group_versions().items():
                document = self._document(path, resources)
                definitions.update(document["components"]["schemas"])
                paths.update(document["paths"])
            document = {
                "swagger": "2.0",
                "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
                "paths": _paths_v2(paths),
                "definitions": _schemas_v2(definitions),
            }
            made[form] = encode_document(document) if protobuf else encode(document)
        return made[form]


def _custom_schema(schema: JsonObject) -> JsonObject:
    published: JsonObject = copy.deepcopy(schema)
    published.setdefault("type", "object")
    properties = published.setdefault("properties", {})
    properties["apiVersion"] = {
        "type": "string",
        "description": "APIVersion defines the versioned schema of this representation of an object.",
    }
    properties["kind"] = {
        "type": "string",
        "description": "Kind is a string value representing the REST resource this object represents.",
    }
    properties["metadata"] = {
        "allOf": [{"$ref": f"{REF}{_META}ObjectMeta"}],
        "description": "Standard object's metadata.",
    }
    return published


def _parameter(name: str) -> JsonObject:
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}


def _paths(root: str, resource: Resource, component: str) -> JsonObject:
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    body = {"schema": {"$ref": REF + component}}
    answer = {"200": {"description": "OK", "content": {"application/json": body}}}

    def operation(action: str, **more: Any) -> JsonObject:
        return {
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
            "responses": answer,
            **more,
        }

    write: JsonObject = {"parameters": [_parameter(name) for name in _QUERY]}
    sent = {"requestBody": {"content": {"*/*": body}, "required": True}}
    # kubectl sends a strategic merge patch to whatever says that it takes one.
    accepted = [kind for kind in _PATCH_TYPES if not (resource.custom and "strategic" in kind)]
    patch: JsonObject = {
        "parameters": [*write["parameters"], _parameter("force")],
        "requestBody": {
            "content": {kind: {"schema": {"type": "object"}} for kind in accepted},
            "required": True,
        },
    }
    base = f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{root}/{resource.plural}"
    collection: JsonObject = {}
    item: JsonObject = {}
    for verb, method, where, action, more in (
        ("list", "get", collection, "list", {}),
        ("create", "post", collection, "post", {**write, **sent}),
        ("deletecollection", "delete", collection, "deletecollection", write),
        ("get", "get", item, "get", {}),
        ("update", "put", item, "put", {**write, **sent}),
        ("patch", "patch", item, "patch", patch),
        ("delete", "delete", item, "delete", write),
    ):
        if verb in resource.verbs:
            where[method] = operation(action, **more)
    paths = {base: collection}
    if item:
        paths[f"{base}/{{name}}"] = item
    return paths


def _paths_v2(paths: JsonObject) -> JsonObject:
    result: JsonObject = {}
    for path, item in paths.items():
        result[path] = {}
        for method, operation in item.items():
            parameters = [
                {"name": one["name"], "in": "query", "type": "string", "uniqueItems": True}
                for one in operation.get("parameters", [])
            ]
            result[path][method] = {
                "x-kubernetes-action": operation["x-kubernetes-action"],
                "x-kubernetes-group-version-kind": operation["x-kubernetes-group-version-kind"],
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
            }
            if method == "patch":
                result[path][method]["consumes"] = list(operation["requestBody"]["content"])
    return result


def _schemas_v2(node: Any) -> Any:
    """OpenAPI v3 schemas in v2's narrower words."""
    if isinstance(node, list):
        return [_schemas_v2(item) for item in node]
    if not isinstance(node, dict):
        return node
    result: JsonObject = {}
    for key, value in node.items():
        if key == "$ref" and isinstance(value, str):
            result[key] = value.replace(REF, "#/definitions/")
        elif key == "allOf" and len(value) == 1 and "$ref" in value[0]:
            result["$ref"] = value[0]["$ref"].replace(REF, "#/definitions/")
        elif key in ("oneOf", "anyOf", "allOf", "not", "nullable") and isinstance(value, list | dict | bool):
            continue
        else:
            result[key] = _schemas_v2(value)
    return result
