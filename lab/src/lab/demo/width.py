"""Output made to fit a terminal. Pure.

Owns what is left out and where lines are broken: a table loses columns, the dullest first, and says so by a `…`; other
lines are folded, their rest indented.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Final

DULL: Final = ("READINESS GATES", "NOMINATED NODE", "RESTARTS", "AGE", "IP", "CLUSTER-IP")
"""Columns of kubectl's tables that a table too wide can do without, in this order; then the last ones go."""
_HEADER: Final = re.compile(r"[A-Z][A-Z0-9()/ -]*(?: {2,}[A-Z][A-Z0-9()/ -]*)+ *")
_GAP: Final = "  "
"""Between the columns that are left."""
_HANG: Final = "      "
"""Before what is folded, beside the line's own indentation."""


def fitted(lines: Sequence[str], width: int) -> list[str]:
    """The lines, none wider than `width` columns if its words allow that."""
    if max(map(len, lines), default=0) <= width:
        return list(lines)
    if _HEADER.fullmatch(lines[0]):
        return _table(lines, width)
    return [part for line in lines for part in folded(line, width)]


def folded(line: str, width: int) -> list[str]:
    """One line as several."""
    indentation = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(),
        width,
        initial_indent=indentation,
        subsequent_indent=indentation[: width // 2] + _HANG,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [line]


def _table(lines: Sequence[str], width: int) -> list[str]:
    starts = [found.start() for found in re.finditer(r"(?:^|(?<=  ))\S", lines[0])]
    ends = [*starts[1:], max(map(len, lines))]
    columns = [[line[start:end].strip() for line in lines] for start, end in zip(starts, ends, strict=True)]
    order = [column for name in DULL for column in columns if column[0] == name]
    order += [column for column in reversed(columns) if column not in order]
    left = list(columns)
    for column in order[: len(columns) - 1]:
        if _width(left) + len(_GAP) + 1 <= width:
            break
        left.remove(column)
    rows = [
        _GAP.join(cell.ljust(len(max(column, key=len))) for cell, column in zip(row, left, strict=True))
        for row in zip(*left, strict=True)
    ]
    return [f"{rows[0]}{_GAP}…", *(row.rstrip() for row in rows[1:])]


def _width(columns: Sequence[Sequence[str]]) -> int:
    return sum(len(max(column, key=len)) for column in columns) + len(_GAP) * (len(columns) - 1)
