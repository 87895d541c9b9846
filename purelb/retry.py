"""The one policy by which our programs try again what the API server didn't take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from purelb.errors import KubeError

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds: ``first``, then doubled up to ``most``."""

    first: float = 0.2
    most: float = 10.0

    def delays(self) -> Iterator[float]:
        """Without end."""
        return (min(self.most, self.first * 2.0 ** min(step, 30)) for step in count())


async def persist(what: str, action: Callable[[], Awaitable[T]], backoff: Backoff | None = None) -> T:
    """Call ``action`` until the API server takes it; ``what`` says in the log what is being waited for.

    The server's own Retry-After wins over the backoff. A reason is logged once, and again when it changes.
    """
    reason = ""
    for delay in (backoff or Backoff()).delays():
        try:
            return await action()
        except KubeError as error:
            if str(error) != reason:
                reason = str(error)
                log.warning("waiting for %s", what, extra={"reason": reason})
            await asyncio.sleep(error.retry_after or delay)
    raise AssertionError("delays never end")
