"""The page about the plugin names its commands, all of them."""

from __future__ import annotations

import re
from pathlib import Path

from kubectl_purelb.arguments import COMMANDS
from kubectl_purelb.places import State

PAGE = (Path(__file__).parents[2] / "docs" / "plugin.md").read_text()


def test_each_command_is_in_its_table_and_no_other() -> None:
    table = PAGE.partition("| command |")[2].partition("\n\n")[0]

    assert re.findall(r"^\| `([\w-]+)", table, re.MULTILINE) == list(COMMANDS)


def test_each_state_is_explained() -> None:
    table = PAGE.partition("| state of an address |")[2].partition("\n\n")[0]

    assert set(re.findall(r"^\| (\w+) \|", table, re.MULTILINE)) == {state.value for state in State}
