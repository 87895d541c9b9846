"""What objects say reaches no terminal as anything but text, and programs can read what they are given."""

from __future__ import annotations

import io
import json

import pytest
import yaml

from kubectl_purelb.answers import Answer, Table, Text, Tone
from kubectl_purelb.printing import Format, print_answer, printable

HOSTILE = "a\x1b[2Jb\r\nc\x07d\u202ee\u2028f\x9b31m[bold]:smile:\ud800"
HARMLESS = r"a\x1b[2Jb\x0d\x0ac\x07d\u202ee\u2028f\x9b31m[bold]:smile:\ud800"


def printed(answer: Answer, form: Format = "table", *, is_terminal: bool = False) -> str:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    file = Terminal()
    print_answer(answer, form, file)
    return file.getvalue()


def test_control_characters_and_turns_of_direction_are_written_as_numbers() -> None:
    assert printable(HOSTILE) == HARMLESS
    assert printable("Füße 日本 – ✓") == "Füße 日本 – ✓"


@pytest.mark.parametrize(
    "part", [Text(HOSTILE, Tone.BAD), Table(("NAME",), ((HOSTILE,),)), Table((HOSTILE,), (("x",),))]
)
def test_no_part_lets_them_through(part: Table | Text) -> None:
    answer = Answer((part,), {})

    assert HARMLESS in printed(answer)
    assert "\x1b[2J" not in printed(answer, is_terminal=True)


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_nor_does_a_document_and_it_says_the_same(form: Format) -> None:
    text = printed(Answer((), {"name": HOSTILE[:-1]}), form)

    assert text.replace("\n", "").isascii()
    assert text.replace("\n", "").isprintable()
    assert (json.loads(text) if form == "json" else yaml.safe_load(text)) == {"name": HOSTILE[:-1]}


def test_a_pipe_gets_one_line_for_each_row_without_colours_or_blanks_at_its_end() -> None:
    table = Table(("NAME", "WHY"), (("x" * 300, Text("y" * 300, Tone.BAD)), ("z", "")))

    assert printed(Answer((table,), {})).splitlines()[1:] == ["x" * 300 + "  " + "y" * 300, "z"]


def test_an_empty_table_says_so() -> None:
    assert printed(Answer((Table(("NAME",), (), "there is none"),), [])) == "there is none\n"
