"""The control plane's thread: a loop of its own for every try, and another try whenever one ends, however it ends.

The data plane doesn't depend on it; but users do, so that it must never stand still for good. It owns the thread and
the tries, and tells whether they go on. What a try does is the control plane's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from purelb.pulse import Pulse

log = logging.getLogger(__name__)

RESTART: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until the control plane is started again after a failure; the last value repeats."""
WORKED: Final = 60.0
"""Seconds after which a try that fails counts as the first failure again."""
UNKNOWN: Final = "whether one does isn't known"
LAST_WORDS: Final = 3.0
"""Seconds that the tasks of a try that failed get to end. Libraries' tasks were seen to swallow their cancellation."""


class Runs(Protocol):
    """What is run on the thread."""

    is_done: threading.Event
    """Set when all was said at a stop."""

    @property
    def is_synced(self) -> bool: ...
    def trouble(self, now: float) -> str | None: ...
    async def without_successor(self) -> str | None: ...
    async def run(self, stop: asyncio.Event) -> None: ...


class ControlThread:
    """``start`` it; ``build`` makes the control plane for each try."""

    def __init__(self, build: Callable[[], Runs]) -> None:
        self._build = build
        self._thread = threading.Thread(target=self._main, name="control", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._control: Runs | None = None
        self._is_stopping = threading.Event()
        self.pulse = Pulse("the control plane")
        self.trouble: str | None = "the control plane has not started"

    def unready(self) -> str | None:
        """Why what this node does may not be what is wanted; None: it knows, and hears of changes."""
        if self.trouble is not None or self._control is None:
            return self.trouble
        trouble = self._control.trouble(time.monotonic())
        if trouble is None and not self._control.is_synced:
            trouble = "the Services have not been read yet"
        return trouble

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    async def without_successor(self, timeout: float) -> str | None:
        """Why no agent comes after this one, in one clause; None: one does. Asked on another loop than the thread's."""
        if self._loop is None or self._control is None:
            return UNKNOWN
        asking = self._control.without_successor()
        try:
            answer = asyncio.run_coroutine_threadsafe(asking, self._loop)
        except RuntimeError:  # the loop is closed
            asking.close()
            return UNKNOWN
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.wrap_future(answer)
        except Exception as error:  # whatever is wrong there, what follows from the end of this agent goes on
            return f"{UNKNOWN}: {error or type(error).__name__}"

    def stop(self, timeout: float) -> None:
        """End it: what it has to say is said within ``timeout`` seconds, and kopf's own end isn't waited for."""
        self._is_stopping.set()
        if self._loop is not None and self._stop is not None and self._control is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._stop.set)
                self._control.is_done.wait(timeout)

    def join(self, timeout: float) -> None:
        """Wait for the thread's own end, kopf's and all."""
        self._thread.join(timeout)

    def _main(self) -> None:
        failures = 0
        while not self._is_stopping.is_set():
            begun = time.monotonic()
            self.pulse.show_life()
            try:
                run_bounded(self._run())
                if self._is_stopping.is_set():
                    return
                self.trouble = "the control plane ended by itself"
                log.error("the control plane ended by itself and is started again")
            except Exception as error:  # the edge of this thread: the data plane goes on without it
                self.trouble = f"the control plane failed: {_cause(error)}"
                log.exception("the control plane failed and is started again")
            self.pulse.show_life()
            failures = 0 if time.monotonic() - begun > WORKED else failures
            self._is_stopping.wait(RESTART[min(failures, len(RESTART) - 1)])
            failures += 1

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if self._is_stopping.is_set():
            return
        self._control = self._build()
        self.trouble = None
        beating = self._loop.create_task(self.pulse.beat())
        try:
            await self._control.run(self._stop)
        finally:
            beating.cancel()


def run_bounded(main: Coroutine[Any, Any, None], last_words: float = LAST_WORDS) -> None:
    """As ``asyncio.run``, but tasks that don't end when they are cancelled are left behind after ``last_words`` s."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_bounded(main, loop, last_words))
    finally:
        loop.close()


async def _bounded(main: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, last_words: float) -> None:
    try:
        running = loop.create_task(main)
        await asyncio.wait([running])
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            _, stuck = await asyncio.wait(left, timeout=last_words)
            if stuck:
                log.warning("tasks did not end", extra={"tasks": sorted(task.get_name() for task in stuck)})
        running.result()
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(last_words):
                await loop.shutdown_asyncgens()


def _cause(error: Exception) -> Exception:
    """The first error in a group of them, whose own words say nothing."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
