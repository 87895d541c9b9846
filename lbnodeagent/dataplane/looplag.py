"""How late a loop is with what is due: what its failover times can't be better than, and whether it stood still."""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

from lbnodeagent.dataplane.standstill import Standstill
from purelb.metrics import AgentMetrics

PROBE: Final = 0.1
"""Seconds between two looks: each wakes the process, as the gossip does more often, and one that stops just
after one seems to stand still so much shorter."""
MEASURED: Final = 5
"""Every so many-th look counts for the metric, whose shares of late ones an alert goes by."""


async def measure_lag(metrics: AgentMetrics, standstill: Standstill) -> None:
    """Measure the running loop's, until cancelled."""
    loop = asyncio.get_running_loop()
    for look in itertools.count(1):
        due = loop.time() + PROBE
        standstill.expect(due)
        await asyncio.sleep(PROBE)
        standstill.runs(loop.time())  # who wakes first of all that waited isn't known
        if look % MEASURED == 0:
            metrics.loop_lag.observe(max(0.0, loop.time() - due))
