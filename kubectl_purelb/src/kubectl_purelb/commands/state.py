"""``state NODE``: what a program knows, as tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from kubectl_purelb.answers import Answer, Table, Text, Tone
from kubectl_purelb.states import State

SHOWN: Final = 40
"""Entries of a table for people, the last ones; the document has all."""
WIDEST: Final = 60
"""Characters of a cell."""


def state(found: Mapping[str, State], silent: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """Of each of these pods; ``silent``: why others don't tell theirs."""
    parts: list[Table | Text] = [Text(f"{pod}: {why}", Tone.BAD) for pod, why in silent.items()]
    parts += [Text("")] if silent else []
    for pod, tables in found.items():
        for name, entries in tables.items():
            shown = entries[-SHOWN:]
            more = f", the last {SHOWN} of {len(entries)}" if len(entries) > SHOWN else ""
            parts += [Text(f"{pod}: {name}{more}"), _table([one for one in shown if isinstance(one, dict)]), Text("")]
    return Answer(tuple(parts[:-1]), {pod: dict(tables) for pod, tables in found.items()}, is_well=not silent)


def _table(entries: list[dict[str, Any]]) -> Table:
    columns = tuple(dict.fromkeys(key for entry in entries for key in entry))
    if len(entries) == 1:
        return Table(("", ""), tuple((key, _cell(value)) for key, value in entries[0].items()))
    return Table(columns, tuple(tuple(_cell(entry.get(column)) for column in columns) for entry in entries), "nothing")


def _cell(value: Any) -> str:
    match value:
        case None:
            text = "-"
        case bool():
            text = "yes" if value else "no"
        case list():
            text = ", ".join(map(_cell, value)) or "-"
        case dict():
            text = " ".join(f"{key}={_cell(one)}" for key, one in value.items())
        case _:
            text = str(value)
    return text if len(text) <= WIDEST else f"{text[:WIDEST]}…"
