"""Keeps the kernel at the ways that the data plane's core wants, and says why where it can't.

Owns the thread's work and when it is done again; decides nothing. The data plane's loop never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from lbnodeagent.errors import KernelError
from lbnodeagent.returnpath.kernel import ReturnKernel
from lbnodeagent.returnpath.ways import ReturnWays
from purelb.returnpath import ReturnPathTrouble

log = logging.getLogger(__name__)

AGAIN: Final = 10.0
"""Seconds after which it is looked again: routes go with a NIC that was down for a moment, rules at somebody's will."""


class ReturnKeeper:
    """``put`` what is wanted, ``run`` until cancelled, then ``end``. What an earlier run left goes with the first."""

    def __init__(self, kernel: ReturnKernel) -> None:
        self._kernel = kernel
        self._wanted: ReturnWays | None = None
        self._has_failed = False
        self._news = asyncio.Event()

    def put(self, wanted: ReturnWays) -> None:
        """Have these ways, and no others."""
        self._wanted = wanted
        self._news.set()

    async def run(self, told: Callable[[ReturnPathTrouble], None]) -> None:
        """``told``: why answers of a VIP may leave by another NIC, after each look."""
        while True:
            is_needed = self._has_failed or (self._wanted is not None and bool(self._wanted.ways))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN if is_needed else None):
                    await self._news.wait()
            self._news.clear()
            wanted = self._wanted
            if wanted is not None:
                trouble = await self._have(wanted)
                if wanted is self._wanted:  # else it is said of what is wanted now
                    told(trouble)

    async def _have(self, wanted: ReturnWays) -> ReturnPathTrouble:
        try:
            has_changed = await asyncio.to_thread(self._kernel.have, wanted.ways)
        except KernelError as error:
            self._has_failed = True
            log.warning("the kernel refuses what answers by the NIC of their address take", extra={"error": str(error)})
            return ReturnPathTrouble((*wanted.refused, f"the kernel refuses what it takes: {error}"))
        self._has_failed = False
        if has_changed:
            ways = [f"{way.network} by {way.gateway} on {way.interface}" for way in wanted.ways]
            log.info("answers leave by the NIC of their address", extra={"ways": ways})
        return ReturnPathTrouble(wanted.refused)

    async def end(self) -> None:
        """Leave nothing behind; to be called when ``run`` has ended."""
        if self._wanted is None:
            return
        try:
            await asyncio.to_thread(self._kernel.have, ())
        except KernelError as error:
            log.warning("rules for answers are left behind", extra={"error": str(error)})
