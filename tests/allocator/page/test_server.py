"""The page over HTTP: what it tells, how it ends, and what a stranger can take of it."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from allocator.page import clients as clients_module
from allocator.page import server as server_module
from allocator.page import streams as streams_module
from allocator.page.metrics import PageMetrics
from allocator.page.server import CONNECTIONS, PageServer
from allocator.page.streams import Moment
from purelb import page as purelb_page
from purelb.services import ServiceView
from purelb.settings import PageSettings
from tests.allocator.page.scene import TELLER, facts, placed

DEADLINE = 10.0
"""Seconds after which a test gives up waiting for what it expects."""


class Scene:
    """A page, and the moments that it is shown."""

    def __init__(self, page: PageServer, port: int, registry: CollectorRegistry) -> None:
        self.page = page
        self.port = port
        self._registry = registry
        self._now = 0.0

    def show(self, *services: ServiceView, **more: Any) -> None:
        self._now += 1.0
        self.page.show(Moment(facts(*services, **more), self._now, 1000.0 + self._now))

    async def get(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status, await answer.text(), dict(answer.headers)

    def ended(self, reason: str) -> float | None:
        return self._registry.get_sample_value("purelb_allocator_page_clients_ended_total", {"reason": reason})

    @property
    def there(self) -> float | None:
        return self._registry.get_sample_value("purelb_allocator_page_clients")

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncIterator[tuple[str, dict[str, Any]]]]:
        """The events as a browser gets them, without those that say nothing."""
        url = f"http://127.0.0.1:{self.port}/events"
        async with aiohttp.ClientSession(read_bufsize=2**20) as session, session.get(url) as answer:
            assert answer.status == 200
            yield _events(answer)


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    while True:
        text = (await answer.content.readuntil(b"\n\n")).decode()
        if not text:
            return
        fields = dict(line.split(": ", 1) for line in text.strip().splitlines())
        if fields["event"] != "beat":
            yield fields["event"], json.loads(fields["data"])


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not is_so():
            await asyncio.sleep(0.01)


def play(scenario: Callable[[Scene], Coroutine[None, None, None]], names: frozenset[str] = frozenset()) -> None:
    async def run() -> None:
        registry = CollectorRegistry()
        page = await PageServer(PageSettings(0, names=names), TELLER, PageMetrics(registry)).start()
        try:
            async with asyncio.timeout(3 * DEADLINE):
                await scenario(Scene(page, await page.port(), registry))
        finally:
            await page.close()

    asyncio.run(run())
    assert all(thread.name != "status-page" for thread in threading.enumerate())


def test_who_looks_gets_all_at_first_and_then_what_changes() -> None:
    async def scenario(scene: Scene) -> None:
        scene.show(placed("web", "10.1.0.7", "w1"))
        async with scene.look() as events:
            event, said = await anext(events)
            assert event == "view"
            assert [row["key"] for row in said["set"]["vips"]] == ["10.1.0.7"]
            assert said["at"] == 1001.0

            scene.show(placed("web", "10.1.0.7", "w2", "w2"))
            event, said = await anext(events)
            assert event == "delta"
            assert [row["node"] for row in said["set"]["vips"]] == ["w2"]

            scene.show()
            _, said = await anext(events)
            assert said["drop"]["vips"] == ["10.1.0.7"]
            assert scene.there == 1
        await until(lambda: scene.there == 0)
        assert scene.ended("left") == 1

    play(scenario)


def test_who_looks_before_anything_is_known_gets_all_when_it_is() -> None:
    async def scenario(scene: Scene) -> None:
        assert (await scene.get("/view.json"))[0] == 503
        async with scene.look() as events:
            scene.show(placed("web", "10.1.0.7", "w1"))
            event, said = await anext(events)
            assert (event, len(said["set"]["vips"])) == ("view", 1)
        status, text, _ = await scene.get("/view.json")
        assert (status, json.loads(text)["head"]["identity"]) == (200, "allocator-0")

    play(scenario)


def test_every_answer_forbids_what_the_page_does_not_need() -> None:
    async def scenario(scene: Scene) -> None:
        for path in ("/", "/page.js", "/page.css", "/icon.svg", "/view.json", "/nothing"):
            _, _, headers = await scene.get(path)
            assert "default-src 'none'" in headers["Content-Security-Policy"], path
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "Access-Control-Allow-Origin" not in headers
        status, text, headers = await scene.get("/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "<title>PureLB</title>" in text

    play(scenario)


def test_a_strangers_name_is_answered_with_a_sentence_alone() -> None:
    async def scenario(scene: Scene) -> None:
        for path in ("/", "/view.json", "/events"):
            status, text, _ = await scene.get(path, Host="evil.example")
            assert (status, "PURELB_PAGE_NAMES" in text) == (421, True)
        assert (await scene.get("/", Host="page.example"))[0] == 200

    play(scenario, frozenset({"page.example"}))


def test_nothing_can_be_changed_by_the_page() -> None:
    async def scenario(scene: Scene) -> None:
        async with aiohttp.ClientSession() as session:
            for path in ("/", "/view.json", "/events"):
                for method in ("POST", "PUT", "PATCH", "DELETE", *(["HEAD"] if path == "/events" else [])):
                    async with session.request(method, f"http://127.0.0.1:{scene.port}{path}", data=b"x") as answer:
                        assert answer.status == 405

    play(scenario)


def test_there_are_no_more_browsers_than_may_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients_module, "MOST", 2)

    async def scenario(scene: Scene) -> None:
        scene.show()
        async with scene.look() as one, scene.look() as other:
            await anext(one)
            await anext(other)
            status, _, headers = await scene.get("/events")
            assert (status, headers["Retry-After"]) == (503, "30")
            assert (await scene.get("/"))[0] == 200
        await until(lambda: scene.there == 0)
        async with scene.look() as again:
            await anext(again)

    play(scenario)


def test_a_browser_that_does_not_read_is_given_up_and_the_others_are_told_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients_module, "BEHIND", 2)
    monkeypatch.setattr(streams_module, "BUFFER", 4096)
    monkeypatch.setattr(streams_module, "PACE", 0.01)

    async def scenario(scene: Scene) -> None:
        scene.show(placed("web", "10.1.0.7", "w1"))
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", scene.port))
            deaf.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with scene.look() as events:
                await anext(events)
                await until(lambda: scene.there == 2)
                turn = 0
                while scene.ended("slow") == 0:
                    turn += 1
                    crowd = (placed(f"web{n}", f"10.1.0.{n}", f"w{turn % 3 + 1}") for n in range(250))
                    scene.show(*crowd)
                    event, _ = await anext(events)
                    assert event == "delta"
                assert scene.there == 1

    play(scenario)


def test_a_browser_is_asked_to_come_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams_module, "LOOK", 0.2)

    async def scenario(scene: Scene) -> None:
        scene.show()
        async with scene.look() as events:
            await anext(events)
            assert [event async for event in events] == []
        await until(lambda: scene.ended("aged") == 1)

    play(scenario)


def test_who_opens_many_connections_and_says_nothing_keeps_no_browser_out() -> None:
    async def scenario(scene: Scene) -> None:
        scene.show()
        async with scene.look() as events:
            await anext(events)
            silent = [socket.create_connection(("127.0.0.1", scene.port)) for _ in range(2 * CONNECTIONS)]
            try:
                for sock in silent:
                    sock.send(b"GET / HTTP/1.1\r\nHost:")
                assert (await scene.get("/"))[0] == 200
                while len(select.select(silent, [], [], 0)[0]) < CONNECTIONS:
                    await asyncio.sleep(0.01)
            finally:
                for sock in silent:
                    sock.close()
            scene.show(placed("web", "10.1.0.7", "w1"))
            assert (await anext(events))[0] == "delta", "who looks on is no newcomer's place"

    play(scenario)


def test_a_connection_that_does_not_look_on_is_over_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purelb_page, "CONNECTION", 0.1)

    async def scenario(scene: Scene) -> None:
        scene.show()
        async with scene.look() as events:
            await anext(events)
            reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
            writer.write(b"GET / HTTP/1.1\r\nHost:")
            assert await reader.read() == b""
            writer.close()
            scene.show(placed("web", "10.1.0.7", "w1"))
            await anext(events)

    play(scenario)


def test_a_page_whose_port_is_taken_waits_until_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "AGAIN", 0.05)

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            page = await PageServer(PageSettings(port), TELLER, PageMetrics(CollectorRegistry())).start()
        try:
            async with asyncio.timeout(DEADLINE):
                assert await page.port() == port
        finally:
            await page.close()

    asyncio.run(run())


def test_a_mistake_of_ours_is_counted_and_the_page_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "AGAIN", 0.05)

    async def run() -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        registry = CollectorRegistry()
        page = await PageServer(PageSettings(port), TELLER, PageMetrics(registry)).start()
        scene = Scene(page, port, registry)

        async def is_shown() -> bool:
            try:
                return (await scene.get("/view.json"))[0] == 200
            except aiohttp.ClientConnectionError:
                return False

        try:
            await page.port()
            scene.show(groups=({"no": "metadata"},))
            await until(lambda: bool(registry.get_sample_value("purelb_allocator_page_failures_total")))
            scene.show()
            async with asyncio.timeout(DEADLINE):
                while not await is_shown():
                    await asyncio.sleep(0.01)
        finally:
            await page.close()

    asyncio.run(run())
