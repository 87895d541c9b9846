"""A collection is followed through all that an API server can do, and what is told ends as what is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from kubedouble import ApiServer
from kubedouble.store import Store
from purelb import follow
from purelb.answers import JsonObject
from purelb.backoff import Backoff
from purelb.follow import Follower, Source, Standing, complaint
from purelb.kube import Kube, core_path, custom_path, group_path
from purelb.metrics import ClientMetrics, new_registry
from purelb.ordering import Changed, Deleted, News, ObjectKey, Replaced
from purelb.recovery import Recovery
from tests.purelb.conftest import Api

MAPS = core_path("configmaps", "default")
WITHIN = 20.0
"""Seconds for what takes a tenth of them."""
PACE = Backoff(first=0.02, most=0.1)
"""Of tries after a failure."""
FOR_EVER = Backoff(first=3600.0, most=3600.0)
"""Of one that nothing but another's luck helps."""


def config_map(name: str, **data: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def path(name: str) -> str:
    return core_path("configmaps", "default", name)


def data_of(body: JsonObject) -> dict[str, str] | None:
    """What this program reads: the data; a map without any is of no interest."""
    if (body.get("data") or {}).get("poison"):
        raise KeyError("a mistake of ours")
    return dict(body["data"]) if body.get("data") else None


class Reader:
    """A consumer that holds what it was told."""

    def __init__(self, follower: Follower[dict[str, str]]) -> None:
        self.follower = follower
        self.items: dict[str, dict[str, str]] = {}
        self.news: list[News[dict[str, str]]] = []
        self._changed = asyncio.Event()

    async def run(self) -> None:
        async for news in self.follower.news():
            self.take(news)

    def take(self, news: News[dict[str, str]] | None) -> None:
        if news is None:
            return
        self.news.append(news)
        match news:
            case Replaced(items):
                self.items = {key.name: item for key, item in items.items()}
            case Changed(key, item):
                self.items[key.name] = item
            case Deleted(key):
                self.items.pop(key.name, None)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not holds():
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self._changed.wait()

    async def reads(self, **items: dict[str, str]) -> None:
        await self.until(lambda: self.items == items)

    async def watches(self, kube: Kube) -> None:
        """Return when a watch stands: when something of no interest was heard by it."""
        await self.until(lambda: self.lists() > 0)  # what is made before the list isn't told
        await kube.create(MAPS, config_map("mark"))
        await self.until(lambda: Deleted(ObjectKey("default", "mark"), "") in [_anonymous(one) for one in self.news])

    def lists(self) -> int:
        return sum(isinstance(one, Replaced) for one in self.news)


def _anonymous(news: News[dict[str, str]]) -> News[dict[str, str]]:
    return replace(news, uid="") if isinstance(news, Deleted) else news


@asynccontextmanager
async def reading(
    kube: Kube, source: Source | None = None, pace: Backoff = PACE, recovery: Recovery | None = None
) -> AsyncIterator[Reader]:
    follower = Follower(
        kube,
        source or Source("ConfigMaps", MAPS),
        data_of,
        clock=asyncio.get_running_loop().time,
        rng=random.Random(1),
        pace=pace,
        recovery=recovery,
    )
    reader = Reader(follower)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reader.run())
        yield reader
        running.cancel()


def scenario(api: Api, play: Callable[[ApiServer, Kube], Any]) -> None:
    """Play on the server that fails when it is told to."""

    async def run() -> None:
        async with api.embedded() as (server, kube):
            await play(server, kube)

    asyncio.run(run())


# --- as it should be --------------------------------------------------------------------------------------------------


def test_it_tells_what_there_is_then_what_happens(api: Api) -> None:
    async def play() -> None:
        async with api.connected() as (_, kube):
            await kube.create(MAPS, config_map("one", a="1"))
            async with reading(kube) as reader:
                await reader.reads(one={"a": "1"})
                await kube.create(MAPS, config_map("two", b="2"))
                await reader.reads(one={"a": "1"}, two={"b": "2"})
                await kube.patch(path("one"), {"data": {"a": "3"}})
                await reader.reads(one={"a": "3"}, two={"b": "2"})
                await kube.delete(path("two"))
                await reader.reads(one={"a": "3"})
                assert reader.lists() == 1
                assert reader.follower.standing.complaint(0.0, 0.0) is None

    asyncio.run(play())


def test_what_is_of_no_interest_is_not_told_and_what_ceases_to_be_is_gone(api: Api) -> None:
    async def play() -> None:
        async with api.connected() as (_, kube):
            await kube.create(MAPS, config_map("empty"))
            async with reading(kube) as reader:
                await reader.until(lambda: reader.lists() == 1)
                await kube.patch(path("empty"), {"data": {"a": "1"}})
                await reader.reads(empty={"a": "1"})
                await kube.patch(path("empty"), {"data": {"a": None}})
                await reader.reads()

    asyncio.run(play())


def test_one_object_is_followed_alone(api: Api) -> None:
    async def play() -> None:
        async with api.connected() as (_, kube):
            await kube.create(MAPS, config_map("other", a="1"))
            async with reading(kube, Source("ConfigMap", MAPS, {"fieldSelector": "metadata.name=one"})) as reader:
                await reader.until(lambda: reader.lists() == 1)
                await kube.create(MAPS, config_map("one", a="1"))
                await kube.patch(path("other"), {"data": {"a": "2"}})
                await reader.reads(one={"a": "1"})
                await kube.delete(path("one"))
                await reader.reads()

    asyncio.run(play())


def test_many_objects_are_told_in_one_list(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        for number in range(1200):
            await kube.create(MAPS, config_map(f"map-{number}", n=str(number)))
        async with reading(kube) as reader:
            await reader.until(lambda: len(reader.items) == 1200)
            assert reader.lists() == 1

    scenario(api, play)


def test_an_object_that_cannot_be_understood_leaves_the_others_followed(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        await kube.create(MAPS, config_map("bad", poison="x"))
        async with reading(kube) as reader:
            await reader.until(lambda: reader.lists() == 1)
            await kube.patch(path("bad"), {"data": {"more": "poison"}})
            await kube.create(MAPS, config_map("good", a="1"))
            await reader.reads(good={"a": "1"})

    scenario(api, play)


# --- our own writes ---------------------------------------------------------------------------------------------------


def test_the_answer_to_our_own_write_is_told_once(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        await kube.create(MAPS, config_map("one", a="1"))
        async with reading(kube) as reader:
            await reader.reads(one={"a": "1"})
            epoch = reader.follower.epoch
            answer = await kube.patch(path("one"), {"data": {"a": "2"}})
            news = reader.follower.answered(answer, epoch)
            await kube.create(MAPS, config_map("two", b="1"))
            await reader.until(lambda: "two" in reader.items)

            told = [one for one in (news, *reader.news) if one == Changed(ObjectKey("default", "one"), {"a": "2"})]
            assert len(told) == 1

    scenario(api, play)


def test_the_answer_to_a_write_does_not_bring_back_what_was_deleted(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        await kube.create(MAPS, config_map("one", a="1"))
        async with reading(kube) as reader:
            await reader.reads(one={"a": "1"})
            answer = await kube.patch(path("one"), {"data": {"a": "2"}})
            await kube.delete(path("one"))
            await reader.reads()

            assert reader.follower.answered(answer, reader.follower.epoch) is None

    scenario(api, play)


# --- as it is ---------------------------------------------------------------------------------------------------------


def test_a_dropped_watch_goes_on_where_it_broke_off(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        await kube.create(MAPS, config_map("one", a="1"))
        async with reading(kube) as reader:
            await reader.reads(one={"a": "1"})
            await reader.watches(kube)
            server.faults.drop_watches()
            await kube.delete(path("one"))
            await kube.create(MAPS, config_map("two", b="2"))
            await reader.reads(two={"b": "2"})
            assert reader.lists() == 1

    scenario(api, play)


def test_what_was_deleted_in_a_gap_is_gone_after_the_next_list(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        await kube.create(MAPS, config_map("one", a="1"))
        await kube.create(MAPS, config_map("two", b="2"))
        async with reading(kube) as reader:
            await reader.reads(one={"a": "1"}, two={"b": "2"})
            await reader.watches(kube)
            down = server.faults.down()
            server.store.delete("/configmaps", "default", "one")
            server.faults.expire()
            server.faults.clear(down)
            await reader.reads(two={"b": "2"})
            assert reader.lists() == 2

    scenario(api, play)


@pytest.mark.parametrize("form", ["answer", "event"])
def test_a_history_that_is_too_short_leads_to_a_list(api: Api, form: str) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        async with reading(kube) as reader:
            await reader.watches(kube)
            if form == "answer":
                server.faults.status(410, verb="watch", count=2)
            else:
                server.faults.add("expire-watches", count=2)
            server.faults.drop_watches()
            await kube.create(MAPS, config_map("one", a="1"))
            await reader.until(lambda: reader.lists() == 3)
            await reader.reads(one={"a": "1"})

    scenario(api, play)


@pytest.mark.parametrize("code", [401, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_refusal_of_any_kind_is_outlasted_and_said(api: Api, code: int, verb: str) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        async with reading(kube) as reader:
            await reader.watches(kube)
            if verb == "list":
                server.faults.add("expire-watches", resource="configmaps", count=1)
            fault = server.faults.status(code, verb=verb, resource="configmaps")
            server.faults.drop_watches()
            await kube.create(MAPS, config_map("one", a="1"))
            await reader.until(lambda: reader.follower.standing.behind_since is not None)
            standing = reader.follower.standing
            assert standing.trouble.startswith("the ConfigMaps can't be followed: ")
            assert standing.complaint(WITHIN + (standing.behind_since or 0.0), WITHIN) == standing.trouble
            server.faults.clear(fault)
            await reader.reads(one={"a": "1"})
            await reader.until(lambda: reader.follower.standing.behind_since is None)
            assert reader.follower.standing.trouble == ""

    scenario(api, play)


def test_a_server_that_cannot_be_reached_is_tried_until_it_can(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        down = server.faults.down()
        async with reading(kube) as reader:
            await reader.until(lambda: reader.follower.standing.trouble != "")
            assert not reader.follower.standing.is_synced
            server.faults.clear(down)
            await reader.until(lambda: reader.follower.standing.is_synced)

    scenario(api, play)


def test_a_kind_that_is_not_served_yet_is_waited_for(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        async with reading(kube, Source("ServiceGroups", custom_path("servicegroups"))) as reader:
            await reader.until(lambda: reader.follower.standing.trouble != "")
            assert "ServiceGroups can't be followed" in (reader.follower.standing.complaint(0.0, 0.0) or "")

    scenario(api, play)


def restore(store: Store, rv: int, maps: dict[tuple[str, str], Any]) -> None:
    """What ``etcdctl snapshot restore`` does to a server: an older state, and numbers that begin again from there."""
    table = store.table("/configmaps")
    table.forget()
    table.records, table._sorted, table.last_rv, store.rv = dict(maps), None, rv, rv


def test_a_kind_that_older_servers_lack_has_no_object_there(api: Api) -> None:
    async def play() -> None:
        async with api.connected() as (_, kube):
            absent = Source("Ranges", group_path("networking.k8s.io/v9", "ranges"), may_lack=True)
            async with reading(kube, absent) as reader:
                await reader.until(lambda: reader.lists() == 1)
                assert reader.items == {}
                assert reader.follower.standing.complaint(0.0, 0.0) is None
                assert reader.follower.standing.trouble == ""

    asyncio.run(play())


def test_after_etcd_was_restored_the_older_state_is_the_truth(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        await kube.create(MAPS, config_map("one", a="1"))
        snapshot = server.store.rv, dict(server.store.table("/configmaps").records)
        async with reading(kube) as reader:
            await reader.reads(one={"a": "1"})
            for number in range(5):
                await kube.patch(path("one"), {"data": {"a": f"lost {number}"}})
            await kube.create(MAPS, config_map("lost", b="2"))
            await reader.reads(one={"a": "lost 4"}, lost={"b": "2"})
            epoch = reader.follower.epoch
            last = await kube.get(path("one"))

            restore(server.store, *snapshot)
            server.faults.drop_watches()

            await reader.reads(one={"a": "1"})
            assert reader.follower.epoch == epoch + 1
            assert reader.follower.answered(last, epoch) is None
            await kube.patch(path("one"), {"data": {"a": "after"}})
            await reader.reads(one={"a": "after"})

    scenario(api, play)


def test_a_server_that_always_ends_watches_at_once_is_not_run_against(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        async with reading(kube, pace=Backoff(first=0.07, most=10.0)) as reader:
            await reader.watches(kube)
            fault = server.faults.status(410, verb="watch")
            server.faults.drop_watches()
            await asyncio.sleep(0.5)  # at 0, then 0.07, 0.14 and 0.28 later, each by up to half sooner
            assert fault.hits <= 6

    scenario(api, play)


# --- how it stands ----------------------------------------------------------------------------------------------------


def test_readiness_says_what_is_not_followed() -> None:
    unread = Standing("Services", behind_since=0.0)
    behind = Standing("Services", is_synced=True, behind_since=100.0, trouble="the Services can't be followed: 403")

    assert unread.complaint(now=1.0, patience=20.0) == "the Services have not been read yet"
    assert behind.complaint(now=110.0, patience=20.0) is None
    assert behind.complaint(now=121.0, patience=20.0) == "the Services can't be followed: 403"
    assert Standing("Services", is_synced=True, behind_since=None).complaint(1e9, 20.0) is None
    assert complaint([unread, behind], 121.0, 20.0) == (
        "the Services have not been read yet; the Services can't be followed: 403"
    )
    assert complaint([], 121.0, 20.0) is None


def test_metrics_tell_how_it_stands(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        registry = new_registry()
        async with reading(kube) as reader:
            reader.follower.show(ClientMetrics(registry))
            labels = {"kind": "ConfigMaps"}
            assert registry.get_sample_value("purelb_k8s_client_synced_bool", labels) == 0
            await reader.until(lambda: registry.get_sample_value("purelb_k8s_client_synced_bool", labels) == 1)
            silence = registry.get_sample_value("purelb_k8s_client_silence_seconds", labels)
            assert silence is not None
            assert 0 <= silence < WITHIN

    scenario(api, play)


def test_one_that_waits_for_long_is_woken_when_the_server_serves_another_one(api: Api) -> None:
    async def play(server: ApiServer, kube: Kube) -> None:
        recovery = Recovery()
        secrets = Source("Secrets", core_path("secrets", "default"))
        async with (
            reading(kube, pace=FOR_EVER, recovery=recovery) as patient,
            reading(kube, secrets, PACE, recovery) as other,
        ):
            await patient.watches(kube)
            server.faults.status(503)
            server.faults.drop_watches()
            await other.until(lambda: bool(other.follower.standing.trouble))
            server.faults.clear()
            await kube.create(MAPS, config_map("one", a="1"))

            await patient.reads(one={"a": "1"})

    scenario(api, play)


class Noted(Recovery):
    """Notes for how long a follower would pause."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def pause(self, seconds: float, rng: random.Random) -> None:
        self.pauses.append(seconds)
        await super().pause(seconds, rng)


def test_a_history_that_has_become_too_short_is_listed_anew_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "AT_ONCE", 0.0)

    async def play(server: ApiServer, kube: Kube) -> None:
        recovery = Noted()
        async with reading(kube, pace=FOR_EVER, recovery=recovery) as reader:
            await reader.watches(kube)
            server.faults.drop_watches()
            await reader.until(lambda: bool(recovery.pauses))
            await kube.create(MAPS, config_map("one", a="1"))
            server.faults.expire()
            recovery.is_back()

            await reader.until(lambda: reader.lists() == 2)
            assert reader.items == {"one": {"a": "1"}}
            assert recovery.pauses[1:] == [0.0]

    scenario(api, play)
