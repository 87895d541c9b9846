"""What the page is shown, and when: all that is known, and nothing that costs where nothing has changed."""

from __future__ import annotations

import asyncio
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
        super().__init__(PageSettings(0), TELLER, PageMetrics(CollectorRegistry()))
        self.moments: asyncio.Queue[Moment] = asyncio.Queue()

    async def start(self) -> Self:
        return self

    def show(self, moment: Moment) -> None:
        self.moments.put_nowait(moment)


def slice_of(*nodes: str) -> EndpointSlice:
    return EndpointSlice("web-x", key("web"), EndpointNodes(frozenset(nodes), frozenset()))


def test_endpoints_are_asked_for_anew_when_they_or_services_have_changed_and_not_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching_module, "PACE", 0.0)
    monkeypatch.setattr(watching_module, "RENEWAL", 0.0)

    async def run() -> None:
        engine, cache, page = engine_with(group("default", local=local("10.1.0.0/26"))), ServiceCache(), Shown()
        metrics = AllocatorMetrics(CollectorRegistry())
        planning = Planning(engine, Tempo(), metrics, lambda: 1.0, lambda: None, default_announcer=True)
        configuration = Configuration(engine, has_netbox_token=False)
        watching = Watching(
            page, cache, configuration, planning, lambda: True, lambda: None, lambda: 1.0, lambda: 1000.0
        )

        async def shown() -> Moment:
            page.moments = asyncio.Queue()
            return await page.moments.get()

        cache.seen(service("web", externalTrafficPolicy="Local"))
        watches = asyncio.create_task(watching.run())
        try:
            async with asyncio.timeout(10):
                assert (await shown()).facts.endpoints is None
                planning.hear(OfSlices(Replaced({ObjectKey("default", "web-x"): slice_of("w1")}, "1", 0)))
                first = (await shown()).facts.endpoints
                assert first == {key("web"): frozenset({"w1"})}
                assert (await shown()).facts.endpoints is first
                planning.hear(OfSlices(Changed(ObjectKey("default", "web-x"), slice_of("w2"))))
                assert (await shown()).facts.endpoints == {key("web"): frozenset({"w2"})}
                cache.seen(service("api", externalTrafficPolicy="Local"))
                assert (await shown()).facts.endpoints == {key("web"): frozenset({"w2"}), key("api"): frozenset()}
        finally:
            watches.cancel()
            await asyncio.wait([watches])

    asyncio.run(run())
