"""Asks the node's BIRD over its control socket how it is, again and again, and tells when that changes.

Owns the socket and the schedule; what the answer means is status.py's, and what follows from it the data plane's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from lbnodeagent.bird.status import COMMAND, BirdStatus, is_complete, parse_status
from purelb.metrics import RouterMetrics

log = logging.getLogger(__name__)

ASK: Final = 2.0
"""Seconds between two questions."""
ASK_SOON: Final = 0.2
"""The same while nothing routes: addresses may wait for it."""
PATIENCE: Final = 2.0
"""Seconds that an answer may take."""
_LARGEST: Final = 1 << 20


async def ask_bird(socket: Path) -> BirdStatus:
    """Ask once. Whatever goes wrong is a BIRD that isn't up."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(COMMAND)
                await writer.drain()
                reply = b""
                while not is_complete(reply):
                    part = await reader.read(65536)
                    reply += part
                    if not part or len(reply) > _LARGEST:
                        return BirdStatus(is_up=False, error="its answer has no end")
                return parse_status(reply)
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        return BirdStatus(is_up=False, error=f"no answer in {PATIENCE:g} s")
    except OSError as error:
        return BirdStatus(is_up=False, error=f"{socket}: {error.strerror or error}")


class BirdWatch:
    """Asks again and again, and keeps the metrics true."""

    def __init__(self, socket: Path, metrics: RouterMetrics) -> None:
        self._socket = socket
        self._metrics = metrics

    async def statuses(self) -> AsyncIterator[BirdStatus]:
        """Each status that differs from the one before, for ever."""
        before: BirdStatus | None = None
        while True:
            status = await ask_bird(self._socket)
            self._metrics.up.set(status.is_up)
            self._metrics.sessions.set(status.sessions)
            self._metrics.routes.set(status.exported)
            if status != before:
                if before is None or status.trouble != before.trouble:
                    log.log(
                        logging.WARNING if status.trouble else logging.INFO,
                        "routing software",
                        extra={"sessions": status.sessions, "trouble": status.trouble},
                    )
                before = status
                yield status
            await asyncio.sleep(ASK if status.is_routing else ASK_SOON)
