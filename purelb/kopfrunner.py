"""Run kopf as one task of ours, the frame of both programs: settings, login, start and stop.

It logs in, says when to begin, hears signals, and ends in order; it asks the API server once which kinds there are. It
isn't used to follow objects: that is follow.py's, the same way for every kind. Tried before, and why not any more:

- it tells no deletion that happened while its watch was down (between two lists, or after a 410), so that a second
  list of our own had to be compared with what it had told;
- after 20 s of 403 from an API server that restarted, its stream swallowed the cancellation of its task, and the agent
  was deaf for good; after 1.5 s of 401 its LoginError ended the allocator;
- with a token that isn't taken just then, or a page where an answer should be, it ends with an error, and any program
  with it. So it's started again, and what it frames goes on meanwhile;
- a worker and a queue per object take more processor time for an event than all the rest of an allocation;
- create, update and delete handlers keep their progress in annotations and finalizers, which every node would write to
  the same Service.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final

from purelb.backoff import Backoff
from purelb.credentials import Credentials
from purelb.kube import Kube
from purelb.light_kopf import ConnectionInfo, OperatorRegistry, OperatorSettings, on, spawn_tasks

log = logging.getLogger(__name__)

AGAIN: Final = Backoff(first=1.0, most=30.0)
"""Until kopf asks the API server again, and until it is started again after an end that nobody asked for."""
_IDENTITY: Final[Any] = "purelb"
"""Without one, kopf looks the host's name up, and a DNS server that doesn't answer blocks the loop for seconds."""

_STOP: Final = 2.0
"""Seconds that kopf's own tasks get to end."""


class _Patience(Iterable[float]):
    """Seconds between kopf's tries of a request, without an end: where it gives up, it logs a traceback per task."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff

    def __iter__(self) -> Iterator[float]:
        return self._backoff.delays()


async def run_operator(kube: Kube, *, begun: asyncio.Event, stop: asyncio.Event, again: Backoff = AGAIN) -> None:
    """Be the frame of a program until ``stop`` is set, which SIGTERM and SIGINT do too in a main thread.

    ``begun`` is set by the startup handler: the program begins its work then. That takes no API server.
    """
    registry = OperatorRegistry()
    on.startup(registry=registry, id="startup")(_startup(begun))
    on.login(registry=registry, id="login")(_login(kube.credentials))
    for delay in again.delays():
        try:
            await _run_once(registry, stop, again)
        except Exception as error:  # kopf's own tree of errors, aiohttp's, and what handlers raise
            log.warning("kopf ended and is started again", extra={"reason": repr(error), "again in": delay})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await stop.wait()
        if stop.is_set():
            return


async def _run_once(registry: OperatorRegistry, stop: asyncio.Event, again: Backoff) -> None:
    tasks = await spawn_tasks(
        registry=registry,
        settings=_settings(again),
        identity=_IDENTITY,
        clusterwide=True,
        standalone=True,
        stop_flag=stop,
    )
    if threading.current_thread() is threading.main_thread():
        # In the place of kopf's own, which would do nothing while it is down.
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Not kopf.run_tasks: when it stops, it waits 5 s for every task of the loop that began after it, ours too, and then
    # cancels them. A thread of its own was tried: two busy threads hand the interpreter over at every system call, and
    # an allocation took three times as long.
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_STOP)
    # Each is asked, or asyncio complains of those that failed for the same reason.
    failures = [task.exception() for task in tasks if task.done() and not task.cancelled()]
    for failure in failures:
        if failure is not None:
            raise failure


def _startup(begun: asyncio.Event) -> Callable[..., Awaitable[None]]:
    async def startup(**_: Any) -> None:
        begun.set()

    return startup


def _login(credentials: Callable[[], Awaitable[Credentials]]) -> Callable[..., Awaitable[ConnectionInfo]]:
    async def login(**_: Any) -> ConnectionInfo:
        found = await credentials()
        return ConnectionInfo(
            server=found.server,
            token=found.token,
            ca_path=found.ca_path,
            certificate_path=found.certificate_path,
            private_key_path=found.private_key_path,
            insecure=found.insecure,
        )

    return login


def _settings(again: Backoff) -> OperatorSettings:
    settings = OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.networking.request_timeout = 30.0
    settings.networking.error_backoffs = _Patience(again)
    settings.process.ultimate_exiting_timeout = None
    return settings
