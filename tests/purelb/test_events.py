"""Events: on the object, counted instead of repeated, and never in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from purelb import events
from purelb.events import EventRecorder, reference
from purelb.kube import Kube, core_path
from tests.purelb.conftest import Api

SERVICE = {"metadata": {"name": "web", "namespace": "default", "uid": "u1"}, "kind": "Service", "apiVersion": "v1"}


async def until(kube: Kube, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        while not holds(found := (await kube.list(core_path("events", "default"))).items):
            await asyncio.sleep(0.02)
    return found


def test_an_event_says_what_happened_to_whom_and_who_says_it(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "purelb-allocator")
            running = tasks.create_task(recorder.run())
            recorder.record(reference(SERVICE), "Warning", "AllocationFailed", "no address")
            (event,) = await until(kube, lambda found: len(found) == 1)
            running.cancel()
            assert event["involvedObject"]["name"] == "web"
            assert event["involvedObject"]["uid"] == "u1"
            assert (event["type"], event["reason"], event["message"]) == ("Warning", "AllocationFailed", "no address")
            assert event["source"] == {"component": "purelb-allocator"}
            assert event["count"] == 1

    asyncio.run(scenario())


def test_a_repeated_event_raises_the_count_of_the_first(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "purelb-lbnodeagent")
            running = tasks.create_task(recorder.run())
            for expected in (1, 2):
                recorder.record(reference(SERVICE), "Normal", "AnnouncingLocal", "node a")
                await until(kube, lambda found, count=expected: [e["count"] for e in found] == [count])  # type: ignore[misc]
            for _ in range(5):
                recorder.record(reference(SERVICE), "Normal", "AnnouncingLocal", "node a")
            await until(kube, lambda found: [e["count"] for e in found] == [7])
            running.cancel()

    asyncio.run(scenario())


def test_an_event_that_the_api_forgot_is_made_anew(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "purelb-lbnodeagent")
            running = tasks.create_task(recorder.run())
            recorder.record(reference(SERVICE), "Normal", "AnnouncingLocal", "node a")
            (first,) = await until(kube, lambda found: len(found) == 1)
            await kube.delete(core_path("events", "default", first["metadata"]["name"]))
            recorder.record(reference(SERVICE), "Normal", "AnnouncingLocal", "node a")
            (second,) = await until(kube, lambda found: len(found) == 1)
            running.cancel()
            assert (second["count"], second["metadata"]["name"] == first["metadata"]["name"]) == (1, False)

    asyncio.run(scenario())


def test_events_wait_while_the_api_is_away_and_those_it_refuses_are_dropped(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RETRY", 0.01)
    homeless = {"metadata": {"name": "web", "namespace": "gone", "uid": "u2"}}

    async def scenario() -> None:
        async with api.connected() as (server, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "purelb-allocator")
            server.faults.status(500, resource="events", verb="create", count=2)
            recorder.record(reference(homeless), "Normal", "AddressAssigned", "to nobody")
            recorder.record(reference(SERVICE), "Normal", "AddressAssigned", "10.0.0.1")
            running = tasks.create_task(recorder.run())
            (event,) = await until(kube, lambda found: len(found) == 1)
            running.cancel()
            assert event["message"] == "10.0.0.1"

    asyncio.run(scenario())


def test_an_event_outlasts_an_outage_of_any_length(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "RETRY", 0.01)

    async def scenario() -> None:
        async with api.connected() as (server, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "purelb-lbnodeagent")
            server.faults.status(500, resource="events", verb="create", count=60)
            recorder.record(reference(SERVICE), "Normal", "AnnouncingLocal", "node a")
            running = tasks.create_task(recorder.run())
            (event,) = await until(kube, lambda found: len(found) == 1)
            running.cancel()
            assert event["message"] == "node a"

    asyncio.run(scenario())


def test_what_waits_is_sent_before_a_stop(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube):
            recorder = EventRecorder(kube, "purelb-allocator")
            recorder.record(reference(SERVICE), "Normal", "AddressReleased", "bye")
            await recorder.flush(timeout=5)
            assert len((await kube.list(core_path("events", "default"))).items) == 1

    asyncio.run(scenario())
