"""The allocator's promises, measured: latency, bursts, start, memory, engine speed, and kill -9 at random moments.

Three processes as in a cluster: the embedded API server, the allocator, and this one, which creates Services and sees
their addresses through a watch. Prints one JSON line per figure, with what it must be and the peer's figure where one
is known. ``--quick`` for a tenth of everything, ``--only NAME`` for one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # else this file would be found as the package "allocator"

import aiohttp  # noqa: E402
import yaml  # noqa: E402

from allocator.engine import Engine  # noqa: E402
from allocator.groups import admit  # noqa: E402
from allocator.requests import Request, Seniority  # noqa: E402
from purelb import names  # noqa: E402
from purelb.addresses import Family  # noqa: E402
from purelb.errors import KubeError  # noqa: E402
from purelb.kube import Kube, core_path, custom_path, services_path  # noqa: E402
from purelb.resources import parse_service_group  # noqa: E402
from purelb.services import ServiceKey  # noqa: E402
from tests.allocator.ordeal import undergo  # noqa: E402
from tests.allocator.stage import staged  # noqa: E402

PEER_LATENCY = "PureLB's own end-to-end suite: 88 to 162 ms"
PEER_RATE = "PureLB: 5 requests/s by its client library's default"
POOL = {"local": {"v4pool": {"subnet": "10.64.0.0/16", "pool": "10.64.0.0/16", "aggregation": "/32"}}}
CREATORS = 16
GIVE_UP = 180.0


def report(figure: str, value: float, unit: str, must: str, holds: bool, **more: object) -> None:
    """One line."""
    line = {
        "bench": "allocator",
        "figure": figure,
        "value": round(value, 3),
        "unit": unit,
        "must": must,
        "holds": holds,
    }
    print(json.dumps(line | more), flush=True)


class Cluster:
    """An API server process with our CRDs, and a watch on all Services."""

    def __init__(self, kube: Kube, url: str, kubeconfig: Path) -> None:
        self.kube = kube
        self.url = url
        self.kubeconfig = kubeconfig
        self.addressed: dict[str, float] = {}
        self.writes: dict[str, int] = {}
        self._news = asyncio.Event()

    async def watch(self) -> None:
        """Note when each Service first shows an address, and how often it was written after its creation."""
        timeout = aiohttp.ClientTimeout(total=None)
        listing = await self.kube.list(services_path())
        url = f"{self.url}{services_path()}?watch=true&resourceVersion={listing.resource_version}"
        async with aiohttp.ClientSession(timeout=timeout, read_bufsize=2**22) as session, session.get(url) as response:
            async for line in response.content:
                self._note(json.loads(line))

    def _note(self, event: dict[str, Any]) -> None:
        body = event["object"]
        name = body["metadata"]["name"]
        if event["type"] == "MODIFIED":
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


@asynccontextmanager
async def process(*command: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, **environ}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        running.terminate()
        await running.wait()


async def persistently(action: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(GIVE_UP):
        while True:
            try:
                await action()
                return
            except (KubeError, OSError):
                await asyncio.sleep(0.05)


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="purelb-bench-") as directory:
        kubeconfig = Path(directory) / "kubeconfig"
        listen = ("--listen", "127.0.0.1:0", "--kubeconfig", str(kubeconfig))
        async with process(sys.executable, "-m", "lab.apiserver", *listen):
            async with asyncio.timeout(GIVE_UP):
                while not kubeconfig.exists() or not kubeconfig.read_text():
                    await asyncio.sleep(0.05)
            url = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
            async with Kube(kubeconfig, user_agent="bench") as kube:
                await persistently(lambda: kube.list(core_path("namespaces")))
                for file in sorted((ROOT / "crds").glob("*.purelb.io.yaml")):
                    definition = yaml.safe_load(file.read_text())
                    await kube.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
                namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "purelb"}}
                await kube.create(core_path("namespaces"), namespace)
                group = {
                    "apiVersion": "purelb.io/v1",
                    "kind": "ServiceGroup",
                    "metadata": {"name": "default", "namespace": "purelb"},
                    "spec": POOL,
                }
                await kube.create(custom_path(names.SERVICE_GROUPS, "purelb"), group)
                whole = Cluster(kube, url, kubeconfig)
                watching = asyncio.create_task(whole.watch())
                yield whole
                watching.cancel()


@asynccontextmanager
async def allocator(whole: Cluster) -> AsyncIterator[asyncio.subprocess.Process]:
    flags = ("--kubeconfig", str(whole.kubeconfig), "--host", "127.0.0.1", "--port", "0")
    environ = {"DEFAULT_ANNOUNCER": "PureLB", "PURELB_NAMESPACE": "purelb", "PURELB_POD_NAME": "bench"}
    async with process(sys.executable, "-m", "allocator", *flags, **environ) as running:
        yield running


async def warmed_up(whole: Cluster) -> None:
    for number in range(20):
        await whole.create(f"warm-{number}")
    await whole.wait_for(f"warm-{number}" for number in range(20))


# --- the figures -----------------------------------------------------------------------------------------------------


def engine_speed(share: float) -> None:
    """Fill a pool of 65,536 addresses through the whole engine, then empty it at random."""
    body = {"metadata": {"name": "default"}, "spec": POOL}
    groups, _ = admit([parse_service_group(body)], {})
    engine = Engine()
    engine.configure(groups)
    now = datetime.datetime.now(datetime.UTC)
    count = int(65_536 * max(share, 0.25))
    keys = [ServiceKey("default", f"s{number}") for number in range(count)]
    requests = [Request(key, Seniority(now, number, key), families=(Family.IPV4,)) for number, key in enumerate(keys)]
    begun = time.perf_counter()
    for request in requests:
        engine.decide(request)
    random.Random(1).shuffle(keys)
    for key in keys:
        engine.release(key)
    rate = 2 * count / (time.perf_counter() - begun)
    report("engine alone: allocate and release", rate, "operations/s", ">= 100000", rate >= 100_000, addresses=count)


async def steady_rate(share: float) -> None:
    """20 Services a second: from sending the creation to the address in the watch."""
    count = int(400 * share)
    async with cluster() as whole, allocator(whole):
        await warmed_up(whole)
        sent: dict[str, float] = {}
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                name = f"s{number:05}"
                sent[name] = time.perf_counter()
                tasks.create_task(whole.create(name))
                await asyncio.sleep(0.05)
        await whole.wait_for(sent)
        await asyncio.sleep(0.5)
        times = sorted(1000 * (whole.addressed[name] - sent[name]) for name in sent)
        writes = [whole.writes[name] for name in sent]
    median, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    report("create to address at 20/s, median", median, "ms", "<= 30", median <= 30, peer=PEER_LATENCY, services=count)
    report("create to address at 20/s, p99", p99, "ms", "<= 150", p99 <= 150, services=count)
    report("writes per allocation", max(writes), "PATCH", "1", set(writes) == {1})


async def burst(count: int) -> None:
    """So many Services as fast as the API server takes them."""
    async with cluster() as whole, allocator(whole):
        await warmed_up(whole)
        todo = iter([f"s{number:05}" for number in range(count)])

        async def creator() -> None:
            for name in todo:
                await whole.create(name)

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CREATORS):
                tasks.create_task(creator())
        answered = time.perf_counter()
        await whole.wait_for(f"s{number:05}" for number in range(count))
        last = max(whole.addressed.values())
    lag, total = last - answered, last - begun
    report(f"{count} at once: last address after last creation", lag, "s", "<= 2", lag <= 2, peer=PEER_RATE)
    report(f"{count} at once: in all", total, "s", "<= 12 for 1000", count > 1000 or total <= 12)


def memory_of(pid: int) -> tuple[float, float]:
    """Resident memory now and at most, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    figures = dict(line.split(":", 1) for line in status.splitlines())
    now, most = (int(figures[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


async def start_with_many(count: int) -> None:
    """A start with so many Services that have addresses: until a new one is served; and the memory it takes."""
    async with cluster() as whole:
        branded = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "default"}
        todo = iter(range(count))

        async def creator() -> None:
            for number in todo:
                name = f"s{number:05}"
                await whole.create(name, annotations=branded)
                ingress = [{"ip": f"10.64.{number // 256}.{number % 256}", "ipMode": "VIP"}]
                status = {"status": {"loadBalancer": {"ingress": ingress}}}
                await whole.kube.patch(services_path("default", name, "status"), status)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CREATORS):
                tasks.create_task(creator())
        await whole.create("new")
        begun = time.perf_counter()
        async with allocator(whole) as running:
            await whole.wait_for(["new"])
            took = whole.addressed["new"] - begun
            await asyncio.sleep(20 if count >= 10_000 else 3)
            resident, peak = memory_of(running.pid)
    report(f"start with {count} Services until a new one is served", took, "s", "<= 15", took <= 15)
    report(f"resident memory at {count} Services", resident, "MiB", "<= 256", resident <= 256, peak=round(peak))


async def kills(count: int, seed: int) -> None:
    """kill -9 at so many random moments under load."""
    async with staged() as stage:
        outcome = await undergo(stage, count, seed)
    report(
        f"kill -9 at {count} random moments: addresses given twice, lost or leaked",
        len(outcome.faults),
        "faults",
        "0",
        not outcome.faults,
        seed=seed,
        allocations=outcome.allocations,
        kills_at_work=outcome.allocations_amid,
        faults=outcome.faults[:5],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--only", choices=("engine", "rate", "burst", "start", "kills"))
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    share = 0.1 if arguments.quick else 1.0

    def wanted(name: str) -> bool:
        return arguments.only in (None, name)

    if wanted("engine"):
        engine_speed(share)
    if wanted("rate"):
        asyncio.run(steady_rate(share))
    if wanted("burst"):
        asyncio.run(burst(int(1000 * share)))
        asyncio.run(burst(int(5000 * share)))
    if wanted("start"):
        asyncio.run(start_with_many(int(10_000 * share)))
    if wanted("kills"):
        asyncio.run(kills(int(200 * share), arguments.seed))


if __name__ == "__main__":
    main()
