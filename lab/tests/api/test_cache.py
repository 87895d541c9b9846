"""The lab's caches against the embedded API server, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kubedouble import ApiServer
from lab.api.cache import Cache
from lab.api.cluster import Cluster
from lab.api.objects import path
from purelb.kube import Kube

CONFIG_MAPS = path("configmaps", "default")


def _config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


@asynccontextmanager
async def _served(folder: Path) -> AsyncIterator[tuple[ApiServer, Kube]]:
    server = ApiServer()
    await server.start()
    try:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(server.kubeconfig()))
        async with Kube(kubeconfig) as kube:
            yield server, kube
    finally:
        await server.stop()


def _run(folder: Path, test: Callable[[ApiServer, Kube], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), _served(folder) as (server, kube):
            await test(server, kube)

    asyncio.run(run())


async def _until(look: Callable[[], bool]) -> None:
    while not look():
        await asyncio.sleep(0.01)


def test_a_cache_follows_others_and_shows_own_writes_at_once(tmp_path: Path) -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        changes: list[str] = []
        cache = Cache(kube, "configmaps", CONFIG_MAPS, lambda obj: changes.append(obj["metadata"]["name"]))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cache.run())
            await cache.synced.wait()

            made = await kube.create(CONFIG_MAPS, _config_map("one", a="1"))
            cache.apply(made)
            assert cache.get("default", "one") == made

            newer = await kube.patch(f"{CONFIG_MAPS}/one", {"data": {"a": "2"}})
            await _until(lambda: (cache.get("default", "one") or {}).get("data") == {"a": "2"})
            cache.apply(made)  # late, and older than what is known
            assert cache.get("default", "one") == newer

            await kube.delete(f"{CONFIG_MAPS}/one")
            await _until(lambda: cache.get("default", "one") is None)
            cache.apply(newer)  # late, of what is known to be gone
            assert cache.get("default", "one") is None
            again = await kube.create(CONFIG_MAPS, _config_map("one"))
            await _until(lambda: cache.get("default", "one") == again)
            running.cancel()

    _run(tmp_path, test)


@pytest.mark.parametrize("fault", ["drop_watches", "expire"])
def test_a_cache_survives_the_loss_of_its_watch(tmp_path: Path, fault: str) -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        cache = Cache(kube, "configmaps", CONFIG_MAPS, lambda obj: None)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cache.run())
            await kube.create(CONFIG_MAPS, _config_map("gone"))
            await _until(lambda: cache.get("default", "gone") is not None)

            getattr(server.faults, fault)()
            await kube.delete(f"{CONFIG_MAPS}/gone")
            await kube.create(CONFIG_MAPS, _config_map("new"))

            await _until(lambda: cache.get("default", "gone") is None and cache.get("default", "new") is not None)
            running.cancel()

    _run(tmp_path, test)


def test_a_status_is_written_only_when_it_differs(tmp_path: Path) -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        cluster = Cluster(kube)
        node = await cluster.create("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})

        await cluster.patch_status("nodes", node, {"phase": "Running"})
        first = await kube.get(path("nodes", name="n"))
        await cluster.patch_status("nodes", first, {"phase": "Running"})

        assert first["status"]["phase"] == "Running"
        assert await kube.get(path("nodes", name="n")) == first

    _run(tmp_path, test)


def test_what_is_deleted_at_once_is_not_kept_by_the_answer(tmp_path: Path) -> None:
    """A deletion answers with the object's last form, whose version is that of the event which takes it away."""

    async def test(server: ApiServer, kube: Kube) -> None:
        cluster = Cluster(kube)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(cluster.run())
            await cluster.wait_synced()
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "p", "namespace": "default"},
                "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]},
            }
            made = await cluster.create("pods", pod)
            assert cluster.caches["pods"].get("default", "p") == made

            await cluster.delete("pods", made)
            leaving = cluster.caches["pods"].get("default", "p")
            assert leaving is not None
            assert leaving["metadata"]["deletionGracePeriodSeconds"] == 30

            await cluster.delete("pods", leaving, grace=0)
            await _until(lambda: cluster.caches["pods"].get("default", "p") is None)
            running.cancel()

    _run(tmp_path, test)
