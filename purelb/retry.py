"""The one policy by which our programs try again what the API server didn't take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from purelb.backoff import Backoff
from purelb.errors import KubeError

T = TypeVar("T")

log = logging.getLogger(__name__)


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
