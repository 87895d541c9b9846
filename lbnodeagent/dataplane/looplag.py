"""How late a loop is with what is due: what its failover times can't be better than, and whether it stood still."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

from lbnodeagent.dataplane.standstill import Standstill
from lbnodeagent.ticking import tick
from purelb.metrics import AgentMetrics

PROBE: Final = 0.1
"""Seconds between two looks at most: a process that stops just after one seems to stand still so much shorter."""
MEASURED: Final = 5
"""Every so many-th look counts for the metric, whose shares of late ones an alert goes by."""


async def measure_lag(
    metrics: AgentMetrics, standstill: Standstill, wake_within: Callable[[float, float], float]
) -> None:
    """Measure the running loop's, until cancelled.

    ``wake_within``: now and so many seconds to when in these the process is awake anyway. To wake it for a look alone
    costs 0.1 ms of processor time, many times as much as the look.
    """
    loop = asyncio.get_running_loop()
    looks = itertools.count(1)

    def look(due: float) -> None:
        now = loop.time()
        standstill.runs(now)  # who wakes first of all that waited isn't known
        if next(looks) % MEASURED == 0:
            metrics.loop_lag.observe(max(0.0, now - due))

    def expected(now: float) -> float:
        due = wake_within(now, PROBE)
        standstill.expect(due)
        return due

    await tick(look, expected)
