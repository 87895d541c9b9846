"""A proxy before a real API server that does what bad proxies do: `purelb-lab fault api html`, and the like.

Owns ending TLS with the server's own certificate, and carrying on all that the fault doesn't meet. What a fault does to
a request is `kubedouble.misdeeds`', which connections come here `wire.forward`'s. A connection that is upgraded, that
of `kubectl exec`, it doesn't carry.
"""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from kubedouble.connections import Connections, abort
from kubedouble.errors import StatusError
from kubedouble.fault import Fault, Meeting
from kubedouble.misdeeds import MISDEEDS
from kubedouble.negotiation import error_response
from kubedouble.paths import parse

FRONT_FAULTS: Final = ("html", "redirect", "broken-line", "cut-line", "expire-watches", "hang", "read-only")
_LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a request's body: more than the API server takes."""
_OF_ONE_HOP: Final = frozenset(
    ("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length", "host")
)
"""Headers that a proxy doesn't pass on (RFC 9110 section 7.6.1), and what each side says anew."""
_OF_A_CLIENT: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add where the client has none: what a client doesn't take would come, gzip for one."""


class Front:
    """Before the server at `url`, whose ca.crt, apiserver.crt and apiserver.key are in `tls`. `open` it."""

    def __init__(self, url: str, tls: Path, fault: Fault) -> None:
        self._url, self._tls, self._fault = url, tls, fault
        self._connections = Connections()
        self._mine = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody but whom `renew` names
        self.renew()
        self.port = 0
        """On loopback, once it is open."""
        self._runner: web.ServerRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    def renew(self) -> None:
        """Connections that begin from now on have what is in `tls` now."""
        self._mine.load_cert_chain(self._tls / "apiserver.crt", self._tls / "apiserver.key")
        self._theirs.load_verify_locations(cafile=self._tls / "ca.crt")

    async def open(self) -> None:
        """Serve at `port`."""
        connector = aiohttp.TCPConnector(ssl=self._theirs, limit=0)
        whenever = aiohttp.ClientTimeout(total=None)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=whenever, skip_auto_headers=_OF_A_CLIENT
        )
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._mine).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """End all connections."""
        self._connections.cut_all()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        target = parse(request.method, request.path, request.query)
        agent = request.headers.get("User-Agent", "")
        meeting = Meeting(request.method, target.verb if target is not None else "", user_agent=agent)
        return await self._connections.serve(request, meeting, lambda: self._answer(request, meeting))

    async def _answer(self, request: web.BaseRequest, meeting: Meeting) -> web.StreamResponse:
        if self._fault.meets(meeting):
            misdeed, _ = MISDEEDS[self._fault.kind]
            try:
                done = await misdeed(request, self._fault, self._connections)
            except StatusError as refused:
                return error_response(refused)
            if done is not None:
                return done
        return await self._carry_on(request)

    async def _carry_on(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._session is not None, "open() comes first"
        request._client_max_size = _LARGEST
        url = URL(self._url + request.raw_path, encoded=True)
        body = await request.read()
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OF_ONE_HOP]
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                for name, value in answer.headers.items():
                    if name.lower() not in _OF_ONE_HOP:
                        response.headers.add(name, value)
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
        except aiohttp.ClientError as failure:
            if response is None:
                text = f"no answer of the API server: {failure}"
                return error_response(StatusError(HTTPStatus.BAD_GATEWAY, "", text))
            if isinstance(request.transport, asyncio.Transport):  # the client has a part, and must not take it for all
                abort(request.transport)
        return response
