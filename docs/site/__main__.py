"""Write the pages that are made: `python -m docs.site`, which `make manifests` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import yaml

from allocator.page.metrics import PageMetrics
from docs.site import fields, metrics
from purelb.flowmetrics import FlowMetrics
from purelb.metrics import AgentMetrics, AllocatorMetrics, RouterMetrics

DOCS: Final = Path(__file__).parents[1]
PROGRAMS: Final = {
    "Agents": AgentMetrics,
    "Agents beside BIRD": RouterMetrics,
    "Agents that keep connections": FlowMetrics,
    "Allocators": AllocatorMetrics,
    "Allocators with the status page": PageMetrics,
}
CRDS: Final = ("servicegroups", "lbnodeagents", "memberships")


def _fields() -> str:
    folder = DOCS.parent / "crds"
    return fields.page(yaml.safe_load((folder / f"{name}.purelb.io.yaml").read_text()) for name in CRDS)


def _metrics() -> str:
    return metrics.page(PROGRAMS)


MADE: Final[Mapping[str, Callable[[], str]]] = {"fields.md": _fields, "metrics.md": _metrics}

if __name__ == "__main__":
    for name, make in MADE.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
