"""Our access to the API: objects in and out, and errors that say what to do next."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from purelb.backoff import Backoff
from purelb.errors import (
    ConflictError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    SettingsError,
    UnavailableError,
)
from purelb.kube import Kube, core_path, custom_path, group_path, services_path
from purelb.retry import persist
from tests.purelb.conftest import Api

CONFIG_MAPS = core_path("configmaps", "default")


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_paths_are_the_apis() -> None:
    assert services_path() == "/api/v1/services"
    assert services_path("shop", "web", "status") == "/api/v1/namespaces/shop/services/web/status"
    assert custom_path("servicegroups", "purelb") == "/apis/purelb.io/v1/namespaces/purelb/servicegroups"
    assert group_path("coordination.k8s.io/v1", "leases", "a", "b/c").endswith("/namespaces/a/leases/b%2Fc")


def test_an_object_is_created_read_patched_listed_and_deleted(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube):
            await kube.create(CONFIG_MAPS, config_map("one", a="1"))
            patched = await kube.patch(core_path("configmaps", "default", "one"), {"data": {"b": "2"}})
            assert patched["data"] == {"a": "1", "b": "2"}
            listing = await kube.list(CONFIG_MAPS, fieldSelector="metadata.name=one")
            assert [item["data"] for item in listing.items] == [{"a": "1", "b": "2"}]
            assert int(listing.resource_version) > 0
            await kube.delete(core_path("configmaps", "default", "one"))
            with pytest.raises(NotFoundError, match='"one" not found'):
                await kube.get(core_path("configmaps", "default", "one"))

    asyncio.run(scenario())


def test_of_each_request_verb_and_time_are_told_however_it_ended(api: Api, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []

    async def scenario() -> None:
        async with (
            api.connected() as (_, kube),
            Kube(tmp_path / "kubeconfig", requested=lambda verb, seconds: told.append((verb, seconds))) as kube,
        ):
            await kube.create(CONFIG_MAPS, config_map("one", a="1"))
            await kube.list(CONFIG_MAPS)
            with pytest.raises(NotFoundError):
                await kube.delete(core_path("configmaps", "default", "none"))
        with pytest.raises(UnavailableError):
            async with Kube(
                tmp_path / "kubeconfig", requested=lambda verb, seconds: told.append((verb, seconds))
            ) as kube:
                await kube.get(CONFIG_MAPS)

    asyncio.run(scenario())

    assert [verb for verb, _ in told] == ["create", "read", "delete", "read"]
    assert all(0 < seconds < 30 for _, seconds in told)


def test_a_long_collection_is_listed_page_by_page(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube):
            for number in range(1100):
                await kube.create(CONFIG_MAPS, config_map(f"map-{number}"))
            listing = await kube.list(CONFIG_MAPS)
            names = {item["metadata"]["name"] for item in listing.items}
            assert {f"map-{number}" for number in range(1100)} <= names
            assert len(listing.items) == len(names)

    asyncio.run(scenario())


def test_a_write_on_an_old_version_is_a_conflict(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube):
            read = await kube.create(CONFIG_MAPS, config_map("one"))
            version = read["metadata"]["resourceVersion"]
            path = core_path("configmaps", "default", "one")
            await kube.patch(path, {"data": {"a": "1"}})
            with pytest.raises(ConflictError):
                await kube.patch(path, {"metadata": {"resourceVersion": version}, "data": {"a": "2"}})
            with pytest.raises(ConflictError, match="already exists"):
                await kube.create(CONFIG_MAPS, config_map("one"))

    asyncio.run(scenario())


def test_every_refusal_has_its_type(api: Api) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, kube):
            with pytest.raises(InvalidError):
                await kube.create(CONFIG_MAPS, config_map("Not A Name"))
            server.faults.status(429, retry_after=3, resource="configmaps", count=1)
            with pytest.raises(UnavailableError) as busy:
                await kube.list(CONFIG_MAPS)
            assert (busy.value.status, busy.value.retry_after) == (429, 3.0)
            server.faults.status(500, resource="configmaps", count=1)
            with pytest.raises(UnavailableError):
                await kube.list(CONFIG_MAPS)
            server.faults.hang(resource="configmaps", count=1)
            with pytest.raises(UnavailableError, match="did not answer GET"):
                await kube.request("GET", CONFIG_MAPS, timeout=0.2)

    asyncio.run(scenario())


def test_a_server_that_is_not_there_is_unavailable(api: Api) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, kube):
            await server.stop()
            with pytest.raises(UnavailableError, match="can't be reached"):
                await kube.get(CONFIG_MAPS)

    asyncio.run(scenario())


def test_a_watch_tells_what_happened_since_and_what_happens(api: Api) -> None:
    async def scenario() -> None:
        async with api.connected() as (_, kube):
            since = (await kube.list(CONFIG_MAPS)).resource_version
            await kube.create(CONFIG_MAPS, config_map("one"))
            seen = []
            async for event in kube.watch(CONFIG_MAPS, since):
                if event["type"] == "BOOKMARK":
                    continue
                seen.append((event["type"], event["object"]["metadata"]["name"]))
                match len(seen):
                    case 1:
                        await kube.create(CONFIG_MAPS, config_map("two", text="ä\n" * 100_000))
                    case 2:
                        await kube.delete(core_path("configmaps", "default", "one"))
                    case 3:
                        break
            assert seen == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "one")]

    asyncio.run(scenario())


def test_a_watch_from_a_time_that_is_forgotten_says_so(api: Api) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, kube):
            since = (await kube.create(CONFIG_MAPS, config_map("one")))["metadata"]["resourceVersion"]
            await kube.create(CONFIG_MAPS, config_map("two"))
            server.store.compact()
            with pytest.raises(GoneError):
                async for _ in kube.watch(CONFIG_MAPS, since):
                    pass

    asyncio.run(scenario())


def test_a_watch_ends_with_the_connection_and_never_waits_for_a_server_that_refuses(api: Api) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, kube):
            since = (await kube.create(CONFIG_MAPS, config_map("one")))["metadata"]["resourceVersion"]
            server.faults.status(500, verb="watch", count=1)
            with pytest.raises(UnavailableError):
                await anext(kube.watch(CONFIG_MAPS, since))
            watching = kube.watch(CONFIG_MAPS, since)
            assert (await anext(watching))["type"] == "BOOKMARK"
            server.faults.drop_watches()
            async with asyncio.timeout(10):
                assert await anext(watching, None) is None

    asyncio.run(scenario())


def test_what_fails_is_tried_again_until_it_works(api: Api) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, kube):
            server.faults.status(500, resource="configmaps", count=3)
            listing = await persist("the maps", lambda: kube.list(CONFIG_MAPS), Backoff(first=0.01))
            assert listing.resource_version

    asyncio.run(scenario())


def test_no_way_to_the_api_is_said_in_a_sentence(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Kube(tmp_path / "nothing"):
            raise AssertionError("connected to nothing")

    with pytest.raises(SettingsError, match="no way to the Kubernetes API"):
        asyncio.run(scenario())


def test_the_backoff_doubles_up_to_its_most() -> None:
    delays = Backoff(first=0.5, most=3.0).delays()

    assert [next(delays) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_errors_of_the_api_have_one_root() -> None:
    assert issubclass(ConflictError, KubeError)
    assert not issubclass(SettingsError, KubeError)
