"""SIGUSR1: a program writes its whole state to its log, a line at a time, with its other tasks in between.

The lines are statedump.py's, the tables the program's. Whoever may signal it may read its log.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import signal
from collections.abc import Callable, Iterable
from typing import IO

from purelb.statedump import Table, lines

log = logging.getLogger(__name__)


def ignore_signal() -> None:
    """Until a program can answer, SIGUSR1 mustn't end it."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


class StateDump:
    """``run`` it beside a program's work, on its loop, which SIGUSR1 then reaches."""

    def __init__(self, program: str, tables: Callable[[], Iterable[Table]], file: IO[str]) -> None:
        """``file``: where the log goes."""
        self._program = program
        self._tables = tables
        self._file = file
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Write the state each time that it is asked for, until cancelled; who asks meanwhile gets it once more."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._asked.set)
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                await self._dump()
        finally:
            loop.remove_signal_handler(signal.SIGUSR1)
            ignore_signal()

    async def _dump(self) -> None:
        asked = datetime.datetime.now(datetime.UTC)
        try:
            for line in lines(self._program, self._tables(), asked):
                self._file.write(line + "\n")
                self._file.flush()
                await asyncio.sleep(0)
        except Exception:  # our mistake, which ends nobody's service
            log.exception("the state can't be told")
