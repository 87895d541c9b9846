"""What the page is shown, and when: all that is known, and nothing that costs where nothing has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

import pytest
from prometheus_client import CollectorRegistry

from allocator.groups.configuration import Configuration
from allocator.page import watching as watching_module
from allocator.page.metrics import PageMetrics
from allocator.page.server import PageServer
from allocator.page.streams import Moment
from allocator.page.watching import Watching
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.following import OfSlices
from allocator.reconcile.planning import Planning
from purelb.endpoints import EndpointNodes, EndpointSlice
from purelb.metrics import AllocatorMetrics
from purelb.ordering import Changed, ObjectKey, Replaced
from purelb.settings import PageSettings
from purelb.tempo import Tempo
from tests.allocator.builders import engine_with, group, key, local, service
from tests.allocator.page.scene import TELLER


class Shown(PageServer):
    """Serves nobody, and keeps what it is shown."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        super().__init__(PageSettings(0), TELLER, PageMetrics(self.registry))
        self.moments: asyncio.Queue[Moment] = asyncio.Queue()

    async def start(self) -> Self:
        return self

    def show(self, moment: Moment) -> None:
        self.moments.put_nowait(moment)


def slice_of(*nodes: str) -> EndpointSlice:
    return EndpointSlice("web-x", key("web"), EndpointNodes(frozenset(nodes), frozenset()))


class Scene:
    """What an allocator knows, and what of it is shown."""

    def __init__(self) -> None:
        self.engine, self.cache, self.page = (
            engine_with(group("default", local=local("10.1.0.0/26"))),
            ServiceCache(),
            Shown(),
        )
        metrics = AllocatorMetrics(CollectorRegistry())
        self.planning = Planning(self.engine, Tempo(), metrics, lambda: 1.0, lambda: None, default_announcer=True)

    async def shown(self) -> Moment:
        """The next one."""
        self.page.moments = asyncio.Queue()
        return await self.page.moments.get()

    def play(self, scenario: Callable[[], Awaitable[None]], trouble: Callable[[], str | None] = lambda: None) -> None:
        async def run() -> None:
            configuration = Configuration(self.engine, has_netbox_token=False)
            known = self.page, self.cache, configuration, self.planning
            watching = Watching(*known, lambda: True, trouble, lambda: 1.0, lambda: 1000.0)
            watches = asyncio.create_task(watching.run())
            try:
                async with asyncio.timeout(10):
                    await scenario()
            finally:
                watches.cancel()
                await asyncio.wait([watches])

        asyncio.run(run())


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PACE", "RENEWAL", "AGAIN"):
        monkeypatch.setattr(watching_module, name, 0.0)


def test_endpoints_are_asked_for_anew_when_they_or_services_have_changed_and_not_else() -> None:
    scene = Scene()
    scene.cache.seen(service("web", externalTrafficPolicy="Local"))

    async def scenario() -> None:
        assert (await scene.shown()).facts.endpoints is None
        scene.planning.hear(OfSlices(Replaced({ObjectKey("default", "web-x"): slice_of("w1")}, "1", 0)))
        first = (await scene.shown()).facts.endpoints
        assert first == {key("web"): frozenset({"w1"})}
        assert (await scene.shown()).facts.endpoints is first
        scene.planning.hear(OfSlices(Changed(ObjectKey("default", "web-x"), slice_of("w2"))))
        assert (await scene.shown()).facts.endpoints == {key("web"): frozenset({"w2"})}
        scene.cache.seen(service("api", externalTrafficPolicy="Local"))
        assert (await scene.shown()).facts.endpoints == {key("web"): frozenset({"w2"}), key("api"): frozenset()}

    scene.play(scenario)


def test_a_mistake_of_ours_is_counted_and_costs_the_allocator_nothing() -> None:
    scene, mistakes = Scene(), [RuntimeError("a mistake of ours")]

    def trouble() -> str | None:
        if mistakes:
            raise mistakes.pop()
        return "not everything is listed yet"

    async def scenario() -> None:
        assert (await scene.shown()).facts.trouble == "not everything is listed yet"

    scene.play(scenario, trouble)
    assert scene.page.registry.get_sample_value("purelb_allocator_page_failures_total") == 1
