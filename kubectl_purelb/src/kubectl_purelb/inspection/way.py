"""The steps in their order. Pure.

What follows from a step that failed isn't asked: who mends the first one looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubectl_purelb.inspection.allocation import address, kind, pool
from kubectl_purelb.inspection.announcement import announced, nodes, wire
from kubectl_purelb.inspection.answering import pods, wishes
from kubectl_purelb.inspection.case import Case, Mark, Step


def steps(case: Case) -> list[Step]:
    """Those that were come to; the last may have failed."""
    taken = list[Step]()
    parts: tuple[Callable[[Case], Iterator[Step]], ...] = (kind, pool, address, nodes, announced, wire, pods)
    for part in parts:
        taken += part(case)
        if any(step.mark is Mark.FAILED for step in taken):
            break
    return [*taken, *wishes(case)]
