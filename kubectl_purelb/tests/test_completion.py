"""What a shell is offered behind `kubectl purelb`."""

from __future__ import annotations

import re

import pytest

from clusters import cluster, member, membership, service
from kubectl_purelb.__main__ import main
from kubectl_purelb.arguments import COMMANDS
from kubectl_purelb.completing import main as complete
from kubectl_purelb.completion import COMMON, OWN, completions, needs_cluster, parsed

SEEN = cluster(
    service("web", "10.31.188.64"),
    service("db", "10.31.188.65", namespace="data"),
    members=membership(member("w11"), member("w12")),
)


def offered(*words: str) -> list[str]:
    line = parsed(words)
    return completions(line, SEEN if needs_cluster(line) else None)


def test_commands_come_first_each_with_what_it_is_for() -> None:
    found = offered("")

    assert [one.partition("\t")[0] for one in found[:-1]] == list(COMMANDS)
    assert found[-1] == ":4"
    assert [one.partition("\t")[0] for one in offered("ser")] == ["services", ":4"]
    assert offered("-n", "data", "insp")[0].startswith("inspect\t")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("inspect", ""), ["default/web", "data/db", ":4"]),
        (("inspect", "d"), ["default/web", "data/db", ":4"]),
        (("-n", "data", "inspect", ""), ["db", ":4"]),
        (("--namespace=data", "inspect", ""), ["db", ":4"]),
        (("inspect", "web", ""), [":4"]),
        (("vip", "10.31.188.6"), ["10.31.188.64\tdefault/web", "10.31.188.65\tdata/db", ":4"]),
        (("move", "web", "--to", ""), ["w11", "w12", ":4"]),
        (("election", "--simulate-death", "w12"), ["w12", ":4"]),
        (("state", ""), ["w11", "w12", "allocator", ":4"]),
        (("services", "-n", ""), ["data", "default", ":4"]),
        (("status", "-o", ""), ["table", "json", "yaml", ":4"]),
        (("status", "-o", "y"), ["yaml", ":4"]),
        (("validate", "-f", ""), [":0"]),
        (("validate", "--str"), ["--strict", ":4"]),
        (("status", "--cont"), ["--context", ":4"]),
        (("events", "--since", ""), [":4"]),
        (("nonsense", ""), [":4"]),
        ((), [*(f"{name}\t{told}" for name, told in COMMANDS.items()), ":4"]),
    ],
)
def test_what_can_stand_next_is_offered(words: tuple[str, ...], found: list[str]) -> None:
    assert offered(*words) == found


@pytest.mark.parametrize("words", [("--context", "two", "--kubeconfig", "/k"), ("--context=two", "--kubeconfig=/k")])
def test_it_is_the_cluster_of_the_command_line_that_is_asked(words: tuple[str, ...]) -> None:
    line = parsed([*words, "inspect", ""])

    assert (line.context, line.kubeconfig, line.command) == ("two", "/k", "inspect")


@pytest.mark.parametrize("command", COMMANDS)
def test_all_of_a_commands_options_are_known(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = set(re.findall(r"^  (?:-\w(?: \S+)?, )?(--[-\w]+)", capsys.readouterr().out, re.MULTILINE))

    assert shown - {"--help"} == {*COMMON, *OWN.get(command, ())}


def test_a_shell_gets_nothing_where_there_is_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(["inspect", ""]) == 0
    assert capsys.readouterr().out == ":4\n"
