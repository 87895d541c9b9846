"""What is done again and again on a loop, by callbacks: to wake a task for it takes several times as long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def tick(act: Callable[[float], None], when: Callable[[float], float]) -> None:
    """Call ``act`` again and again, at first now, until cancelled; what it raises ends it.

    ``when``: now to when it's due next; ``act`` is told when it was due. Both in the loop's time.
    """
    loop = asyncio.get_running_loop()
    failure: asyncio.Future[None] = loop.create_future()
    handles: list[asyncio.TimerHandle] = []

    def run(due: float) -> None:
        try:
            act(due)
            at = when(loop.time())
        except Exception as error:
            if not failure.done():
                failure.set_exception(error)
        else:
            handles[:] = [loop.call_at(at, run, at)]

    run(loop.time())
    try:
        await failure
    finally:
        for handle in handles:
            handle.cancel()
