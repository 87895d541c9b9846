"""A busy API server: many Services that are none of ours, and changes to them at a steady rate.

Owns the writes. They go past kubectl, which would be the slowest part.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from pathlib import Path
from typing import Any, Final

from purelb.errors import KubeError
from purelb.kube import Kube

WRITERS: Final = 16
NAMESPACE: Final = "busy"


def _service(number: int) -> dict[str, Any]:
    """As most Services of a cluster are: inside it, with some labels and annotations."""
    labels = {"app.kubernetes.io/name": f"app-{number}", "app.kubernetes.io/part-of": f"product-{number % 50}"}
    metadata = {
        "name": f"app-{number}",
        "namespace": NAMESPACE,
        "labels": labels,
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
    }
    spec = {"type": "ClusterIP", "clusterIP": "None", "selector": labels, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def create_services(folder: Path, count: int) -> None:
    """Create so many, as fast as the API server takes them."""
    asyncio.run(_create(folder, count))


async def _create(folder: Path, count: int) -> None:
    todo = iter(range(count))

    async def write(kube: Kube) -> None:
        for number in todo:
            await kube.create(f"/api/v1/namespaces/{NAMESPACE}/services", _service(number))

    async with Kube(folder / "kubeconfig") as kube:
        await kube.create(
            "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(write(kube))


class Churn:
    """Changes an annotation of a random Service, ``rate`` times a second, on a thread of its own."""

    def __init__(self, folder: Path, count: int, rate: float) -> None:
        self.changes = 0
        self._folder = folder
        self._count = count
        self._pause = 1 / rate
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="churn")
        self._began = 0.0

    def __enter__(self) -> Churn:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def rate(self) -> float:
        """Changes a second that the API server took."""
        return self.changes / (time.monotonic() - self._began)

    async def _run(self) -> None:
        async with Kube(self._folder / "kubeconfig") as kube, asyncio.TaskGroup() as tasks:
            due = time.monotonic()
            while not self._end.is_set():
                tasks.create_task(self._change(kube))
                due += self._pause
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _change(self, kube: Kube) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/services/app-{random.randrange(self._count)}"
        body = {"metadata": {"annotations": {"example.com/deployed": f"{time.time():.3f}"}}}
        try:
            await kube.patch(path, body)
        except KubeError:
            return  # not counted
        self.changes += 1
