"""Sets of fields, as `metadata.managedFields` speaks of them.

Owns the paths of fields through granular maps, lists by key and sets (structured-merge-diff), their `FieldsV1` form,
and what to do with an object along such a path. Pure.

A path is a tuple of FieldsV1 elements: `("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:targetPort")`. An
item of a list is in the set beside its fields, so that it can be owned as such.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from .errors import JsonObject

Path = tuple[str, ...]
Fields = frozenset[Path]

_KEY_DEFAULTS: Final = {"protocol": "TCP"}
"""Values of list keys that objects may leave out."""
_OWNABLE_META: Final = ("annotations", "finalizers", "generateName", "labels", "ownerReferences")


@dataclass(frozen=True, slots=True)
class Typed:
    """A schema with the way to follow its references."""

    schema: JsonObject
    resolve: Callable[[JsonObject], JsonObject]

    def into(self, schema: JsonObject | None) -> Typed:
        return Typed(schema or {}, self.resolve)

    @property
    def target(self) -> JsonObject:
        return self.resolve(self.schema)

    def is_atomic(self) -> bool:
        atomic = "atomic" in (self.schema.get("x-kubernetes-map-type"), self.target.get("x-kubernetes-map-type"))
        return atomic or bool(
            self.schema.get("x-kubernetes-preserve-unknown-fields") and not self.target.get("properties")
        )

    def field(self, key: str) -> Typed:
        target = self.target
        found = target.get("properties", {}).get(key)
        if found is None and isinstance(target.get("additionalProperties"), dict):
            found = target["additionalProperties"]
        return self.into(found)

    def items(self) -> Typed:
        return self.into(self.schema.get("items"))

    def list_type(self) -> str:
        return str(self.schema.get("x-kubernetes-list-type") or "atomic")

    def element(self, item: Any) -> str | None:
        """An item's path element in a list by key or a set; None when the item lacks its key."""
        if self.list_type() == "set":
            return "v:" + json.dumps(item, separators=(",", ":"))
        keys = {}
        for key in sorted(self.schema.get("x-kubernetes-list-map-keys") or ()):
            value = item.get(key, _KEY_DEFAULTS.get(key)) if isinstance(item, dict) else None
            if value is None:
                return None
            keys[key] = value
        return "k:" + json.dumps(keys, separators=(",", ":"))

    def children(self, value: Any) -> dict[str, tuple[Any, Typed]] | None:
        """The parts of a granular value by path element; None when the value is owned as a whole."""
        if isinstance(value, dict) and not self.is_atomic():
            return {f"f:{key}": (inner, self.field(key)) for key, inner in value.items()}
        if isinstance(value, list) and self.list_type() in ("map", "set"):
            found = {}
            for item in value:
                element = self.element(item)
                if element is None:
                    return None
                found[element] = (item, self.items())
            return found
        return None


def fields_of(value: Any, typed: Typed, path: Path = ()) -> set[Path]:
    """All fields set in `value`."""
    found: set[Path] = set()
    _collect(value, typed, path, found)
    found.discard(())  # an empty object sets nothing
    return found


def _collect(value: Any, typed: Typed, path: Path, found: set[Path]) -> None:
    parts = typed.children(value)
    if not parts:
        found.add(path)
        return
    if path and path[-1][:2] in ("k:", "v:"):
        found.add(path)
    for element, (inner, inner_typed) in parts.items():
        _collect(inner, inner_typed, (*path, element), found)


def difference(old: Any, new: Any, typed: Typed) -> tuple[set[Path], set[Path]]:
    """The fields that `new` sets anew or otherwise, and the fields of `old` that are gone."""
    changed: set[Path] = set()
    removed: set[Path] = set()
    _compare(old, new, typed, (), changed, removed)
    return changed, removed


def _compare(old: Any, new: Any, typed: Typed, path: Path, changed: set[Path], removed: set[Path]) -> None:
    if old == new:
        return
    before, after = typed.children(old), typed.children(new)
    if before is None or after is None or not before or not after:
        now = fields_of(new, typed, path)
        changed |= now
        removed |= fields_of(old, typed, path) - now
        return
    for element, (value, inner) in after.items():
        if element in before:
            _compare(before[element][0], value, inner, (*path, element), changed, removed)
        else:
            _collect(value, inner, (*path, element), changed)
    for element, (value, inner) in before.items():
        if element not in after:
            _collect(value, inner, (*path, element), removed)


def ownable(obj: JsonObject) -> JsonObject:
    """The part of an object that managers can own."""
    meta = {key: value for key, value in obj.get("metadata", {}).items() if key in _OWNABLE_META and value}
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    return {"metadata": meta, **rest} if meta else rest


_ABSENT: Final = object()


def value_at(value: Any, typed: Typed, path: Path) -> Any:
    """The value there, or a marker that equals nothing else."""
    for element in path:
        parts = typed.children(value) or {}
        if element not in parts:
            return _ABSENT
        value, typed = parts[element]
    return value


def without(value: Any, typed: Typed, path: Path) -> Any:
    """A copy of `value` without what is at `path`; emptied parents stay."""
    element, *rest = path
    parts = typed.children(value) or {}
    if element not in parts:
        return value
    inner, inner_typed = parts[element]
    replaced = without(inner, inner_typed, tuple(rest)) if rest else None
    if isinstance(value, dict):
        key = element[2:]
        if rest:
            return {**value, key: replaced}
        return {name: item for name, item in value.items() if name != key}
    kept = []
    for item in value:
        if typed.element(item) != element:
            kept.append(item)
        elif rest:
            kept.append(replaced)
    return kept


def merge(live: Any, applied: Any, typed: Typed) -> Any:
    """`applied` laid over `live`: granular parts are merged, all others replaced."""
    if isinstance(live, dict) and isinstance(applied, dict) and not typed.is_atomic():
        merged = dict(live)
        for key, value in applied.items():
            merged[key] = merge(live[key], value, typed.field(key)) if key in live else value
        return merged
    if isinstance(live, list) and isinstance(applied, list) and typed.list_type() in ("map", "set"):
        places = {typed.element(item): at for at, item in enumerate(live)}
        result = list(live)
        for item in applied:
            at = places.get(typed.element(item))
            if at is None:
                result.append(item)
            else:
                result[at] = merge(result[at], item, typed.items())
        return result
    return applied


# FieldsV1


def to_fields_v1(fields: Iterable[Path]) -> JsonObject:
    tree: JsonObject = {}
    for path in sorted(fields):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        if path[-1].startswith("k:"):
            node["."] = {}
    return tree


def from_fields_v1(tree: JsonObject) -> Fields:
    found: set[Path] = set()
    _read(tree, (), found)
    return frozenset(found)


def _read(tree: JsonObject, path: Path, found: set[Path]) -> None:
    if path and (not tree or "." in tree):
        found.add(path)
    for element, inner in tree.items():
        if element != "." and isinstance(inner, dict):
            _read(inner, (*path, element), found)


def shown(path: Path) -> str:
    """`.spec.ports[port=80,protocol="TCP"].targetPort`, as conflicts name fields."""
    text = ""
    for element in path:
        body = element[2:]
        if element.startswith("f:"):
            text += f".{body}"
        elif element.startswith("v:"):
            text += f"[={body}]"
        else:
            keys = ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(body).items())
            text += f"[{keys}]"
    return text
