"""kopf and the official client on the embedded server: they see everything, also when their watches are cut."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import kopf
import pytest
from kubernetes.aio import client, config, watch

from kubedouble import ApiServer
from objects import config_map, pool, pool_definition, service


@asynccontextmanager
async def running(server: ApiServer) -> AsyncIterator[client.ApiClient]:
    """A server and an official client of it."""
    await server.start()
    try:
        settings = client.Configuration()
        await config.load_kube_config_from_dict(server.kubeconfig(), client_configuration=settings)
        async with client.ApiClient(settings) as api:
            yield api
    finally:
        await server.stop()


async def until(check: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not check():
            await asyncio.sleep(0.01)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(40):
            await test()

    asyncio.run(bounded())


def test_the_official_client_lists_patches_and_reads_typed_objects() -> None:
    async def scenario() -> None:
        async with running(ApiServer()) as api:
            core = client.CoreV1Api(api)
            await core.create_namespaced_service("default", service("a"))
            body = {"status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.64"}]}}}

            await core.patch_namespaced_service_status("a", "default", body)

            listed = await core.list_service_for_all_namespaces(label_selector="", limit=1)
            assert listed.metadata._continue
            everything = {item.metadata.name: item for item in (await core.list_service_for_all_namespaces()).items}
            assert everything["a"].status.load_balancer.ingress[0].ip_mode == "VIP"
            assert everything["a"].metadata.creation_timestamp.tzinfo is not None
            with pytest.raises(client.ApiException) as refused:
                await core.create_namespaced_service("default", service("a"))
            assert refused.value.status == 409

    run(scenario)


def test_the_official_clients_watch_goes_on_after_a_bookmark() -> None:
    async def scenario() -> None:
        async with running(ApiServer()) as api:
            core = client.CoreV1Api(api)
            seen: list[tuple[str, str]] = []

            async def follow() -> None:
                stream = watch.Watch().stream(core.list_namespaced_config_map, "default", timeout_seconds=20)
                async for event in stream:
                    kind, name = event["type"], event["object"].metadata.name
                    seen.append((kind, name))

            async with asyncio.TaskGroup() as tasks:
                following = tasks.create_task(follow())
                await core.create_namespaced_config_map("default", config_map("a"))
                await until(lambda: ("ADDED", "a") in seen)
                await core.delete_namespaced_config_map("a", "default")
                await until(lambda: ("DELETED", "a") in seen)
                following.cancel()

    run(scenario)


def operator(server: ApiServer, seen: list[tuple[str | None, str]], stop: asyncio.Event) -> Awaitable[Any]:
    """An operator as ours are: `on.event` only, on a built-in and on a custom kind."""
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.networking.error_backoffs = (0.05, 0.1, 0.1)

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=server.url)

    @kopf.on.event("services", registry=registry)
    @kopf.on.event("example.org", "v1", "pools", registry=registry)
    def note(type: str | None, name: str, **_: Any) -> None:
        seen.append((type, name))

    ready = asyncio.Event()
    return kopf.operator(
        registry=registry, settings=settings, clusterwide=True, stop_flag=stop, ready_flag=ready, standalone=True
    )


def test_an_operator_survives_dropped_watches_and_410() -> None:
    async def scenario() -> None:
        server = ApiServer()
        async with running(server) as api:
            core, custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
            await client.ApiextensionsV1Api(api).create_custom_resource_definition(pool_definition())
            seen: list[tuple[str | None, str]] = []
            stop = asyncio.Event()

            def names() -> Counter[str]:
                return Counter(name for _, name in seen)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_as_coroutine(operator(server, seen, stop)))
                await core.create_namespaced_service("default", service("first"))
                await custom.create_namespaced_custom_object("example.org", "v1", "default", "pools", pool("one"))
                await until(lambda: {"first", "one", "kubernetes"} <= set(names()))

                assert server.faults.drop_watches() >= 2
                await core.create_namespaced_service("default", service("second"))
                await custom.create_namespaced_custom_object("example.org", "v1", "default", "pools", pool("two"))
                await until(lambda: {"second", "two"} <= set(names()))

                await until(lambda: _watches(server) >= 2)
                server.faults.expire()
                await core.create_namespaced_service("default", service("third"))
                await until(lambda: "third" in names())

                refusal = server.faults.add("expire-watches", resource="pools", count=1)
                server.faults.drop_watches()
                await custom.create_namespaced_custom_object("example.org", "v1", "default", "pools", pool("three"))
                await until(lambda: "three" in names())
                assert refusal.hits == 1
                stop.set()

    run(scenario)


def _watches(server: ApiServer) -> int:
    return sum(len(table.listeners) for table in server.store.tables().values())


async def _as_coroutine(work: Awaitable[Any]) -> None:
    await work


def test_many_services_at_once_each_get_an_address_of_their_own() -> None:
    async def scenario() -> None:
        async with running(ApiServer()) as api:
            core = client.CoreV1Api(api)
            gate = asyncio.Semaphore(16)

            async def one(number: int) -> None:
                async with gate:
                    await core.create_namespaced_service("default", service(f"s{number}"))

            start = time.monotonic()
            await asyncio.gather(*(one(number) for number in range(300)))
            took = time.monotonic() - start

            listed = await core.list_namespaced_service("default")
            assert len(listed.items) == 301
            assert len({item.spec.cluster_ip for item in listed.items}) == 301
            # Both ends share this process; the server's part is a fraction of this.
            assert took < 10

    run(scenario)
