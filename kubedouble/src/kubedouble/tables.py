"""Objects as rows: the server side of `kubectl get`.

Owns `meta.k8s.io/v1 Table` and the custom columns of CRDs. The built-in kinds' columns are in `columns.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from .ages import age
from .columns import BUILT_IN_COLUMNS, Column
from .errors import JsonObject
from .jsonpath import find

_NAME: Final = "Name must be unique within a namespace."


def _definition(name: str, kind: str = "string", form: str = "", text: str = "", priority: int = 0) -> JsonObject:
    return {"name": name, "type": kind, "format": form, "description": text, "priority": priority}


_GENERIC: Final[tuple[Column, ...]] = (
    Column("Name", lambda obj: obj["metadata"].get("name", ""), form="name"),
    Column("Age", lambda obj: age(obj["metadata"].get("creationTimestamp"))),
)
_GENERIC_CREATED: Final[tuple[Column, ...]] = (
    Column("Name", lambda obj: obj["metadata"].get("name", ""), form="name"),
    Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp", ""), kind="date"),
)


class TableMaker:
    """The columns of one resource."""

    def __init__(self, table: str, custom_columns: Iterable[JsonObject] | None = None) -> None:
        if custom_columns is None:
            self._columns = BUILT_IN_COLUMNS.get(table, _GENERIC)
        else:
            self._columns = _custom(list(custom_columns))

    def table(
        self, objects: Iterable[JsonObject], metadata: JsonObject, include: str = "Metadata", *, headers: bool = True
    ) -> JsonObject:
        """`include` is `includeObject`: None, Metadata or Object. `headers` are only sent once in a watch."""
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": [
                _definition(column.name, column.kind, column.form, column.text, column.priority)
                for column in self._columns
            ]
            if headers
            else [],
            "rows": [self._row(obj, include) for obj in objects],
        }

    def _row(self, obj: JsonObject, include: str) -> JsonObject:
        row: JsonObject = {"cells": [column.cell(obj) for column in self._columns]}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj.get("metadata", {}),
            }
        return row


def _custom(columns: list[JsonObject]) -> tuple[Column, ...]:
    name = Column("Name", lambda obj: obj["metadata"].get("name", ""), form="name", text=_NAME)
    if not columns:
        columns = [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]
    return (name, *(_custom_column(spec) for spec in columns))


def _custom_column(spec: JsonObject) -> Column:
    path, kind = spec["jsonPath"], spec.get("type", "string")
    text = spec.get("description") or f"Custom resource definition column (in JSONPath format): {path}"

    def cell(obj: JsonObject) -> Any:
        return _custom_cell(obj, path, kind)

    return Column(spec["name"], cell, kind, spec.get("format", ""), text, spec.get("priority", 0))


def _custom_cell(obj: JsonObject, path: str, kind: str) -> Any:
    """As apiextensions' tableconvertor: null for what is not there, the first hit, dates as ages."""
    found = find(obj, path)
    if not found:
        return None
    value = found[0]
    if kind == "date":
        return age(value) if isinstance(value, str) else "<invalid>"
    if kind == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return go_text(value if len(found) == 1 or "[*]" not in path else found)


def go_text(value: Any) -> str:
    """A value as Go's JSONPath printer writes it into a string column."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"))
    return str(value)
