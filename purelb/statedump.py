"""A program's whole state as JSON lines, for whoever debugs it: their form and their bounds. Pure.

So many entries of a table, so long a line: a container's runtime cuts longer ones. What there is to be said of a
program it says itself; a table's entries are made as they are taken, and are as of that moment.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

Entry: TypeAlias = Mapping[str, Any]

MESSAGE: Final = "state"
"""Of each line, by which it is found among others."""
END: Final = "end"
"""The last table: what had more entries than are written."""
MOST_ENTRIES: Final = 2_000
"""Of a table."""
LONGEST_LINE: Final = 8 * 1024
"""Characters, more or less: of a line, and of an entry."""


class Table(NamedTuple):
    """A part of what is known."""

    name: str
    entries: Callable[[], Iterable[Entry]]


def lines(program: str, tables: Iterable[Table], asked: datetime.datetime) -> Iterator[str]:
    """The lines, without their ends. ``asked``: the time of day, by which the lines of one dump are known."""
    head = {
        "time": asked.isoformat(timespec="milliseconds"),
        "level": "info",
        "logger": "purelb.state",
        "message": MESSAGE,
        "program": program,
    }
    cut = []
    for table in tables:
        entries = iter(table.entries())
        batch, size = list[Any](), 0
        for entry in islice(entries, MOST_ENTRIES):
            told, length = _bounded(entry)
            if batch and size + length > LONGEST_LINE:
                yield json.dumps({**head, "table": table.name, "entries": batch})
                batch, size = [], 0
            batch.append(told)
            size += length
        yield json.dumps({**head, "table": table.name, "entries": batch})
        if next(entries, None) is not None:
            cut.append(table.name)
    yield json.dumps({**head, "table": END, "entries": [{"cut": name} for name in cut]})


def _bounded(entry: Entry) -> tuple[Any, int]:
    """An entry of what JSON has, and how long it is."""
    text = json.dumps(entry, default=str)
    if len(text) > LONGEST_LINE:
        return {"cut": text[: LONGEST_LINE // 2]}, LONGEST_LINE // 2  # quotation marks count twice then
    return json.loads(text), len(text)
