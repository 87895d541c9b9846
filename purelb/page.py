"""The HTTP page of a program: ``/healthz``, ``/readyz`` and ``/metrics``, on a thread and loop of its own.

Making the metrics of 10,000 VIPs takes a fifth of a second, which must not be taken from the loop that keeps VIPs. It
owns the listening socket and what a stranger may take of us by it: connections, time, bytes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Final, Self

from purelb.exposition import CONTENT_TYPE, rendered
from purelb.light_aiohttp import BaseRequest, RequestHandler, Response, Server
from purelb.light_prometheus import CollectorRegistry

log = logging.getLogger(__name__)

CONNECTIONS: Final = 32
"""Connections at once. A newcomer takes the place of the oldest one, so that who opens many and says nothing keeps no
probe out."""
CONNECTION: Final = 15.0
"""Seconds after which a connection is over, whatever came by it."""
TRIM: Final = 0.01
"""Seconds for which there may be more."""
HEADER: Final = 4096
"""Bytes of a request's longest line."""
FRESH: Final = 1.0
"""Seconds for which rendered metrics are shown again: nobody can make us render faster than that."""
END: Final = 2.0
"""Seconds that the end of the page may take."""
SHUTDOWN: Final = 0.1
"""Seconds of these that an answer under way may still take."""
REBIND: Final = 0.5
"""Seconds until it is tried again to serve the page where it can't be: the node's address may come later."""


class Page:
    """``start`` it, and ``close`` it at the end.

    ``ready`` returns None if the program is ready, else one sentence why not; ``healthy`` likewise. Both are called on
    the page's thread. Without a ``registry`` there are no metrics here: they name all Services and VIPs.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None,
        ready: Callable[[], str | None],
        healthy: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._registry = registry
        self._ready = ready
        self._healthy = healthy
        self._rendered = b""
        self._rendered_at = -FRESH
        self._port: Future[int] = Future()
        self._ended: Future[None] = Future()
        self._stop: Callable[[], object] | None = None
        self._thread: threading.Thread | None = None

    async def start(self, host: str, port: int) -> Self:
        """Serve on ``host:port``; an empty host is every address, port 0 a free one. Raises OSError."""
        self._thread = threading.Thread(target=self._main, args=(host, port), name="page", daemon=True)
        self._thread.start()
        await asyncio.wrap_future(self._port)
        return self

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._port.result(0)

    async def ended(self) -> None:
        """Wait until it serves no more. Why is in the log, unless it was closed."""
        await asyncio.shield(asyncio.wrap_future(self._ended))

    async def close(self) -> None:
        """Stop serving, and end the thread."""
        if self._stop is not None and self._thread is not None:
            self._stop()
            await asyncio.to_thread(self._thread.join, END)

    def _main(self, host: str, port: int) -> None:
        try:
            asyncio.run(self._serve(host, port))
        except OSError as error:
            if self._port.done():
                log.error("the page ended", extra={"error": str(error)})
            else:
                self._port.set_exception(error)
        except Exception as error:  # our mistake, which ends nobody's service
            if self._port.done():
                log.exception("the page failed")
            else:
                self._port.set_exception(OSError(f"the page failed: {error!r}"))
        finally:
            self._ended.set_result(None)

    async def _serve(self, host: str, port: int) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        server = server_of(self._answer)
        try:
            listener = await loop.create_server(connecting(server), host or None, port, reuse_address=True)
            self._stop = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(stop.set)
            self._port.set_result(listener.sockets[0].getsockname()[1])
            await stop.wait()
            listener.close()
        finally:
            await end(server)

    async def _answer(self, request: BaseRequest) -> Response:
        match request.path:
            case "/healthz" | "/readyz" | "/metrics" if request.method not in ("GET", "HEAD"):
                return Response(status=405, headers={"Allow": "GET,HEAD"})
            case "/healthz":
                return _said(self._healthy())
            case "/readyz":
                return _said(self._ready())
            case "/metrics" if self._registry is not None:
                return self._metrics(self._registry)
            case _:
                return Response(status=404, text="not found\n")

    def _metrics(self, registry: CollectorRegistry) -> Response:
        now = time.monotonic()
        if now - self._rendered_at >= FRESH:
            self._rendered, self._rendered_at = rendered(registry.collect()), now
        return Response(body=self._rendered, headers={"Content-Type": CONTENT_TYPE})


def server_of(answer: Callable[[BaseRequest], Awaitable[Response]]) -> Server:
    """What speaks HTTP, with our bounds, on the running loop; to be ended at the end. No ``answer`` reads a body."""
    return Server(
        answer,
        handler_cancellation=True,
        access_log=None,
        max_line_size=HEADER,
        max_field_size=HEADER,
        lingering_time=0,
    )


async def end(server: Server) -> None:
    """Let it finish what it is about to answer, and close all its connections."""
    await asyncio.sleep(0)  # what has come is begun
    server.pre_shutdown()
    await server.shutdown(SHUTDOWN)


def connecting(
    server: Server,
    most: int = CONNECTIONS,
    is_spared: Callable[[asyncio.BaseTransport], bool] = lambda transport: False,
) -> Callable[[], asyncio.Protocol]:
    """What makes a protocol of each connection: so many at once, and for so long.

    Those that are spared, which their owner has to bound, count for neither.
    """
    loop = asyncio.get_running_loop()

    def cut(connection: RequestHandler) -> None:
        transport = connection.transport
        if transport is not None and not is_spared(transport):
            transport.abort()

    def trim() -> None:
        counted = [one for one in server.connections if one.transport is None or not is_spared(one.transport)]
        for oldest in counted[:-most]:
            cut(oldest)

    def connect() -> asyncio.Protocol:
        made = server()
        loop.call_later(TRIM, trim)  # many are accepted at a time, before the first of them counts
        loop.call_later(CONNECTION, cut, made)
        return made

    return connect


async def keep_serving(build: Callable[[], Page], host: str, port: int) -> None:
    """Serve a page until cancelled, and begin anew where it ends by itself.

    An address or file that isn't there yet, or a port that is taken, is waited for.
    """
    refused = ""
    while True:
        try:
            page = await build().start(host, port)
        except OSError as error:
            if str(error) != refused:
                refused = str(error)
                log.warning("metrics and probes can't be served yet", extra={"port": port, "error": refused})
            await asyncio.sleep(REBIND)
            continue
        try:
            await page.ended()
        finally:
            await page.close()
        await asyncio.sleep(REBIND)


def _said(trouble: str | None) -> Response:
    return Response(text="ok\n") if trouble is None else Response(status=503, text=f"{trouble}\n")
