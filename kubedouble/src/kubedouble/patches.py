"""The three patches of the Kubernetes API: JSON patch, JSON merge patch, strategic merge patch.

Owns RFC 6902, RFC 7386 and strategic merge (apimachinery `strategicpatch`): merge keys, `$patch`, `$retainKeys`,
`$setElementOrder`, `$deleteFromPrimitiveList`. Pure: never changes its arguments. Server-side apply is `apply.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from .errors import JsonObject, StatusError, bad_request

Resolve = Callable[[JsonObject], JsonObject]

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE_PRIMITIVE = "$deleteFromPrimitiveList/"


# JSON patch, RFC 6902


def json_patch(document: JsonObject, operations: Any) -> JsonObject:
    """Raises `StatusError`: 400 for what is no patch, 422 when a test fails or a path is not there."""
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    result: Any = copy.deepcopy(document)
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise bad_request("error decoding patch: operation without a path")
        result = _operate(result, operation)
    if not isinstance(result, dict):
        raise bad_request("the patched document is not an object")
    return result


def _refuse(operation: str, path: str, why: str) -> StatusError:
    message = f"the server rejected our request due to an error in our request: {operation} operation does not apply"
    return StatusError(422, "Invalid", f"{message}: doc is missing {why}: {path}: missing value", details={})


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _index(container: list[Any], step: str, operation: str, path: str, *, beyond: int = 0) -> int:
    try:
        at = int(step)
    except ValueError:
        raise _refuse(operation, path, "key") from None
    if not -len(container) <= at < len(container) + beyond:
        raise _refuse(operation, path, "key")
    return at


def _get(node: Any, path: str, operation: str) -> Any:
    for step in _steps(path):
        if isinstance(node, list):
            node = node[_index(node, step, operation, path)]
        elif isinstance(node, dict) and step in node:
            node = node[step]
        else:
            raise _refuse(operation, path, "path")
    return node


def _operate(document: Any, operation: JsonObject) -> Any:
    op, path = str(operation.get("op")), operation["path"]
    match op:
        case "test":
            steps = _steps(path)
            parent = _get(document, path.rpartition("/")[0], op) if steps else None
            absent = isinstance(parent, dict) and steps[-1] not in parent
            actual = None if absent else _get(document, path, op)
            if actual != operation.get("value"):
                why = f"testing value {path} failed: test failed"
                raise StatusError(
                    422, "Invalid", f"the server rejected our request due to an error in our request: {why}"
                )
            return document
        case "add" | "replace":
            return _set(document, path, copy.deepcopy(operation.get("value")), op)
        case "remove":
            return _remove(document, path, op)
        case "move":
            value = _get(document, operation.get("from", ""), op)
            return _set(_remove(document, operation.get("from", ""), op), path, value, "add")
        case "copy":
            return _set(document, path, copy.deepcopy(_get(document, operation.get("from", ""), op)), "add")
        case _:
            raise bad_request(f"Unexpected kind: {op}")


def _set(document: Any, path: str, value: Any, op: str) -> Any:
    steps = _steps(path)
    if not steps:
        return value
    parent = _get(document, path.rpartition("/")[0], op)
    last = steps[-1]
    if isinstance(parent, list):
        if op == "replace":
            parent[_index(parent, last, op, path)] = value
        else:
            at = len(parent) if last == "-" else _index(parent, last, op, path, beyond=1)
            parent.insert(at, value)
    elif isinstance(parent, dict):
        if op == "replace" and last not in parent:
            raise _refuse(op, path, "key")
        parent[last] = value
    else:
        raise _refuse(op, path, "path")
    return document


def _remove(document: Any, path: str, op: str) -> Any:
    parent = _get(document, path.rpartition("/")[0], op)
    last = _steps(path)[-1]
    if isinstance(parent, list):
        del parent[_index(parent, last, op, path)]
    elif isinstance(parent, dict) and last in parent:
        del parent[last]
    else:
        raise _refuse(op, path, "key")
    return document


# JSON merge patch, RFC 7386


def merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge_patch(result.get(key), value)
        else:
            result[key] = value
    return result


# Strategic merge patch


def strategic_merge(original: JsonObject, patch: JsonObject, schema: JsonObject, resolve: Resolve) -> JsonObject:
    """`schema` carries the `x-kubernetes-patch-*` marks; `resolve` follows its references. Raises 400."""
    return _merge_map(original, patch, resolve(schema), resolve)


def _merge_map(original: JsonObject, patch: JsonObject, schema: JsonObject, resolve: Resolve) -> JsonObject:
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"unknown patch type: {directive}")
    result = dict(original)
    if _RETAIN in patch:
        keep = set(patch[_RETAIN])
        result = {key: value for key, value in result.items() if key in keep}
    properties = schema.get("properties", {})
    additional = schema.get("additionalProperties")
    for key, value in patch.items():
        if key in (_DIRECTIVE, _RETAIN) or key.startswith(_ORDER):
            continue
        if key.startswith(_DELETE_PRIMITIVE):
            target = key.removeprefix(_DELETE_PRIMITIVE)
            if target in result:
                result[target] = [item for item in result[target] if item not in value]
            continue
        if value is None:
            result.pop(key, None)
            continue
        field = properties.get(key) or (additional if isinstance(additional, dict) else {})
        present = result.get(key)
        if isinstance(value, dict):
            base = present if isinstance(present, dict) else {}
            result[key] = _merge_map(base, value, resolve(field), resolve)
        elif isinstance(value, list) and "merge" in field.get("x-kubernetes-patch-strategy", "").split(","):
            order = patch.get(_ORDER + key)
            base_list = present if isinstance(present, list) else []
            result[key] = _merge_list(base_list, value, field, resolve, order)
        else:
            result[key] = value
    for key, order in patch.items():
        if not key.startswith(_ORDER):
            continue
        target = key.removeprefix(_ORDER)
        field = properties.get(target, {})
        if target not in patch and isinstance(result.get(target), list):
            result[target] = _ordered(result[target], order, field.get("x-kubernetes-patch-merge-key"))
    return result


def _merge_list(
    original: list[Any], patch: list[Any], field: JsonObject, resolve: Resolve, order: list[Any] | None
) -> list[Any]:
    merge_key = field.get("x-kubernetes-patch-merge-key")
    if merge_key is None:
        merged = original + [item for item in patch if item not in original]
        return _ordered(merged, order, None)
    items = resolve(field.get("items", {}))
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if item.get(_DIRECTIVE) != "replace"]
    result = list(original)
    for item in patch:
        if not isinstance(item, dict) or merge_key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {merge_key}")
        same = [at for at, old in enumerate(result) if old.get(merge_key) == item[merge_key]]
        if item.get(_DIRECTIVE) == "delete":
            result = [old for at, old in enumerate(result) if at not in same]
        elif same:
            result[same[0]] = _merge_map(result[same[0]], item, items, resolve)
        else:
            result.append(_merge_map({}, item, items, resolve))
    return _ordered(result, order, merge_key)


def _ordered(items: list[Any], order: list[Any] | None, merge_key: str | None) -> list[Any]:
    """Items named in `order` follow it; the others keep their place relative to the item before them."""
    if not order:
        return items
    wanted = [entry.get(merge_key) if merge_key and isinstance(entry, dict) else entry for entry in order]
    position = {_hashable(value): at for at, value in enumerate(wanted)}
    keys: list[tuple[int, int]] = []
    last = -1
    for at, item in enumerate(items):
        value = item.get(merge_key) if merge_key else item
        last = position.get(_hashable(value), last)
        keys.append((last, at))
    return [items[at] for _, at in sorted(keys)]


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int) else repr(value)
