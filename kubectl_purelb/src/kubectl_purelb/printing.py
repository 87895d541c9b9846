"""Puts an answer on a terminal or into a pipe: tables by rich, or JSON, or YAML.

Names and sentences come from objects that any tenant may have written: no control character of theirs, and no sign
that turns the direction of writing, reaches the terminal, and nothing in them is taken for markup.
"""

from __future__ import annotations

import json
import unicodedata
from typing import IO, Final, Literal, TypeAlias

import yaml
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text as RichText

from kubectl_purelb.answers import Answer, Cell, Table, Text, Tone

Format: TypeAlias = Literal["table", "json", "yaml"]

_STYLES: Final = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.DOUBTFUL: "yellow", Tone.BAD: "red", Tone.FAINT: "dim"}
_WIDE: Final = 10_000
"""Columns of what is no terminal: a line that is folded is of no use to grep."""
_UNSAFE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
"""Unicode categories: control, format (among them those that turn the direction), private, line and paragraph ends."""


def printable(text: str) -> str:
    """A text as it may be shown: what could do something to a terminal is written as its number."""
    return "".join(_shown(sign) if unicodedata.category(sign) in _UNSAFE else sign for sign in text)


def _shown(sign: str) -> str:
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def print_answer(answer: Answer, form: Format, file: IO[str]) -> None:
    """Write an answer to ``file``, in colours where that is a terminal that has them."""
    match form:
        case "json":
            file.write(json.dumps(answer.document, indent=2) + "\n")  # in ASCII: all else is escaped
        case "yaml":
            yaml.safe_dump(answer.document, file, sort_keys=False)  # likewise
        case "table":
            console = console_for(file)
            for part in answer.parts:
                _print_part(part, console)


def console_for(file: IO[str]) -> Console:
    """In colours where that is a terminal that has them."""
    return Console(file=file, width=None if file.isatty() else _WIDE, highlight=False, emoji=False, markup=False)


def rendered(answer: Answer, footer: str) -> Group:
    """An answer for people, to be shown in one piece, and a line below it."""
    parts: list[RenderableType] = [_renderable(part) for part in answer.parts]
    return Group(*parts, _rich(Text("")), _rich(Text(footer, Tone.FAINT)))


def _renderable(part: Table | Text) -> RenderableType:
    match part:
        case Text():
            return _rich(part)
        case Table(rows=()):
            return _rich(Text(part.nothing, Tone.FAINT))
        case Table():
            return _rich_table(part)


def _print_part(part: Table | Text, console: Console) -> None:
    match part:
        case Text():
            console.print(_rich(part), soft_wrap=True)
        case Table(rows=()):
            console.print(_renderable(part))
        case Table():
            # Without the blanks that fill the last column.
            with console.capture() as captured:
                console.print(_renderable(part))
            console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _rich_table(part: Table) -> RichTable:
    is_headed = any(part.columns)
    table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=is_headed)
    for column in part.columns:
        table.add_column(_rich(column), overflow="fold")
    for row in part.rows:
        table.add_row(*map(_rich, row))
    return table


def _rich(cell: Cell) -> RichText:
    text, tone = (cell, Tone.PLAIN) if isinstance(cell, str) else (cell.text, cell.tone)
    return RichText(printable(text), style=_STYLES[tone])
