"""Those who keep addresses elsewhere, where a mistake of ours shows: it is counted, and they are asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from allocator.ipam.engine import Engine
from allocator.ipam.groups import admit
from allocator.ipam.requests import Consultation
from allocator.reconcile.asking import Denied, Granted, ask
from allocator.reconcile.cache import ServiceCache
from allocator.reconcile.holdings import ServiceHoldings
from allocator.sources import availability, external, returns
from allocator.sources.claims import SidecarClaims
from allocator.sources.external import ExternalSources
from allocator.sources.opening import SourceFactory
from allocator.sources.source import Ask, Capacity, Source, Survey
from purelb.addresses import IPAddress, parse_address
from purelb.backoff import Backoff
from purelb.kube import Kube
from purelb.metrics import AllocatorMetrics
from purelb.servicegroups import AddressSource
from purelb.services import ServiceKey
from tests.allocator.builders import group, key, request

ADDRESS = parse_address("10.5.0.1")


class Mistaken:
    """A source with a mistake in each of its calls, which shows the first time only. ``gone`` has an address of it."""

    counts_services = False

    def __init__(self) -> None:
        self.kept = {key("gone"): frozenset({ADDRESS})}
        self._made: set[str] = set()

    def _go(self, call: str) -> None:
        if call not in self._made:
            self._made.add(call)
            raise RuntimeError("a mistake of ours")

    async def allocate(self, ask: Ask) -> tuple[IPAddress, ...]:
        self._go("allocate")
        return (ADDRESS,)

    async def release(self, service: ServiceKey, addresses: frozenset[IPAddress] | None) -> None:
        self._go("release")
        del self.kept[service]

    async def survey(self, shown: Mapping[ServiceKey, frozenset[IPAddress]]) -> Survey:
        self._go("survey")
        return Survey(Capacity(), dict(self.kept))

    async def close(self) -> None:
        """Nothing is open."""


class Opening(SourceFactory):
    """Opens that one."""

    def __init__(self, source: Source, metrics: AllocatorMetrics) -> None:
        super().__init__(Kube(), None, metrics, lambda: 0.0)
        self._source = source

    async def open(self, group: str, spec: AddressSource) -> Source:
        return self._source


class Always:
    """Leads."""

    def left(self, now: float) -> float:
        return 1.0


class Scene:
    """The sources of one group, whose addresses a mistaken one keeps."""

    def __init__(self) -> None:
        self.source, self.registry = Mistaken(), CollectorRegistry()
        self.metrics = AllocatorMetrics(self.registry)
        self.external = ExternalSources(
            Opening(self.source, self.metrics),
            SidecarClaims(Kube(), "purelb"),
            ServiceHoldings(ServiceCache(), Engine()),
            Always(),
            self.metrics,
            asyncio.get_running_loop().time,
        )
        netbox = group("netbox", netbox={"url": "http://netbox.example/", "tenant": "lb"})
        self.external.configure(admit([netbox], {}, has_netbox_token=True)[0])

    def count(self, part: str) -> float | None:
        return self.registry.get_sample_value("purelb_allocator_mistakes_total", {"part": part})


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_a_question_that_fails_by_a_mistake_of_ours_says_nothing_to_the_owner_and_is_asked_again() -> None:
    async def run() -> None:
        scene = Scene()
        question = Consultation("netbox", request("a"))

        assert await ask(scene.external, question, scene.metrics) == Denied(None, 0.0)
        assert scene.count("asking") == 1

        assert await ask(scene.external, question, scene.metrics) == Granted("netbox", (ADDRESS,))
        assert scene.count("asking") == 1

    play(run())


def test_a_look_and_a_return_that_fail_by_a_mistake_of_ours_are_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "LOOK", 0.01)
    monkeypatch.setattr(availability, "SURVEY_SOON", 0.01)
    monkeypatch.setattr(returns, "RETRY", Backoff(first=0.01, most=0.01))

    async def run() -> None:
        scene = Scene()
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(scene.external.run())
            while scene.source.kept:
                await asyncio.sleep(0.01)
            running.cancel()
        assert (scene.count("survey"), scene.count("returning")) == (1, 1)

    play(run())
