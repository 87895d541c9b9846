"""The proxy before a real API server: it carries on what the fault doesn't meet, and says so when that isn't there."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector, web

from kubedouble import Fault, Tls, make_tls
from lab.command.front import Front

NAMES = ("127.0.0.1",)


class Server:
    """What is behind the front: it says what it was asked for, and begins a watch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.1)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls = self.renew()

    def renew(self) -> Tls:
        """Another authority, and a certificate of it."""
        self.tls = make_tls(NAMES)
        self.tls.load_into(self._context, self.folder)
        return self.tls

    async def start(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context).start()
        return f"https://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/headers":
            return web.Response(text=" ".join(sorted(request.headers)))
        if "watch" not in request.query:
            return web.Response(text=f"{request.method} {request.raw_path} {(await request.read()).decode()}")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await asyncio.Event().wait()
        return response


Act = Callable[[Server, Front, ClientSession], Awaitable[None]]


def scene(folder: Path, act: Act) -> None:
    """A front that shows a page to whoever is called `met`, and a client that isn't."""

    async def whole() -> None:
        server = Server(folder)
        front = Front(await server.start(), folder, Fault("html", user_agent="met"))
        await front.open()
        try:
            async with ClientSession(f"https://127.0.0.1:{front.port}", connector=trusting(server.tls)) as session:
                await act(server, front, session)
        finally:
            await front.close()
            await server.stop()

    asyncio.run(whole())


def trusting(tls: Tls) -> TCPConnector:
    return TCPConnector(ssl=ssl.create_default_context(cadata=tls.ca.decode()))


def test_whom_the_fault_meets_it_meets_and_others_are_carried_on(tmp_path: Path) -> None:
    async def act(_: Server, __: Front, session: ClientSession) -> None:
        async with session.get("/api", headers={"User-Agent": "met/1"}) as answer:
            assert "Please sign in." in await answer.text()
        async with session.put("/api/v1/x%2Fy?a=b%20c", data=b"body") as answer:
            assert await answer.text() == "PUT /api/v1/x%2Fy?a=b%20c body"

    scene(tmp_path, act)


def test_it_asks_in_no_other_words_than_the_client(tmp_path: Path) -> None:
    """A client that takes no gzip would else get it."""

    async def act(_: Server, __: Front, session: ClientSession) -> None:
        bare = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
        async with session.put("/headers", data=b"body", skip_auto_headers=bare) as answer:
            assert (await answer.text()).split() == ["Content-Length", "Host"]

    scene(tmp_path, act)


def test_a_server_that_is_away_is_a_bad_gateway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def act(server: Server, _: Front, session: ClientSession) -> None:
        await server.stop()
        async with session.get("/api") as answer:
            assert answer.status == 502
            assert (await answer.json())["message"].startswith("no answer of the API server: Cannot connect")

    with caplog.at_level(logging.ERROR):
        scene(tmp_path, act)
    assert not caplog.records


def test_a_watch_ends_with_its_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def act(server: Server, _: Front, session: ClientSession) -> None:
        async with session.get("/api/v1/services?watch=true") as answer:
            assert await answer.content.readline() == b"first\n"
            await server.stop()
            with pytest.raises(ClientError):
                await answer.content.readline()

    with caplog.at_level(logging.ERROR):
        scene(tmp_path, act)
    assert not caplog.records


def test_after_a_rotation_it_has_the_new_certificate_and_trusts_the_new_authority(tmp_path: Path) -> None:
    async def act(server: Server, front: Front, _: ClientSession) -> None:
        server.renew()
        front.renew()
        url = f"https://127.0.0.1:{front.port}/api"
        async with ClientSession(connector=trusting(server.tls)) as session, session.get(url) as answer:
            assert await answer.text() == "GET /api "

    scene(tmp_path, act)
