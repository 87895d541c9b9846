"""The lab's client and caches against the embedded API server, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kubedouble import ApiServer
from lab.api.cluster import Cluster, path
from lab.api.kubeclient import ApiError, Cache, KubeClient, open_client

CONFIG_MAPS = path("configmaps", "default")


def _config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[tuple[ApiServer, KubeClient]]:
    server = ApiServer()
    await server.start()
    try:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(server.kubeconfig()))
        async with open_client(kubeconfig) as client:
            yield server, client
    finally:
        await server.stop()


def _run(folder: Path, test: Callable[[ApiServer, KubeClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), _served(folder) as (server, client):
            await test(server, client)

    asyncio.run(run())


async def _until(look: Callable[[], bool]) -> None:
    while not look():
        await asyncio.sleep(0.01)


def test_refusals_carry_code_and_reason(tmp_path: Path) -> None:
    async def test(server: ApiServer, client: KubeClient) -> None:
        with pytest.raises(ApiError, match="NotFound") as refused:
            await client.get(f"{CONFIG_MAPS}/absent")
        assert (refused.value.code, refused.value.is_gone) == (404, True)
        await server.stop()
        with pytest.raises(ApiError, match="Unreachable") as refused:
            await client.get(f"{CONFIG_MAPS}/absent")
        assert refused.value.code == 0

    _run(tmp_path, test)


def test_a_cache_follows_others_and_shows_own_writes_at_once(tmp_path: Path) -> None:
    async def test(server: ApiServer, client: KubeClient) -> None:
        changes: list[str] = []
        cache = Cache(client, CONFIG_MAPS, lambda obj: changes.append(obj["metadata"]["name"]))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cache.run())
            await cache.synced.wait()

            made = await client.create(CONFIG_MAPS, _config_map("one", a="1"))
            cache.apply(made)
            assert cache.get("default", "one") == made

            newer = await client.patch(f"{CONFIG_MAPS}/one", {"data": {"a": "2"}})
            await _until(lambda: (cache.get("default", "one") or {}).get("data") == {"a": "2"})
            cache.apply(made)  # late, and older than what is known
            assert cache.get("default", "one") == newer

            await client.delete(f"{CONFIG_MAPS}/one")
            cache.forget(newer)
            cache.apply(newer)  # late, of what is known to be gone
            assert cache.get("default", "one") is None
            again = await client.create(CONFIG_MAPS, _config_map("one"))
            await _until(lambda: cache.get("default", "one") == again)
            running.cancel()

    _run(tmp_path, test)


@pytest.mark.parametrize("fault", ["drop_watches", "expire"])
def test_a_cache_survives_the_loss_of_its_watch(tmp_path: Path, fault: str) -> None:
    async def test(server: ApiServer, client: KubeClient) -> None:
        cache = Cache(client, CONFIG_MAPS, lambda obj: None)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cache.run())
            await client.create(CONFIG_MAPS, _config_map("gone"))
            await _until(lambda: cache.get("default", "gone") is not None)

            getattr(server.faults, fault)()
            await client.delete(f"{CONFIG_MAPS}/gone")
            await client.create(CONFIG_MAPS, _config_map("new"))

            await _until(lambda: cache.get("default", "gone") is None and cache.get("default", "new") is not None)
            running.cancel()

    _run(tmp_path, test)


def test_a_status_is_written_only_when_it_differs(tmp_path: Path) -> None:
    async def test(server: ApiServer, client: KubeClient) -> None:
        cluster = Cluster(client)
        node = await cluster.create("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})

        await cluster.patch_status("nodes", node, {"phase": "Running"})
        first = await client.get(path("nodes", name="n"))
        await cluster.patch_status("nodes", first, {"phase": "Running"})

        assert first["status"]["phase"] == "Running"
        assert await client.get(path("nodes", name="n")) == first

    _run(tmp_path, test)
