"""docs/metrics.md: every metric of both programs, from the registries that their pages are made of.

Owns the list: name, type, labels, help. Which of them are worth an alert, and what to do then, is docs/reference.md's
and the runbooks'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

HEAD: Final = """\
# All metrics

<!-- Made by `make manifests` from purelb/metrics.py: change the words there. -->

As on `http://NODE:7472/metrics` (agents) and on the allocator's port 7472, beside those of the Python process. What
they tell in use: [reference.md](reference.md#metrics-of-the-agents).
"""


def page(programs: Mapping[str, Callable[[CollectorRegistry], object]]) -> str:
    """The whole page; `programs` has what fills a registry, by the heading."""
    return "\n".join([HEAD, *(line for title, fill in programs.items() for line in _program(title, fill))])


def _program(title: str, fill: Callable[[CollectorRegistry], object]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| metric | type | labels | |\n| --- | --- | --- | --- |"
    for name, kind, labels, words in listed(fill):
        shown = ", ".join(f"`{label}`" for label in labels) or "-"
        yield f"| `{name}` | {kind} | {shown} | {words} |"
    yield ""


def listed(fill: Callable[[CollectorRegistry], object]) -> list[tuple[str, str, tuple[str, ...], str]]:
    """Name as it is shown, type, labels and help of each metric of a program, by name."""
    registry = CollectorRegistry()
    fill(registry)
    collectors = {one for one in registry._collector_to_names if isinstance(one, MetricWrapperBase)}
    rows = []
    for one in collectors:
        (described, *_) = one.describe()
        name = f"{described.name}_total" if described.type == "counter" else described.name
        rows.append((name, described.type, tuple(one._labelnames), described.documentation))
    return sorted(rows)
