"""The page for when something doesn't work speaks of events, metrics and variables that there are."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import generate_latest

from purelb.metrics import AgentMetrics, AllocatorMetrics, new_registry

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "troubleshooting.md").read_text()
REFERENCE = (DOCS / "reference.md").read_text()


def test_every_event_that_it_names_is_in_the_reference() -> None:
    reasons = set(re.findall(r"^\| [^|]+ \| (?:Normal|Warning) \| `(\w+)`", REFERENCE, re.MULTILINE))

    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z]+[a-z]*)+)`", PAGE)) - {"ErrImagePull"}
    shown = set(re.findall(r" (?:Normal|Warning) +(\w+) ", PAGE))

    assert named
    assert shown
    assert named | shown <= reasons


def test_every_metric_that_it_shows_is_on_a_programs_page() -> None:
    pages = ""
    for metrics in (AllocatorMetrics, AgentMetrics):
        registry = new_registry()
        metrics(registry)
        pages += generate_latest(registry).decode()

    for name in re.findall(r"^(purelb_\w+) ", PAGE, re.MULTILINE):
        assert f"# TYPE {name} " in pages


def test_the_readme_leads_to_it_before_anything_else_is_told() -> None:
    readme = (DOCS.parent / "README.md").read_text()

    assert "(docs/troubleshooting.md)" in readme[: readme.index("\n## ")]
