"""Keeps a program's memory from growing for what is over. Linux with glibc; elsewhere only what Python can do.

Found with an hour of churn (bench/churn.py): what programs hold stays the same, and yet they grew by megabytes. A TLS
connection's buffer (asyncio.sslproto) is in objects that refer to each other in circles, and after an outage of the API
server there are a dozen of those that are over, which only a full collection finds: Python makes one when a quarter of
all that it looks through is new, hours later. And what is freed in the middle of the heap of C libraries
(TLS, parsers, buffers) goes back to the machine only when somebody asks for that. Nothing here knows what the memory is
for.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from asyncio.sslproto import SSLProtocol
from collections.abc import Awaitable, Callable
from typing import Final

AFTERWARDS: Final = 5.0
"""Seconds after a recovery until what was before it is looked through: by then all have connected again."""
EVERY: Final = 60.0
"""Seconds from one time at which free memory is given back to the next: a millisecond, and a page of it is soon needed
again or isn't."""

TLS_BUFFER: Final = 32 * 1024
"""Bytes that a TLS connection reads at a time, and keeps room for as long as it stands. asyncio has 256 KiB, for who
downloads much; ours are a watch per kind, which say a few hundred bytes now and then, and one for requests."""

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
    SSLProtocol.max_size = TLS_BUFFER
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        mallopt(_M_ARENA_MAX, 1)
    gc.collect()
    gc.freeze()


async def tidy(recovered: Callable[[], Awaitable[None]]) -> None:
    """Give free memory back now and then, until cancelled; ``recovered`` waits for the API server's next recovery.

    After each recovery it looks for garbage first, which stops all threads for some milliseconds: 20 with a thousand
    Services.
    """
    while True:
        try:
            async with asyncio.timeout(EVERY):
                await recovered()
        except TimeoutError:
            pass
        else:
            await asyncio.sleep(AFTERWARDS)
            gc.collect()
        give_back()


def give_back() -> None:
    """Whole pages of the C heap that are free (malloc_trim(3)); other threads run on meanwhile."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
