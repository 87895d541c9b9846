"""The metrics over TLS, for those whom the API server lets read them: on a thread and loop of its own, as page.py's.

Owns the listening socket, the certificate as it is on disk now, and what a stranger may take of us: connections, time,
handshakes. Who may read is reviews.py's.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from purelb.errors import KubeError, SettingsError
from purelb.light_aiohttp import BaseRequest, Response
from purelb.light_prometheus import CollectorRegistry
from purelb.page import CONNECTIONS, Page, connecting, end, server_of
from purelb.reviews import Reviews

log = logging.getLogger(__name__)

HANDSHAKE: Final = 3.0
"""Seconds that a handshake may take."""
PAUSE: Final = 0.02
"""Seconds between two handshakes: each costs us a signature."""
CERTIFICATE, KEY = "tls.crt", "tls.key"
"""Files of a Secret of type kubernetes.io/tls."""


class Certificate:
    """Of a folder; a rotated one is taken as it comes, a broken one isn't."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: tuple[tuple[int, int], ...] = ()
        self._context: ssl.SSLContext | None = None
        self._complaint = ""

    def context(self) -> ssl.SSLContext:
        """For the next handshake. Raises OSError (of which SSLError is one) while none could be read yet."""
        try:
            stamp = tuple((file.stat().st_mtime_ns, file.stat().st_ino) for file in self._files())
            if self._context is None or stamp != self._read:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.minimum_version = ssl.TLSVersion.TLSv1_2
                context.load_cert_chain(*self._files())
                self._context, self._read = context, stamp
            self._complaint = ""
        except OSError as error:
            if self._context is None:
                raise
            if str(error) != self._complaint:  # once, not for each stranger who shakes hands
                self._complaint = str(error)
                log.warning("the metrics' certificate can't be read", extra={"error": self._complaint})
        return self._context

    def _files(self) -> tuple[Path, Path]:
        return self._folder / CERTIFICATE, self._folder / KEY


class SecurePage(Page):
    """``start`` it, and ``close`` it at the end. ``reviewing`` is entered on the page's loop.

    Started without a certificate, or without a way to the API server, it raises OSError.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        certificate: Certificate,
        reviewing: Callable[[], AbstractAsyncContextManager[Reviews]],
    ) -> None:
        super().__init__(registry, ready=lambda: None)
        self._shown = registry
        self._certificate = certificate
        self._reviewing = reviewing

    async def _serve(self, host: str, port: int) -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        await asyncio.to_thread(self._certificate.context)
        async with AsyncExitStack() as stack:
            try:
                reviews = await stack.enter_async_context(self._reviewing())
            except (KubeError, SettingsError) as error:
                raise OSError(str(error)) from error
            server = server_of(partial(self._sealed, reviews))
            stack.push_async_callback(end, server)
            connect = connecting(server)
            listener = stack.enter_context(_listening(host, port))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._stop = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(stop.set)
            self._port.set_result(listener.getsockname()[1])
            accepting = tasks.create_task(self._accept(listener, connect))
            await stop.wait()
            accepting.cancel()

    async def _sealed(self, reviews: Reviews, request: BaseRequest) -> Response:
        if request.path != "/metrics":
            return Response(status=404, text="not found\n")
        if request.method not in ("GET", "HEAD"):
            return Response(status=405, headers={"Allow": "GET,HEAD"})
        why = await reviews.refusal(request.headers.get("Authorization", ""))
        if why is not None:
            return Response(status=why.status, text=f"{why.sentence}\n")
        return self._metrics(self._shown)

    async def _accept(self, listener: socket.socket, connect: Callable[[], asyncio.Protocol]) -> None:
        """Whoever comes, one after the other; of too many who haven't shaken hands yet the first one has to go."""
        loop = asyncio.get_running_loop()
        shaking: dict[asyncio.Task[None], None] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    stranger, _ = await loop.sock_accept(listener)
                except OSError as error:
                    log.warning("a reader of metrics was not let in", extra={"error": str(error)})
                else:
                    task = tasks.create_task(self._shake_hands(stranger, connect))
                    shaking[task] = None
                    task.add_done_callback(shaking.pop)
                    if len(shaking) > CONNECTIONS:
                        next(iter(shaking)).cancel()
                await asyncio.sleep(PAUSE)

    async def _shake_hands(self, stranger: socket.socket, connect: Callable[[], asyncio.Protocol]) -> None:
        loop = asyncio.get_running_loop()
        try:
            with ExitStack() as unless_shaken:
                unless_shaken.callback(stranger.close)
                context = await asyncio.to_thread(self._certificate.context)
                await loop.connect_accepted_socket(connect, stranger, ssl=context, ssl_handshake_timeout=HANDSHAKE)
                unless_shaken.pop_all()
        except OSError as error:
            log.debug("no handshake", extra={"error": str(error)})


def _listening(host: str, port: int) -> socket.socket:
    """An empty host is every address. Raises OSError."""
    if not host and socket.has_dualstack_ipv6():
        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=CONNECTIONS)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    listener.setblocking(False)
    return listener
