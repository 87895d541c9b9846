"""What the lab does with a namespace that is deleted, beside an API server that leaves it to others."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from kubedouble.testing.servers import api_server
from lab.api.cluster import Cluster
from lab.api.objects import path
from lab.controllers.namespaceend import NamespaceEnd
from purelb.errors import NotFoundError
from purelb.kube import Kube

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}}
HELD = {"metadata": {"name": "held", "namespace": "short-lived", "finalizers": ["example.org/hold"]}}


async def _is_there(kube: Kube, where: str) -> bool:
    try:
        await kube.get(where)
    except NotFoundError:
        return False
    return True


def test_a_namespace_goes_when_what_is_in_it_is_gone(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), api_server() as server:
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_text(json.dumps(server.kubeconfig()))
            async with Kube(kubeconfig) as kube, asyncio.TaskGroup() as tasks:
                cluster = Cluster(kube)
                running = [tasks.create_task(part.run()) for part in (cluster, NamespaceEnd(cluster))]
                await cluster.create("namespaces", NAMESPACE)
                await cluster.create("configmaps", HELD)
                await kube.create(path("secrets", "short-lived"), {"metadata": {"name": "plain"}})

                await kube.delete("/api/v1/namespaces/short-lived")

                while (await kube.list(path("secrets", "short-lived"))).items:
                    await asyncio.sleep(0.05)
                held = await kube.get(path("configmaps", "short-lived", "held"))
                assert held["metadata"]["deletionTimestamp"]
                await kube.patch(path("configmaps", "short-lived", "held"), {"metadata": {"finalizers": None}})
                while await _is_there(kube, "/api/v1/namespaces/short-lived"):
                    await asyncio.sleep(0.05)
                for task in running:
                    task.cancel()

    asyncio.run(run())
