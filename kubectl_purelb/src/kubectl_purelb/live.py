"""Shows an answer again and again on a terminal, until interrupted. It reads the time of day, and waits."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from typing import IO

from rich.live import Live

from kubectl_purelb.answers import Answer
from kubectl_purelb.printing import console_for, rendered
from purelb.errors import KubeError


async def watch(answer: Callable[[datetime.datetime], Awaitable[Answer]], interval: float, file: IO[str]) -> Answer:
    """A new one each ``interval`` seconds, on a screen of its own; the last one, when the user has seen enough.

    What an API server says instead, or that it says nothing, is on the screen, and it is asked again. Raises KubeError
    if it is so at first.
    """
    last = await answer(datetime.datetime.now(datetime.UTC))
    trouble = ""
    with Live(console=console_for(file), screen=True, auto_refresh=False) as screen:
        try:
            while True:
                screen.update(rendered(last, trouble or f"each {interval:g} s; Ctrl-C ends it"), refresh=True)
                await asyncio.sleep(interval)
                try:
                    last, trouble = await answer(datetime.datetime.now(datetime.UTC)), ""
                except KubeError as error:
                    trouble = str(error)
        except asyncio.CancelledError:
            return last
