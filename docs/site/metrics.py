"""docs/metrics.md: every metric of both programs, from the registries that their pages are made of.

Owns the list: name, type, labels, help. Which of them are worth an alert, and what to do then, is docs/reference.md's
and the runbooks'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry

HEAD: Final = """\
# All metrics

<!-- Made by `make manifests` from purelb/metrics.py, purelb/flowmetrics.py and
allocator/page/metrics.py: change the words there. -->

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
    rows = []
    for one in list(registry._collector_to_names):
        for metric in one.describe() if hasattr(one, "describe") else one.collect():
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            labels = tuple(getattr(one, "_labelnames", getattr(metric, "_labelnames", ())))
            rows.append((name, metric.type, labels, metric.documentation))
    return sorted(set(rows))
