"""Keeps a program's memory from growing for what is over. Linux with glibc; elsewhere only what Python can do.

Found with an hour of churn (bench/churn.py): what programs hold stays the same, and yet they grew by megabytes. A TLS
connection has 256 KiB of buffers (asyncio.sslproto) in objects that refer to each other in circles, and after an outage
of the API server there are a dozen of those that are over, which only a full collection finds: Python makes one when a
quarter of all that it looks through is new, hours later. Nothing here knows what the memory is for.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Awaitable, Callable
from typing import Final

AFTERWARDS: Final = 5.0
"""Seconds after a recovery until what was before it is looked through: by then all have connected again."""

_M_ARENA_MAX: Final = -8
"""One heap for all threads: each of its own would have holes of its own, and with the interpreter's lock nearly nobody
asks for memory at the same time as another (mallopt(3))."""
_M_MMAP_THRESHOLD: Final = -3
_MMAP_THRESHOLD: Final = 128 * 1024
"""glibc's default, set: it would raise it with the first large buffer that is freed, and buffers then lie in the heap
among small things, which keep it from shrinking (mallopt(3))."""


def settle() -> None:
    """Call it once all is imported, and before any thread is started.

    What was imported stays: to look through it for garbage stops all loops for 50 ms and more, each time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        mallopt(_M_ARENA_MAX, 1)
    gc.collect()
    gc.freeze()


async def tidy(recovered: Callable[[], Awaitable[None]]) -> None:
    """Look for garbage after each recovery of the API server, until cancelled; ``recovered`` waits for the next one.

    It stops all threads for some milliseconds: 20 with a thousand Services.
    """
    while True:
        await recovered()
        await asyncio.sleep(AFTERWARDS)
        gc.collect()
