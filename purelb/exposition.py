"""Metrics as text, in the form that Prometheus reads (its exposition formats, text 0.0.4 and 1.0.0). Pure.

Made here because the library's own module for that brings HTTP servers: 0.5 MB of memory. Tests hold one against the
other. Names of metrics and labels are ours, so that they need no escape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from purelb.light_prometheus import Metric, Sample, floatToGoString

CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
_CREATED: Final = "_created"


def rendered(metrics: Iterable[Metric]) -> bytes:
    """All of them, in their order."""
    return "".join(line for metric in metrics for line in _lines(metric)).encode()


def _lines(metric: Metric) -> Iterator[str]:
    is_counter = metric.type == "counter"
    kind = "untyped" if metric.type == "unknown" else metric.type
    yield from _head(f"{metric.name}_total" if is_counter else metric.name, kind, metric)
    created = [sample for sample in metric.samples if sample.name == metric.name + _CREATED]
    yield from (_line(sample) for sample in metric.samples if sample.name != metric.name + _CREATED)
    if created:  # when each was made, a gauge of its own
        yield from _head(metric.name + _CREATED, "gauge", metric)
        yield from map(_line, created)


def _head(name: str, kind: str, metric: Metric) -> Iterator[str]:
    words = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# HELP {name} {words}\n"
    yield f"# TYPE {name} {kind}\n"


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{'{' + labels + '}' if labels else ''} {_number(sample.value)}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
