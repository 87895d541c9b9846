"""Server-side apply: an intent laid over the live object, with conflicts between managers.

Owns the algorithm of structured-merge-diff's `merge.Updater`: conflicts, force, removal of what the manager no longer
wants. Must not touch: what happens to the merged object afterwards (`operations.py`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from .callers import Caller
from .cluster import Cluster
from .errors import JsonObject, StatusError, apply_conflict, bad_request, not_found
from .fieldsets import Path, Typed, fields_of, merge, ownable, shown, value_at, without
from .managedfields import Entry, read, write
from .metadata import now
from .operations import Operations
from .resources import Resource
from .store import Record

_BEFORE: Final = "before-first-apply"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_WRITES: Final = frozenset({"managedFields", "resourceVersion", "generation"})


def apply_patch(
    cluster: Cluster,
    operations: Operations,
    resource: Resource,
    namespace: str,
    name: str,
    sent: Any,
    caller: Caller,
    *,
    subresource: str,
    force: bool,
) -> tuple[Record, bool]:
    """The object afterwards, and whether it was created. Raises `StatusError` 409 with one cause per field."""
    intent = operations.decode(resource, sent, caller)
    meta = intent["metadata"]
    if meta.setdefault("name", name) != name:
        raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
    if meta.pop("managedFields", None):
        raise bad_request("metadata.managedFields must be nil")
    typed = cluster.typed(resource)
    live = cluster.store.get(resource.key, namespace, name)
    wanted = fields_of(ownable(intent), typed)
    mine = Entry(caller.manager, "Apply", resource.group_version, frozenset(wanted), now(), subresource)
    if live is None:
        if subresource:
            raise not_found(resource.plural, resource.group, name)
        record = operations.create(resource, namespace, sent, caller, managed=write([mine]))
        return record, True
    old = live.obj
    entries = read(old)
    if not entries:
        everything = frozenset(fields_of(ownable(old), typed))
        entries = [Entry(_BEFORE, "Update", resource.group_version, everything, mine.time)]
    previous: frozenset[Path] = frozenset()
    others: list[Entry] = []
    for entry in entries:
        if entry.same_manager(mine):
            previous = entry.fields
        else:
            others.append(entry)
    _settle_conflicts(old, intent, typed, mine, others, force=force, free=_client_side_fields(old, typed, mine))
    view = {key: value for key, value in old.items() if key not in ("metadata",)}
    merged = merge({**view, "metadata": old["metadata"]}, {**intent, "apiVersion": old["apiVersion"]}, typed)
    held = frozenset().union(*(entry.fields for entry in others)) if others else frozenset()
    for path in sorted(previous - mine.fields - held, key=len):
        merged = without(merged, typed, path)
    merged["apiVersion"] = resource.group_version
    if not meta.get("resourceVersion"):
        merged = {**merged, "metadata": {**merged["metadata"], "resourceVersion": ""}}
    merged["metadata"] = {key: value for key, value in merged["metadata"].items() if key != "managedFields"}
    final = operations.decode(resource, merged, caller)
    if mine.fields == previous and _plain(final) == _plain(old):
        # The time of the entry stays, so that an apply that changes nothing is none.
        mine = next((entry for entry in entries if entry.same_manager(mine)), mine)
    return (
        operations.replace(resource, live, final, caller, subresource, managed=write([*others, mine])),
        False,
    )


def _plain(body: JsonObject) -> JsonObject:
    """Without what a write itself changes."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in _WRITES}
    return {**body, "metadata": metadata}


def _client_side_fields(live: JsonObject, typed: Typed, mine: Entry) -> frozenset[Path]:
    """What kubectl applied the old way: its server-side apply takes these over without a dispute (KEP-555)."""
    text = (live["metadata"].get("annotations") or {}).get(_LAST_APPLIED)
    if mine.manager != "kubectl" or not text:
        return frozenset()
    try:
        return frozenset(fields_of(ownable(json.loads(text)), typed))
    except (ValueError, AttributeError):
        return frozenset()  # somebody else wrote that annotation


def _settle_conflicts(
    live: JsonObject,
    intent: JsonObject,
    typed: Typed,
    mine: Entry,
    others: list[Entry],
    *,
    force: bool,
    free: frozenset[Path],
) -> None:
    """Raises 409, or with `force` takes the fields away from their owners (in `others`, in place)."""
    conflicts: list[tuple[Entry, Path]] = []
    for at, other in enumerate(others):
        shared = sorted(mine.fields & other.fields)
        disputed = [
            path
            for path in shared
            if value_at(intent, typed, path) != value_at(live, typed, path) and not _is_item(path, mine.fields)
        ]
        conflicts += [(other, path) for path in disputed if path not in free]
        if disputed:
            others[at] = replace(other, fields=other.fields - frozenset(disputed))
    if conflicts and not force:
        raise _conflict(conflicts)


def _is_item(path: Path, fields: frozenset[Path]) -> bool:
    """A list item as such: its fields dispute, not itself."""
    return path[-1].startswith("k:")


def _named(entry: Entry) -> str:
    text = f'"{entry.manager}"'
    if entry.subresource:
        text += f' with subresource "{entry.subresource}"'
    if entry.operation == "Update":
        text += f" using {entry.version}"
    return text


def _conflict(conflicts: list[tuple[Entry, Path]]) -> StatusError:
    causes: list[JsonObject] = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {_named(entry)}", "field": shown(path)}
        for entry, path in conflicts
    ]
    if len(conflicts) == 1:
        entry, path = conflicts[0]
        message = f"Apply failed with 1 conflict: conflict with {_named(entry)}: {shown(path)}"
    else:
        lines: list[str] = []
        for name in sorted({_named(entry) for entry, _ in conflicts}):
            lines.append(f"conflicts with {name}:")
            lines += [f"- {shown(path)}" for entry, path in conflicts if _named(entry) == name]
        message = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    return apply_conflict(message, causes)
