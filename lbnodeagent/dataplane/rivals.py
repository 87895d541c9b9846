"""Whose MAC it is that answers for a VIP: where the gossip is closed, only the kernel's neighbour table may know.

It waits for the kernel, but not for long and not often: a rival can be anybody on the wire, a neighbour table is as
large as the wire is, and what is to be told is told without a name too. ``now`` is monotonic seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

from lbnodeagent.errors import KernelError
from lbnodeagent.messages import Peer
from lbnodeagent.tables import Conflict, Mac
from lbnodeagent.wire.conflicts import named
from purelb.addresses import IPAddress

log = logging.getLogger(__name__)

LOOK: Final = 10.0
"""Seconds between two looks into the table."""
TIMEOUT: Final = 2.0
"""Seconds that one may take."""


class Rivals:
    """``neighbours``: reads the table, MACs by address; raises KernelError or OSError."""

    def __init__(self, neighbours: Callable[[], Awaitable[Mapping[IPAddress, Mac]]]) -> None:
        self._neighbours = neighbours
        self._known: Mapping[IPAddress, Mac] = {}
        self._look_at = 0.0

    async def named(self, conflicts: Iterable[Conflict], pods: Collection[Peer], now: float) -> list[Conflict]:
        """These conflicts, each with its node where the MAC is that of one of these."""
        if now >= self._look_at:
            self._look_at = now + LOOK
            self._known = await self._look()
        return [named(conflict, self._known, pods) for conflict in conflicts]

    async def _look(self) -> Mapping[IPAddress, Mac]:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await self._neighbours()
        except (KernelError, OSError) as error:  # TimeoutError is one
            log.warning("neighbours not read", extra={"error": str(error) or "no answer"})
            return {}
