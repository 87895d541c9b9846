"""What the lab does with a namespace that is deleted, beside an API server that leaves it to others."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from kubedouble.testing.servers import api_server
from lab.api.cluster import Cluster, path
from lab.api.kubeclient import ApiError, KubeClient, open_client
from lab.controllers.namespaceend import NamespaceEnd

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}}
HELD = {"metadata": {"name": "held", "namespace": "short-lived", "finalizers": ["example.org/hold"]}}


async def _is_there(client: KubeClient, where: str) -> bool:
    try:
        await client.get(where)
    except ApiError as failure:
        if failure.code != 404:
            raise
        return False
    return True


def test_a_namespace_goes_when_what_is_in_it_is_gone(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), api_server() as server:
            kubeconfig = tmp_path / "kubeconfig"
            kubeconfig.write_text(json.dumps(server.kubeconfig()))
            async with open_client(kubeconfig) as client, asyncio.TaskGroup() as tasks:
                cluster = Cluster(client)
                running = [tasks.create_task(part.run()) for part in (cluster, NamespaceEnd(cluster))]
                await cluster.create("namespaces", NAMESPACE)
                await cluster.create("configmaps", HELD)
                await client.create(path("secrets", "short-lived"), {"metadata": {"name": "plain"}})

                await client.delete("/api/v1/namespaces/short-lived")

                while (await client.list(path("secrets", "short-lived")))[0]:
                    await asyncio.sleep(0.05)
                held = await client.get(path("configmaps", "short-lived", "held"))
                assert held["metadata"]["deletionTimestamp"]
                await client.patch(path("configmaps", "short-lived", "held"), {"metadata": {"finalizers": None}})
                while await _is_there(client, "/api/v1/namespaces/short-lived"):
                    await asyncio.sleep(0.05)
                for task in running:
                    task.cancel()

    asyncio.run(run())
