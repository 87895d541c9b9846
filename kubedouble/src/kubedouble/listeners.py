"""The addresses that the server listens on, and how it refuses connections for a while without losing them.

A listening socket that is shut down refuses, and stays bound: only so can one that somebody else made, in another
network namespace, be opened again (Linux; `inet_shutdown`).
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from typing import Any, Final

from aiohttp import web

BACKLOG: Final = 1024
_TRIES: Final = 20


class Listeners:
    def __init__(self, runner: web.ServerRunner, tls: ssl.SSLContext | None) -> None:
        self._runner = runner
        self._tls = tls
        self._sites: list[tuple[web.SockSite, socket.socket]] = []
        self._refusing: list[tuple[socket.socket, Any]] = []

    async def add(self, listening: socket.socket) -> None:
        """Serve on a bound socket."""
        listening.setblocking(False)
        # asyncio closes what it served on; this one is for the next time.
        kept = listening.dup()
        site = web.SockSite(self._runner, listening, ssl_context=self._tls, backlog=BACKLOG)
        self._sites.append((site, kept))
        await site.start()

    async def refuse(self) -> None:
        """Connections are refused from now on. Where that fails or is cut short, no socket is lost."""
        while self._sites:
            site, kept = self._sites.pop(0)
            self._refusing.append((kept, kept.getsockname()))
            await site.stop()
            kept.shutdown(socket.SHUT_RDWR)

    async def accept(self) -> None:
        """And they are accepted again; likewise."""
        while self._refusing:
            listening, address = self._refusing.pop(0)
            with contextlib.suppress(OSError):  # a port that was asked for by its number is bound still
                listening.bind(address)
            await self.add(listening)

    def close(self) -> None:
        """Let go of all sockets."""
        for kept in [kept for _, kept in self._sites] + [listening for listening, _ in self._refusing]:
            kept.close()
        self._sites, self._refusing = [], []


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    In any case it is bound by its number: only then the kernel keeps the port for it while it refuses (`inet_bind`),
    and nobody else's connection can take it meanwhile.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for last in reversed(range(_TRIES)):
        try:
            return socket.create_server((host, port or _free(family, host)), family=family, backlog=BACKLOG)
        except OSError as failure:
            if port or not last or failure.errno != errno.EADDRINUSE:
                raise
    raise AssertionError("the last try raises")


def _free(family: int, host: str) -> int:
    """The number of a port that is free now."""
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        number: int = probe.getsockname()[1]
        return number
