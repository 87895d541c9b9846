"""The metrics over TLS: by which certificate, to whom, and what strangers can take of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from kubedouble.tls import Tls, make_tls
from purelb.answers import JsonObject
from purelb.errors import UnavailableError
from purelb.page import CONNECTIONS, keep_serving
from purelb.reviews import TOKENS, Reviews
from purelb.securepage import CERTIFICATE, KEY, Certificate, SecurePage

READER = {"Authorization": "Bearer prometheus"}


async def knows_prometheus(path: str, body: JsonObject) -> JsonObject:
    if path == TOKENS:
        token = body["spec"]["token"]
        return {"status": {"authenticated": True, "user": {"username": token}}}
    return {"status": {"allowed": body["spec"]["user"] == "prometheus"}}


@asynccontextmanager
async def reviewing() -> AsyncIterator[Reviews]:
    yield Reviews(knows_prometheus, asyncio.get_running_loop().time)


def write(folder: Path, tls: Tls) -> None:
    """As kubelet renews a Secret: other files in the same place."""
    for name, content in ((CERTIFICATE, tls.certificate), (KEY, tls.key)):
        fresh = folder / f"{name}.new"
        fresh.write_bytes(content)
        fresh.replace(folder / name)


def trusting(tls: Tls) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=tls.ca.decode())


async def get(port: int, tls: Tls, path: str = "/metrics", headers: dict[str, str] | None = None) -> tuple[int, str]:
    url = f"https://127.0.0.1:{port}{path}"
    async with (
        asyncio.timeout(20),
        aiohttp.ClientSession() as session,
        session.get(url, ssl=trusting(tls), headers=headers) as answer,
    ):
        return answer.status, await answer.text()


def play(folder: Path, scene: Callable[[SecurePage], Awaitable[None]]) -> None:
    registry = CollectorRegistry()
    Counter("looks", "How often somebody looked.", registry=registry)

    async def run() -> None:
        page = SecurePage(registry, Certificate(folder), reviewing)
        await page.start("127.0.0.1", 0)
        try:
            await scene(page)
        finally:
            await page.close()

    asyncio.run(run())


def test_they_are_shown_to_a_token_that_may_read_them_and_there_is_nothing_else(tmp_path: Path) -> None:
    tls = make_tls([])
    write(tmp_path, tls)

    async def scene(page: SecurePage) -> None:
        status, text = await get(page.port, tls, headers=READER)
        assert (status, "looks_total 0.0" in text) == (200, True)
        assert await get(page.port, tls) == (401, "a bearer token is needed\n")
        other = {"Authorization": "Bearer somebody"}
        while (answer := await get(page.port, tls, headers=other))[0] == 429:
            await asyncio.sleep(0.05)
        assert answer == (403, "whose token this is may not get /metrics\n")
        assert (await get(page.port, tls, "/healthz", READER))[0] == 404

    play(tmp_path, scene)


def test_without_tls_nobody_gets_an_answer(tmp_path: Path) -> None:
    write(tmp_path, make_tls([]))

    async def scene(page: SecurePage) -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"http://127.0.0.1:{page.port}/metrics", headers=READER)

    play(tmp_path, scene)


def test_a_rotated_certificate_is_taken_and_a_broken_one_is_not_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = make_tls([]), make_tls([])
    write(tmp_path, first)

    async def scene(page: SecurePage) -> None:
        assert (await get(page.port, first, headers=READER))[0] == 200
        write(tmp_path, second)
        assert (await get(page.port, second, headers=READER))[0] == 200
        (tmp_path / CERTIFICATE).write_text("broken")
        for _ in range(3):
            assert (await get(page.port, second, headers=READER))[0] == 200
        assert caplog.text.count("the metrics' certificate can't be read") == 1

    play(tmp_path, scene)


def test_who_connects_and_never_shakes_hands_keeps_nobody_out(tmp_path: Path) -> None:
    tls = make_tls([])
    write(tmp_path, tls)

    async def scene(page: SecurePage) -> None:
        silent = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(CONNECTIONS + 4)]
        try:
            assert (await get(page.port, tls, headers=READER))[0] == 200
        finally:
            for sock in silent:
                sock.close()

    play(tmp_path, scene)


def test_a_certificate_that_comes_later_and_an_api_server_that_cannot_be_found_are_waited_for(tmp_path: Path) -> None:
    tls = make_tls([])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tries = 0

    @asynccontextmanager
    async def at_last() -> AsyncIterator[Reviews]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise UnavailableError("no token yet")
        async with reviewing() as reviews:
            yield reviews

    async def scene() -> int:
        page = keep_serving(lambda: SecurePage(CollectorRegistry(), Certificate(tmp_path), at_last), "127.0.0.1", port)
        serving = asyncio.create_task(page)
        try:
            await asyncio.sleep(0.05)
            assert not serving.done()
            write(tmp_path, tls)
            async with asyncio.timeout(20):
                while True:
                    try:
                        return (await get(port, tls, headers=READER))[0]
                    except aiohttp.ClientConnectionError:
                        await asyncio.sleep(0.05)
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    assert asyncio.run(scene()) == 200
    assert tries == 2


def test_a_page_that_fails_after_it_had_worked_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tls = make_tls([])
    write(tmp_path, tls)
    well, mistakes = [True], [RuntimeError("a mistake of ours")]

    class Mistaken(Certificate):
        """Well as long as it is read at the start; the first handshake meets a mistake."""

        def context(self) -> ssl.SSLContext:
            if not well and mistakes:
                raise mistakes.pop()
            well.clear()
            return super().context()

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        certificate = Mistaken(tmp_path)
        serving = asyncio.create_task(
            keep_serving(lambda: SecurePage(CollectorRegistry(), certificate, reviewing), "127.0.0.1", port)
        )
        try:
            async with asyncio.timeout(20):
                while True:
                    try:
                        assert (await get(port, tls, headers=READER))[0] == 200
                        break
                    except aiohttp.ClientError:
                        await asyncio.sleep(0.05)
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    asyncio.run(run())
    assert not mistakes
    assert "the page failed" in caplog.text
