"""The page with metrics and health, and what strangers can take of it."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections.abc import Callable, Coroutine

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from purelb import page as page_module
from purelb.page import CONNECTIONS, Page


def play(scene: Callable[[Page], Coroutine[None, None, None]], page: Page | None = None) -> None:
    """Run ``scene`` beside a page, which is closed at the end."""

    async def run() -> None:
        serving = await (page or Page(CollectorRegistry(), ready=lambda: None)).start("127.0.0.1", 0)
        try:
            await scene(serving)
        finally:
            await serving.close()

    asyncio.run(run())
    assert all(thread.name != "page" for thread in threading.enumerate())


async def get(page: Page, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{page.port}{path}") as answer:
        return answer.status, await answer.text()


def test_health_and_readiness_are_told_in_a_sentence() -> None:
    page = Page(CollectorRegistry(), ready=lambda: "not everything is listed yet", healthy=lambda: None)

    async def scene(page: Page) -> None:
        assert await get(page, "/readyz") == (503, "not everything is listed yet\n")
        assert await get(page, "/healthz") == (200, "ok\n")

    play(scene, page)


def test_metrics_are_rendered_once_a_second_at_most() -> None:
    registry = CollectorRegistry()
    counter = Counter("looks", "How often somebody looked.", registry=registry)
    page = Page(registry, ready=lambda: None)

    async def scene(page: Page) -> None:
        counter.inc()
        first = await get(page, "/metrics")
        counter.inc()
        assert "looks_total 1.0" in first[1]
        assert await get(page, "/metrics") == first

    play(scene, page)


def test_who_opens_many_connections_and_says_nothing_keeps_no_probe_out() -> None:
    async def scene(page: Page) -> None:
        silent = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(3 * CONNECTIONS)]
        try:
            for sock in silent:
                sock.send(b"GET /metrics HTTP/1.1\r\nHost:")
            async with asyncio.timeout(5):
                assert (await get(page, "/healthz"))[0] == 200
            async with asyncio.timeout(5):  # each was cut before the probe was answered; the kernel may tell it later
                while len(select.select(silent, [], [], 0)[0]) < 2 * CONNECTIONS:
                    await asyncio.sleep(0.01)
        finally:
            for sock in silent:
                sock.close()

    play(scene)


def test_a_connection_is_over_after_a_while_whatever_came_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "CONNECTION", 0.1)

    async def scene(page: Page) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost:")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()

    play(scene)


def test_a_body_and_a_long_header_are_refused() -> None:
    async def scene(page: Page) -> None:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{page.port}/healthz"
            async with session.get(url, headers={"X-Long": "x" * 10_000}) as answer:
                assert answer.status == 400
            async with session.post(url, data=b"x" * 100_000) as answer:
                assert answer.status == 405

    play(scene)


def test_a_port_that_is_taken_is_the_callers_error() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
            await Page(CollectorRegistry(), ready=lambda: None).start("127.0.0.1", taken.getsockname()[1])

    asyncio.run(scene())


def test_a_mistake_at_its_start_is_the_callers_error_and_keeps_nobody_waiting() -> None:
    async def run() -> None:
        async with asyncio.timeout(10):
            with pytest.raises(OSError, match="OverflowError"):
                await Page(CollectorRegistry(), ready=lambda: None).start("127.0.0.1", 1 << 16)

    asyncio.run(run())
