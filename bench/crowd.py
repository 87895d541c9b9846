"""An API server, an allocator and a crowd of Services, each in a process of its own as in a cluster.

Owns how they are started, how Services are made, and what a watch sees of them. What is measured is each measurement's
own. The API server is the embedded one, or the real one of KUBEBUILDER_ASSETS.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from kubedouble.envtest import ControlPlane, assets
from purelb import names
from purelb.errors import ConflictError, KubeError
from purelb.kube import Kube, core_path, custom_path, services_path

ROOT: Final = Path(__file__).resolve().parent.parent
POOL: Final = {"local": {"v4pool": {"subnet": "10.64.0.0/16", "pool": "10.64.0.0/16", "aggregation": "/32"}}}
CREATORS: Final = 16
GIVE_UP: Final = 180.0
"""Seconds after which a measurement ends without a result."""
EMBEDDED: Final = "embedded"
REAL: Final = "kube-apiserver"


def servers() -> list[str]:
    """The API servers to measure on."""
    return [EMBEDDED, REAL] if assets() is not None else [EMBEDDED]


class Crowd:
    """Services, as their creator and a watch see them."""

    def __init__(self, kube: Kube, kubeconfig: Path) -> None:
        self.kube = kube
        self.kubeconfig = kubeconfig
        self.addressed: dict[str, float] = {}
        self.writes: dict[str, int] = {}
        self._news = asyncio.Event()

    async def watch(self, since: str) -> None:
        """Note when each Service first shows an address, and how often it was written after its creation."""
        async for event in self.kube.watch(services_path(), since):
            if event["type"] != "BOOKMARK":
                self._note(event["type"], event["object"])

    def _note(self, kind: str, body: dict[str, Any]) -> None:
        name = body["metadata"]["name"]
        if kind == "MODIFIED":
            self.writes[name] = self.writes.get(name, 0) + 1
        if name not in self.addressed and body["status"]["loadBalancer"].get("ingress"):
            self.addressed[name] = time.perf_counter()
            self._news.set()

    async def wait_for(self, wanted: Iterable[str]) -> None:
        """Return when all these Services have an address."""
        missing = set(wanted)
        async with asyncio.timeout(GIVE_UP):
            while missing := missing.difference(self.addressed):
                self._news.clear()
                await self._news.wait()

    async def create(self, name: str, **metadata: Any) -> None:
        """One Service of type LoadBalancer."""
        spec = {
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": False,
            "selector": {"app": name},
            "ports": [{"port": 80}],
        }
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata}, "spec": spec}
        await self.kube.create(services_path("default"), body)

    async def create_all(self, count: int, make: Callable[[int], Awaitable[None]]) -> None:
        """``make`` for each number below ``count``, as fast as the API server takes it."""
        todo = iter(range(count))

        async def creator() -> None:
            for number in todo:
                await make(number)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CREATORS):
                tasks.create_task(creator())


@asynccontextmanager
async def process(*command: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of ours, ended afterwards."""
    running = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, **environ}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def persistently(action: Callable[[], Awaitable[Any]]) -> None:
    """Until the API server takes it."""
    async with asyncio.timeout(GIVE_UP):
        while True:
            try:
                await action()
                return
            except ConflictError:
                return
            except (KubeError, OSError):
                await asyncio.sleep(0.05)


@asynccontextmanager
async def api_server(which: str) -> AsyncIterator[Path]:
    """An API server; gives its kubeconfig."""
    with tempfile.TemporaryDirectory(prefix="purelb-bench-") as directory:
        kubeconfig = Path(directory) / "kubeconfig"
        if which == EMBEDDED:
            listen = ("--listen", "127.0.0.1:0", "--kubeconfig", str(kubeconfig))
            async with process(sys.executable, "-m", "kubedouble", *listen):
                async with asyncio.timeout(GIVE_UP):
                    while not kubeconfig.exists() or not kubeconfig.read_text():
                        await asyncio.sleep(0.05)
                yield kubeconfig
            return
        programs = assets()
        assert programs is not None, "KUBEBUILDER_ASSETS is set"
        plane = ControlPlane(Path(directory) / "plane", programs)
        await plane.start()
        try:
            kubeconfig.write_text(json.dumps(plane.kubeconfig()))
            yield kubeconfig
        finally:
            await plane.stop()


@asynccontextmanager
async def crowd(which: str = EMBEDDED) -> AsyncIterator[Crowd]:
    """An API server with our CRDs and one ServiceGroup, no Services yet, and a watch on them."""
    async with api_server(which) as kubeconfig, Kube(kubeconfig, user_agent="bench") as kube:
        await persistently(lambda: kube.list(core_path("namespaces")))
        for file in sorted((ROOT / "crds").glob("*.purelb.io.yaml")):
            definition = yaml.safe_load(file.read_text())
            await kube.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        for name in ("purelb", "default"):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            await persistently(partial(kube.create, core_path("namespaces"), namespace))
        group = {
            "apiVersion": "purelb.io/v1",
            "kind": "ServiceGroup",
            "metadata": {"name": "default", "namespace": "purelb"},
            "spec": POOL,
        }
        await persistently(lambda: kube.create(custom_path(names.SERVICE_GROUPS, "purelb"), group))
        whole = Crowd(kube, kubeconfig)
        watching = asyncio.create_task(whole.watch((await kube.list(services_path())).resource_version))
        try:
            yield whole
        finally:
            watching.cancel()


@asynccontextmanager
async def allocator(whole: Crowd, identity: str = "bench") -> AsyncIterator[asyncio.subprocess.Process]:
    """The program, in a process of its own."""
    flags = ("--kubeconfig", str(whole.kubeconfig), "--host", "127.0.0.1", "--port", "0")
    environ = {"DEFAULT_ANNOUNCER": "PureLB", "PURELB_NAMESPACE": "purelb", "PURELB_POD_NAME": identity}
    async with process(sys.executable, "-m", "allocator", *flags, **environ) as running:
        yield running


async def warmed_up(whole: Crowd) -> None:
    """The first Services pay for connections and caches."""
    for number in range(20):
        await whole.create(f"warm-{number}")
    await whole.wait_for(f"warm-{number}" for number in range(20))
