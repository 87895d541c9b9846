"""What a command answers: tables and lines for people, a document for programs, and whether all is well. Values."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Document: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""Of what JSON has; printed as JSON or YAML."""


class Tone(enum.Enum):
    """What a text means for whoever skims it."""

    PLAIN = enum.auto()
    GOOD = enum.auto()
    DOUBTFUL = enum.auto()
    BAD = enum.auto()
    FAINT = enum.auto()


@dataclass(frozen=True, slots=True)
class Text:
    """A cell of a table, or a line."""

    text: str
    tone: Tone = Tone.PLAIN


Cell: TypeAlias = str | Text


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading for each column."""

    columns: tuple[str, ...]
    """Their headings; if all are empty, none is shown."""
    rows: tuple[tuple[Cell, ...], ...]
    nothing: str = "nothing found"
    """Said instead of a table without rows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one command."""

    parts: tuple[Table | Text, ...]
    document: Document
    is_well: bool = True
