"""Who set which field: `metadata.managedFields`, kept on every write.

Owns the entries: what an update takes over from whom (apimachinery `managedfields`). Server-side apply builds on it in
`apply.py`. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from .errors import JsonObject
from .fieldsets import Fields, Typed, difference, from_fields_v1, ownable, to_fields_v1
from .metadata import now

_UPDATERS: Final = 10
"""Entries of operation Update that are kept apart; older ones become one (`DefaultMaxUpdateManagers`)."""
_ANCIENT: Final = "ancient-changes"


@dataclass(frozen=True, slots=True)
class Entry:
    manager: str
    operation: str
    version: str
    fields: Fields
    time: str
    subresource: str = ""

    def same_manager(self, other: Entry) -> bool:
        mine = (self.manager, self.operation, self.subresource)
        versions_agree = self.version == other.version or self.operation == "Apply"
        return mine == (other.manager, other.operation, other.subresource) and versions_agree

    def as_json(self) -> JsonObject:
        entry: JsonObject = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": to_fields_v1(self.fields),
        }
        if self.subresource:
            entry["subresource"] = self.subresource
        return entry


def read(obj: JsonObject | None) -> list[Entry]:
    """The entries of an object; what is malformed is left out."""
    if obj is None:
        return []
    return [
        Entry(
            entry.get("manager", ""),
            entry["operation"],
            entry.get("apiVersion", ""),
            from_fields_v1(entry.get("fieldsV1") or {}),
            entry.get("time") or "",
            entry.get("subresource") or "",
        )
        for entry in obj["metadata"].get("managedFields") or []
        if isinstance(entry, dict) and entry.get("operation") in ("Apply", "Update")
    ]


def write(entries: list[Entry]) -> list[JsonObject]:
    """Applied entries first, the others by age; empty ones are dropped."""
    live = [entry for entry in entries if entry.fields]
    live.sort(key=lambda entry: (entry.operation != "Apply", entry.time, entry.manager))
    updates = [entry for entry in live if entry.operation == "Update" and not entry.subresource]
    if len(updates) > _UPDATERS:
        old = updates[: len(updates) - _UPDATERS + 1]
        union = frozenset().union(*(entry.fields for entry in old))
        ancient = replace(old[-1], manager=_ANCIENT, fields=union)
        live = [entry for entry in live if entry not in old] + [ancient]
    return [entry.as_json() for entry in live]


def stamp(
    before: JsonObject | None,
    new: JsonObject,
    typed: Typed,
    *,
    manager: str,
    version: str,
    subresource: str = "",
) -> None:
    """Settles `managedFields` of `new` for a write that is not an apply: what it changed is the writer's now.

    A writer may also hand in other entries than the object has (kubectl moves its own from Update to Apply so), or
    an empty list to forget them all.
    """
    meta = new["metadata"]
    old_entries = before["metadata"].get("managedFields") if before is not None else None
    given = meta.get("managedFields")
    base = given if given is not None and given != old_entries else old_entries
    changed, removed = difference(ownable(before or {}), ownable(new), typed)
    changed.discard(())
    removed.discard(())
    if not changed and not removed:
        meta.pop("managedFields", None)
        if base and base != [{}]:
            meta["managedFields"] = base
        return
    mine = Entry(manager, "Update", version, frozenset(changed), now(), subresource)
    gone = changed | removed
    entries: list[Entry] = []
    for entry in read({"metadata": {"managedFields": base}}):
        if entry.same_manager(mine):
            mine = replace(mine, fields=mine.fields | (entry.fields - removed))
        elif entry.operation == "Apply" or not gone.isdisjoint(entry.fields):
            entries.append(replace(entry, fields=entry.fields - gone))
        else:
            entries.append(entry)
    written = write([*entries, mine])
    meta.pop("managedFields", None)
    if written:
        meta["managedFields"] = written
