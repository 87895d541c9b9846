"""The form of every figure: one JSON line with what it must be, whether it is, and what it is compared with."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence


def figure(
    bench: str, what: str, value: float | None, unit: str, must: str, holds: bool | None, **more: object
) -> bool | None:
    """Print it and return ``holds``; None: nothing is demanded."""
    shown = round(value, 3) if value is not None else None
    line = {"bench": bench, "figure": what, "value": shown, "unit": unit, "must": must, "holds": holds}
    print(json.dumps(line | more), flush=True)
    return holds


def event(bench: str, **fields: object) -> None:
    """Print one run's line."""
    print(json.dumps({"bench": bench, **fields}), flush=True)


def milliseconds(seconds: float) -> float:
    """With one decimal."""
    return round(1000 * seconds, 1)


def of_runs(
    bench: str,
    what: str,
    seconds: Sequence[float],
    must: str,
    holds: Callable[[float, float], bool] | None,
    **more: object,
) -> bool | None:
    """Median and worst of several runs' silences; ``holds`` is asked with both, in milliseconds."""
    median, worst = milliseconds(statistics.median(seconds)), milliseconds(max(seconds))
    answer = None if holds is None else holds(median, worst)
    return figure(bench, what, median, "ms", must, answer, worst=worst, runs=len(seconds), **more)
