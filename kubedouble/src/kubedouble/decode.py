"""Decoding objects of built-in kinds as Kubernetes' typed decoder does: unknown fields found and dropped, types held.

Owns the sentences of `strict decoding error` and `cannot unmarshal`. Must not touch: defaults, meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from .errors import JsonObject, bad_request
from .schemas import BuiltInSchemas, short_name

_GO_NAMES: Final = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


@dataclass(slots=True)
class Shape:
    """A schema reduced to what decoding needs. `kind`: struct, map, list, string, integer, number, boolean, any."""

    kind: str
    name: str = ""
    fields: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None


_ANY: Final = Shape("any")
# Go leaves out empty maps and lists when it writes (`omitempty`), but for these.
_KEPT_EMPTY: Final = frozenset(("containers", "endpoints", "rules", "verbs", "versions"))


class Decoder:
    """Compiles schemas to shapes once, then walks objects with them."""

    def __init__(self, schemas: BuiltInSchemas) -> None:
        self._schemas = schemas
        self._shapes: dict[int, Shape] = {}
        self._roots: dict[tuple[str, str], Shape | None] = {}

    def decode(self, group: str, version: str, kind: str, obj: JsonObject) -> tuple[JsonObject, list[str]]:
        """A clean copy of `obj` and the sentences about unknown fields. Raises `StatusError` 400 on a wrong type."""
        shape = self._root(group, kind)
        if shape is None:
            return obj, []
        unknown: list[str] = []
        try:
            clean = _walk(shape, obj, "", unknown)
        except _WrongType as wrong:
            raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {wrong}') from None
        return clean, unknown

    def _root(self, group: str, kind: str) -> Shape | None:
        at = (group, kind)
        if at not in self._roots:
            schema = self._schemas.root(group, kind)
            name = self._schemas.root_name(group, kind) if schema else ""
            self._roots[at] = self._compile(schema, short_name(name)) if schema else None
        return self._roots[at]

    def _compile(self, schema: JsonObject, name: str = "") -> Shape:
        ref = schema.get("$ref") or next((part.get("$ref") for part in schema.get("allOf", ())), None)
        target = self._schemas.resolve(schema)
        if id(target) in self._shapes:
            return self._shapes[id(target)]
        if ref:
            name = short_name(ref)
        schema_type = target.get("type")
        if "properties" in target:
            shape = self._shapes[id(target)] = Shape("struct", name)
            for key, value in target["properties"].items():
                shape.fields[key] = self._compile(value)
            return shape
        if schema_type == "object" and "additionalProperties" in target:
            return Shape("map", item=self._compile(target["additionalProperties"]))
        if schema_type == "array":
            return Shape("list", item=self._compile(target["items"]))
        if schema_type in ("string", "integer", "number", "boolean"):
            return Shape(schema_type)
        return _ANY


class _WrongType(Exception):
    pass


def _mismatch(struct: str, path: str, value: Any, go_type: str) -> _WrongType:
    given = _GO_NAMES.get(type(value), "null")
    where = f"Go struct field {struct}.{path}" if struct else "Go value"
    return _WrongType(f"json: cannot unmarshal {given} into {where} of type {go_type}")


def _walk(shape: Shape, value: Any, path: str, unknown: list[str], struct: str = "", go_path: str = "") -> Any:
    kind = shape.kind
    if kind == "struct":
        if not isinstance(value, dict):
            raise _mismatch(struct, go_path, value, f"v1.{shape.name}")
        out: JsonObject = {}
        fields = shape.fields
        for key, inner in value.items():
            found = fields.get(key)
            if found is None:
                unknown.append(f'unknown field "{path + key}"')
            elif inner is not None:
                if found.kind == "string" and isinstance(inner, str):
                    out[key] = inner
                else:
                    made = _walk(found, inner, f"{path}{key}.", unknown, shape.name, _go(go_path, key))
                    if made or found.kind not in ("map", "list") or key in _KEPT_EMPTY:
                        out[key] = made
        return out
    if kind == "map":
        assert shape.item is not None
        if not isinstance(value, dict):
            raise _mismatch(struct, go_path, value, f"map[string]{_go_type(shape.item)}")
        return {
            key: _walk(shape.item, inner, f"{path}{key}.", unknown, struct, go_path)
            for key, inner in value.items()
            if inner is not None or shape.item.kind == "any"
        }
    if kind == "list":
        assert shape.item is not None
        if not isinstance(value, list):
            raise _mismatch(struct, go_path, value, f"[]{_go_type(shape.item)}")
        stem = path.removesuffix(".")
        return [_walk(shape.item, inner, f"{stem}[{at}].", unknown, struct, go_path) for at, inner in enumerate(value)]
    if kind == "string" and not isinstance(value, str):
        raise _mismatch(struct, go_path, value, "string")
    if kind == "boolean" and not isinstance(value, bool):
        raise _mismatch(struct, go_path, value, "bool")
    if kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
        if isinstance(value, float) and value.is_integer():
            return int(value)
        raise _mismatch(struct, go_path, value, "int32")
    return value


def _go(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _go_type(shape: Shape) -> str:
    if shape.kind == "struct":
        return f"v1.{shape.name}"
    return {"integer": "int32", "boolean": "bool"}.get(shape.kind, shape.kind)
