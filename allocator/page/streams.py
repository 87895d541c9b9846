"""The view as those who look get it: whole at first, then what changes, as server-sent events; or once, as JSON.

It owns how long a browser may look on by one connection and how long it may let us wait. Who looks is clients.py's, the
sockets are the server's.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from allocator.page.clients import Client, Clients
from allocator.page.facts import Facts
from allocator.page.metrics import PageMetrics
from allocator.page.view import Teller, View, Viewer, delta, snapshot
from purelb.light_web import web

LOOK: Final = 900.0
"""Seconds that a browser looks on by one connection; then it comes again, and who waits for a place has one."""
STALL: Final = 10.0
"""Seconds that a message may take to be sent."""
BEAT: Final = 15.0
"""Seconds of silence after which a browser is told that there was nothing to tell."""
BUFFER: Final = 256 * 1024
"""Bytes that the kernel keeps for a browser that doesn't read."""
PACE: Final = 0.1
"""Seconds between two views, at least."""
REST: Final = 4.0
"""As often as long as a view took to make, another one waits: the page takes a fifth of a core at most."""
_BEAT: Final = b"event: beat\ndata: {}\n\n"


class Moment(NamedTuple):
    """What was known, and when."""

    facts: Facts
    now: float
    """Monotonic seconds."""
    wall: float
    """Seconds since 1970."""


class Streams:
    """``follow`` moments; ``events`` and ``as_json`` answer requests. Used from one loop."""

    def __init__(self, teller: Teller, metrics: PageMetrics) -> None:
        self._metrics = metrics
        self._clients = Clients(metrics)
        self._viewer = Viewer(teller)
        self._view: View | None = None
        self._wall = 0.0
        self._whole: str | None = None
        """The view as JSON, where somebody asked for it since it changed."""
        self._looking: set[asyncio.BaseTransport] = set()

    def has(self, transport: asyncio.BaseTransport) -> bool:
        """Whether a browser looks on by this connection."""
        return transport in self._looking

    async def follow(self, moments: AsyncIterator[Moment]) -> None:
        """Tell all who look what becomes of the view."""
        clock = asyncio.get_running_loop().time
        async for moment in moments:
            begun = clock()
            before, self._view = self._view, self._viewer.see(moment.facts, moment.now, moment.wall)
            self._wall, self._whole = moment.wall, None
            if len(self._clients):
                self._tell_all(before, self._view)
            await asyncio.sleep(max(PACE, REST * (clock() - begun)))

    def _tell_all(self, before: View | None, view: View) -> None:
        news = delta(before, view) if before is not None else snapshot(view)
        if news is not None:
            self._metrics.messages.inc()
            self._clients.tell(_message("delta" if before is not None else "view", _json(news, self._wall)))

    async def as_json(self, _: web.Request) -> web.Response:
        """The view, once, for programs."""
        whole = self._as_text()
        if whole is None:
            return web.json_response({"error": "nothing is known yet"}, status=503)
        return web.Response(text=whole, content_type="application/json")

    async def events(self, request: web.Request) -> web.StreamResponse:
        """The view and its changes, until one of us has enough."""
        transport = request.transport
        if transport is None:
            raise web.HTTPServiceUnavailable
        client = self._clients.admit(transport.abort)
        if client is None:
            raise web.HTTPServiceUnavailable(
                text="Too many browsers look at this page.\n", headers={"Retry-After": "30"}
            )
        self._looking.add(transport)
        _bound(transport)
        reason, response = "left", web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            async with asyncio.timeout(LOOK):
                reason = await self._tell(client, request, response)
        except TimeoutError:
            reason = "aged"
        finally:
            self._looking.discard(transport)
            self._clients.leave(client, reason)
            if reason != "aged":
                transport.abort()
        return response

    async def _tell(self, client: Client, request: web.Request, response: web.StreamResponse) -> str:
        """Tell one until it has enough; how that ends."""
        message = self._first()  # all that comes from here on is in its queue
        try:
            await response.prepare(request)
            while True:
                async with asyncio.timeout(STALL):
                    await response.write(message)
                try:
                    async with asyncio.timeout(BEAT):
                        message = await client.next()
                except TimeoutError:
                    message = _BEAT
        except TimeoutError:
            return "slow"
        except ConnectionError:
            return "left"

    def _first(self) -> bytes:
        whole = self._as_text()
        return _BEAT if whole is None else _message("view", whole)

    def _as_text(self) -> str | None:
        if self._whole is None and self._view is not None:
            self._whole = _json(snapshot(self._view), self._wall)
        return self._whole


def _json(said: dict[str, Any], wall: float) -> str:
    return json.dumps({"at": wall, **said}, separators=(",", ":"))


def _message(event: str, text: str) -> bytes:
    return f"event: {event}\nretry: 2000\ndata: {text}\n\n".encode()


def _bound(transport: asyncio.BaseTransport) -> None:
    """No more waits in the kernel for who doesn't read than a message or two."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
