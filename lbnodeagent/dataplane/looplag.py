"""How late a loop is with what is due: what its failover times can't be better than, and whether it stood still."""

from __future__ import annotations

import asyncio
from typing import Final

from lbnodeagent.dataplane.standstill import Standstill
from purelb.metrics import AgentMetrics

PROBE: Final = 0.5
"""Seconds between two measurements: each wakes a process that has nothing else to do."""


async def measure_lag(metrics: AgentMetrics, standstill: Standstill) -> None:
    """Measure the running loop's, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + PROBE
        standstill.expect(due)
        await asyncio.sleep(PROBE)
        standstill.runs(loop.time())  # who wakes first of all that waited isn't known
        metrics.loop_lag.observe(max(0.0, loop.time() - due))
