"""docs/reference.md and the pages that are made say what the code has: fields, metrics, events and all other names."""

from __future__ import annotations

import re
from collections import UserDict
from collections.abc import Mapping
from pathlib import Path

import pytest

from docs.site.__main__ import MADE
from docs.site.fields import page
from purelb import annotations as known
from purelb import names
from purelb.settings import AgentSettings, AllocatorSettings

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
SOURCE = "".join(
    file.read_text(encoding="utf-8")
    for program in ("purelb", "allocator", "lbnodeagent", "kubectl_purelb")
    for file in (ROOT / program).rglob("*.py")
)
BEFORE_OURS = {"purelb.io/announcing", "purelb.io/announcing-unknown"}
"""PureLB's, which are only ever deleted."""


def section(title: str) -> str:
    return REFERENCE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", MADE)
def test_a_page_that_is_made_is_what_would_be_made_now(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == MADE[name](), "make it anew: make manifests"


def test_of_a_field_its_type_default_and_bounds_are_told() -> None:
    field = {"type": "integer", "minimum": 1, "maximum": 10, "default": 3, "description": "How often."}
    spec = {"type": "object", "properties": {"count": field, "names": {"type": "array", "items": {"type": "string"}}}}
    schema = {"type": "object", "description": "A thing.", "properties": {"spec": spec}}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]

    text = page([{"spec": {"group": "purelb.io", "names": {"kind": "Thing"}, "versions": versions}}])

    assert "| `spec.count` | integer | `3` | How often. From 1 to 10. |" in text
    assert "| `spec.names` | list of strings |  |  |" in text


def test_every_reason_of_an_event_has_its_row_and_no_other() -> None:
    cells = re.findall(r"^\| [^|]+ \| (?:Normal|Warning) \| ([^|]+) \|", section("Events"), re.MULTILINE)
    told = {reason for cell in cells for reason in re.findall(r"`(\w+)`", cell)}

    assert {value for name, value in vars(names).items() if name.startswith("REASON_")} <= told
    assert {reason for reason in told if f'"{reason}"' not in SOURCE} == set()


def test_every_annotation_has_its_row_with_who_writes_it() -> None:
    rows = [line.split("|") for line in section("Annotations on Services").splitlines() if line.startswith("| `")]
    told = {f"purelb.io/{key}": row[2].strip() for row in rows for key in re.findall(r"`([\w-]+)`", row[1])}

    assert set(told) == known.OURS - BEFORE_OURS
    assert {key for key, writer in told.items() if writer == "you"} == set(known.USERS)


class Asked(UserDict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, content: Mapping[str, str]) -> None:
        super().__init__(content)
        self.names: set[str] = set()

    def __contains__(self, key: object) -> bool:
        self.names.add(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> str:
        self.names.add(key)
        return super().__getitem__(key)


def test_every_variable_that_a_program_reads_has_its_row_and_no_other() -> None:
    asked = Asked({"PURELB_NODE_NAME": "w11", "PURELB_NAMESPACE": "purelb"})
    AllocatorSettings.from_environment(asked, [])
    AgentSettings.from_environment(asked, [])

    table = section("Environment of the programs")
    told = {name for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert asked.names - {"HOSTNAME"} <= told  # which is told of beside PURELB_POD_NAME
    assert {name for name in told if f'"{name}"' not in SOURCE} == set()


@pytest.mark.parametrize("page_name", sorted(str(file.relative_to(ROOT)) for file in (ROOT / "docs").rglob("*.md")))
def test_a_page_names_no_metric_that_is_not_there(page_name: str) -> None:
    if page_name == "docs/upgrade-from-v0.17.md":
        pytest.skip("it names those of v0.17 that aren't there")
    text = (ROOT / page_name).read_text(encoding="utf-8")

    named = set(re.findall(r"\b(purelb_(?:[a-z0-9]+_)+[a-z0-9]+)\b", text))
    plain = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named}
    assert {name for name in plain if name not in SOURCE and not name.startswith("purelb_pb2")} == set()
