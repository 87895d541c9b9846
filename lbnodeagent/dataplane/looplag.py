"""How late a loop is with what is due: what its failover times can't be better than."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from purelb.metrics import AgentMetrics

PROBE: Final = 0.1
"""Seconds between two measurements."""


async def measure_lag(metrics: AgentMetrics) -> None:
    """Measure the running loop's, until cancelled."""
    while True:
        due = time.monotonic() + PROBE
        await asyncio.sleep(PROBE)
        metrics.loop_lag.observe(max(0.0, time.monotonic() - due))
