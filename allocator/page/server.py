"""The page's HTTP server, on a thread and loop of its own: files, the view as JSON, and its changes as they come.

Making and encoding a view of 10,000 addresses takes time that isn't to be taken from the loop that gives addresses. It
owns the listening socket and what a stranger may take of us by it. Where the server fails it says so and begins anew:
nobody's address hangs on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future
from typing import Final, Self

from allocator.page.answers import add_files, add_headers, guard, read_files
from allocator.page.metrics import PageMetrics
from allocator.page.streams import Moment, Streams
from allocator.page.view import Teller
from purelb.light_web import web
from purelb.page import END, HEADER, SHUTDOWN, connecting
from purelb.settings import PageSettings

log = logging.getLogger(__name__)

CONNECTIONS: Final = 48
"""Connections at once beside those of browsers that look on; a newcomer takes the place of the oldest one, and
none of them lasts (purelb/page.py)."""
AGAIN: Final = 5.0
"""Seconds after which it begins anew where it failed."""


class PageServer:
    """``start`` it, ``show`` it moments, ``close`` it at the end; from one loop, which isn't its own."""

    def __init__(self, settings: PageSettings, teller: Teller, metrics: PageMetrics) -> None:
        self._settings = settings
        self._teller = teller
        self._metrics = metrics
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._news = asyncio.Event()
        self._moment: Moment | None = None
        self._port: Future[int] = Future()

    # --- from outside ------------------------------------------------------------------------------------------------

    async def start(self) -> Self:
        """Begin to serve."""
        begun: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, args=(begun,), name="status-page", daemon=True)
        self._thread.start()
        await asyncio.wrap_future(begun)
        return self

    async def port(self) -> int:
        """Where it listens, as soon as it does."""
        return await asyncio.wrap_future(self._port)

    def show(self, moment: Moment) -> None:
        """What is known now; of several that come at once the last is shown."""
        self._moment = moment
        self._call(self._news)

    def failed(self) -> None:
        """Say and count a mistake of ours that is being handled."""
        log.exception("the status page failed")
        self._metrics.failures.inc()

    async def close(self) -> None:
        """Stop serving, and end the thread."""
        if self._thread is not None:
            self._call(self._stop)
            await asyncio.to_thread(self._thread.join, END)

    def _call(self, event: asyncio.Event) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(event.set)

    # --- on its own thread -------------------------------------------------------------------------------------------

    def _main(self, begun: Future[None]) -> None:
        try:
            files = read_files()
        except OSError as error:
            log.error("the status page isn't installed", extra={"reason": str(error)})
            begun.set_result(None)
        else:
            asyncio.run(self._run(files, begun))

    async def _run(self, files: Mapping[str, bytes], begun: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        begun.set_result(None)
        while not self._stop.is_set():
            try:
                await self._serve(files)
            except OSError as error:
                log.error("the status page can't be served", extra={"reason": str(error)})
            except Exception:  # our mistake, which ends nobody's service
                self.failed()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN):
                    await self._stop.wait()

    async def _serve(self, files: Mapping[str, bytes]) -> None:
        """Until the end; raises what can't be served."""
        streams = Streams(self._teller, self._metrics)
        app = web.Application(client_max_size=1, middlewares=[guard(self._settings.names)])
        add_files(app, files)
        app.router.add_get("/view.json", streams.as_json)
        app.router.add_get("/events", streams.events, allow_head=False)
        app.on_response_prepare.append(add_headers)
        runner = web.AppRunner(
            app,
            access_log=None,
            max_line_size=HEADER,
            max_field_size=HEADER,
            lingering_time=0,
            handler_cancellation=True,
            shutdown_timeout=SHUTDOWN,
        )
        try:
            await runner.setup()
            assert runner.server is not None, "it is set up"
            connect = connecting(runner.server, CONNECTIONS, streams.has)
            where = self._settings.host or None, self._settings.port
            listening = await asyncio.get_running_loop().create_server(connect, *where, reuse_address=True)
            with contextlib.closing(listening) as listener:
                if not self._port.done():
                    self._port.set_result(listener.sockets[0].getsockname()[1])
                async with asyncio.TaskGroup() as tasks:
                    following = tasks.create_task(streams.follow(self._moments()))
                    await self._stop.wait()
                    following.cancel()
        finally:
            await runner.cleanup()

    async def _moments(self) -> AsyncIterator[Moment]:
        """What is known, as it comes; first what is."""
        while True:
            if self._moment is not None:
                yield self._moment
            await self._news.wait()
            self._news.clear()
