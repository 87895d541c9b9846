"""Events: on the object, counted instead of repeated, and never in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from purelb import correlator as similar
from purelb import events
from purelb.errors import NotFoundError
from purelb.events import EventRecorder, ObjectReference, Unsent, reference
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
        async with api.embedded() as (server, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "purelb-allocator")
            server.faults.status(500, resource="events", verb="create", count=2)
            recorder.record(reference(homeless), "Normal", "AddressAssigned", "to nobody")
            recorder.record(reference(SERVICE), "Normal", "AddressAssigned", "10.0.0.1")
            running = tasks.create_task(recorder.run())
            (event,) = await until(kube, lambda found: len(found) == 1)
            running.cancel()
            assert event["message"] == "10.0.0.1"

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [401, 403, 409])
def test_an_event_outlasts_a_server_that_does_not_know_us_yet(
    api: Api, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(events, "RETRY", 0.01)

    async def scenario() -> None:
        async with api.embedded() as (server, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "purelb-allocator")
            server.faults.status(code, resource="events", verb="create", count=6)
            running = tasks.create_task(recorder.run())
            recorder.record(reference(SERVICE), "Warning", "AllocationFailed", "no address")
            await until(kube, lambda found: len(found) == 1)
            running.cancel()

    asyncio.run(scenario())


def test_an_event_outlasts_an_outage_of_any_length(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "RETRY", 0.01)

    async def scenario() -> None:
        async with api.embedded() as (server, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "purelb-lbnodeagent")
            server.faults.status(500, resource="events", verb="create", count=60)
            recorder.record(reference(SERVICE), "Normal", "AnnouncingLocal", "node a")
            running = tasks.create_task(recorder.run())
            (event,) = await until(kube, lambda found: len(found) == 1)
            running.cancel()
            assert event["message"] == "node a"

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["hang", "status"])
def test_what_one_recorder_could_not_send_the_next_one_does(api: Api, kind: str) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, kube), asyncio.TaskGroup() as tasks:
            unsent = Unsent()
            options = {} if kind == "hang" else {"code": 403}
            fault = server.faults.add(kind, resource="events", verb="create", **options)
            first = EventRecorder(kube, "purelb-allocator", unsent)
            running = tasks.create_task(first.run())
            first.record(reference(SERVICE), "Normal", "AddressAssigned", "10.0.0.1")
            while not fault.hits:
                await asyncio.sleep(0.01)
            running.cancel()  # as one does that lost its Lease
            await asyncio.wait([running])
            server.faults.clear()
            running = tasks.create_task(EventRecorder(kube, "purelb-allocator", unsent).run())
            (event,) = await until(kube, lambda found: len(found) == 1)
            running.cancel()
            assert event["message"] == "10.0.0.1"

    asyncio.run(scenario())


def test_what_waits_is_sent_before_a_stop(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube):
            recorder = EventRecorder(kube, "purelb-allocator")
            recorder.record(reference(SERVICE), "Normal", "AddressReleased", "bye")
            await recorder.flush(timeout=5)
            assert len((await kube.list(core_path("events", "default"))).items) == 1

    asyncio.run(scenario())


def about(number: int) -> ObjectReference:
    return reference({"metadata": {"name": f"web-{number}", "namespace": "default", "uid": f"u{number}"}})


class SlowApi:
    """Takes every event after a moment, and knows how many were under way at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.under_way = 0
        self.most = 0
        self.created: list[str] = []
        self.raised: list[int] = []
        self.slowness_of_counts = 0.0
        """Seconds."""
        self.is_forgetful = False
        """Whether an event isn't there any more when its count is raised."""
        monkeypatch.setattr(Kube, "create", self._create)
        monkeypatch.setattr(Kube, "patch", self._patch)

    async def _create(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.002)
        self.under_way -= 1
        self.created.append(body["message"])
        return body

    async def _patch(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(self.slowness_of_counts)
        self.raised.append(body["count"])
        if self.is_forgetful:
            raise NotFoundError("events live an hour")
        return body


def test_a_thousand_at_once_are_sent_several_at_a_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowApi(monkeypatch)

    async def scenario() -> None:
        recorder = EventRecorder(Kube(), "test")
        for number in range(1000):
            recorder.record(about(number), "Normal", "AnnouncingLocal", f"event {number}")
        await recorder.flush(timeout=30)

    asyncio.run(scenario())

    assert len(slow.created) == 1000
    assert slow.most == events.SENDERS


@pytest.mark.parametrize("is_forgetful", [False, True])
def test_an_event_that_is_forgotten_here_while_its_count_is_raised_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, is_forgetful: bool
) -> None:
    slow = SlowApi(monkeypatch)
    slow.slowness_of_counts, slow.is_forgetful = 0.1, is_forgetful
    monkeypatch.setattr(events, "WINDOW", 0.02)

    async def scenario() -> None:
        recorder = EventRecorder(Kube(), "test")
        recorder.record(about(1), "Normal", "AnnouncingLocal", "said before")
        await recorder.flush(timeout=5)
        await asyncio.sleep(0.05)
        recorder.record(about(1), "Normal", "AnnouncingLocal", "said before")
        for number in range(2, 40):  # by other senders, which forget the first one meanwhile
            recorder.record(about(number), "Normal", "AnnouncingLocal", f"event {number}")
        await recorder.flush(timeout=5)
        recorder.record(about(1), "Normal", "AnnouncingLocal", "said before")
        await recorder.flush(timeout=5)

    asyncio.run(scenario())

    assert slow.raised[0] == 2
    assert {f"event {number}" for number in range(2, 40)} < set(slow.created)


def test_events_on_one_object_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowApi(monkeypatch)

    async def scenario() -> None:
        recorder = EventRecorder(Kube(), "test")
        for number in range(8):
            recorder.record(about(1), "Normal", "AnnouncingLocal", f"event {number}")
        await recorder.flush(timeout=30)

    asyncio.run(scenario())

    assert slow.created == [f"event {number}" for number in range(8)]


def test_many_that_differ_in_their_words_only_become_one(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube), asyncio.TaskGroup() as tasks:
            recorder = EventRecorder(kube, "test")
            running = tasks.create_task(recorder.run())
            for number in range(50):
                recorder.record(reference(SERVICE), "Normal", "AnnouncingLocal", f"node {number}")
            found = await until(kube, lambda found: sum(event["count"] for event in found) == 50)
            running.cancel()
            assert len(found) == similar.DIFFERENT + 1
            combined = next(event for event in found if event["count"] > 1)
            assert combined["message"] == "(combined from similar events): node 49"

    asyncio.run(scenario())


def test_after_a_while_they_stand_on_their_own_again() -> None:
    recent = similar.Similar()
    many = [recent.is_too_many("web", str(number), now=0.0) for number in range(12)]

    assert many == [False] * 10 + [True] * 2
    assert not recent.is_too_many("web", "3", now=1.0)
    assert not recent.is_too_many("web", "99", now=similar.WINDOW + 1)


def test_the_count_of_one_that_never_ends_is_not_written_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowApi(monkeypatch)
    monkeypatch.setattr(events, "PACE", 0.3)

    async def scenario() -> None:
        recorder = EventRecorder(Kube(), "test")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(recorder.run())
            for _ in range(60):
                recorder.record(about(1), "Normal", "AnnouncingLocal", "again")
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            running.cancel()
        await recorder.flush(timeout=5)

    asyncio.run(scenario())

    assert slow.raised[-1] == 60  # nothing is lost
    assert len(slow.raised) <= events.OFTEN + 6
