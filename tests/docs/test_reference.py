"""docs/reference.md and the pages that are made say what the code has: fields, metrics, events and all other names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.site.__main__ import MADE, PROGRAMS
from docs.site.fields import page
from docs.site.metrics import listed
from purelb import annotations as known
from purelb import names
from purelb.settings import AgentSettings, AllocatorSettings

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
OF_VIRTUAL_KEYS = {"purelb.io/announcing", "purelb.io/announcing-unknown"}
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
    told = set(re.findall(r"^\| [^|]+ \| (?:Normal|Warning) \| `(\w+)`", section("Events"), re.MULTILINE))

    assert told == {value for name, value in vars(names).items() if name.startswith("REASON_")}


def test_every_annotation_has_its_row_with_who_writes_it() -> None:
    rows = [line.split("|") for line in section("Annotations on Services").splitlines() if line.startswith("| `")]
    told = {f"purelb.io/{key}": row[2].strip() for row in rows for key in re.findall(r"`([\w-]+)`", row[1])}

    assert set(told) == known.OURS - OF_VIRTUAL_KEYS
    assert {key for key, writer in told.items() if writer == "you"} == set(known.USERS)


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, content: dict[str, str]) -> None:
        super().__init__(content)
        self.names: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.names.add(key)
        return super().get(key, default)

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
    elsewhere = {"HOSTNAME"}  # told of beside PURELB_POD_NAME
    by_credentials = {"KUBERNETES_SERVICE_PORT"}  # read when a program connects
    assert asked.names - elsewhere <= told
    assert told <= asked.names | by_credentials


def metric_names() -> Iterator[str]:
    for fill in PROGRAMS.values():
        for name, kind, _, _ in listed(fill):
            yield name
            if kind == "histogram":
                yield from (f"{name}_{part}" for part in ("bucket", "count", "sum"))


@pytest.mark.parametrize("page_name", sorted(file.name for file in (ROOT / "docs").glob("*.md")))
def test_a_page_names_no_metric_that_is_not_there(page_name: str) -> None:
    if page_name == "upgrade-from-v0.17.md":
        pytest.skip("it names those of v0.17 that aren't there")
    text = (ROOT / "docs" / page_name).read_text(encoding="utf-8")
    named = set(
        re.findall(r"\b(purelb_(?:lbnodeagent|election|gossip|k8s|allocator|address|servicegroups)_\w*[a-z])\b", text)
    )

    assert named - {"purelb_lbnodeagent_router"} <= set(metric_names())
