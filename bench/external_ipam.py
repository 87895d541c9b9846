"""Addresses that others keep, measured beside a local pool: latency, bursts, memory, and who waits while one is silent.

The sidecar is lab/sidecar.py in a process of its own, NetBox the one of our tests, over HTTP in this process; so the
figures are of the allocator and its protocol with them, not of a real NetBox's speed. Prints one JSON line per figure.
``--quick`` for a fifth of everything.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.allocator import memory_of
from bench.crowd import Crowd, allocator, crowd, warmed_up
from bench.report import figure
from purelb import names
from purelb.kube import custom_path
from tests.allocator.sources.netboxserver import TOKEN, Netbox, hanging
from tests.allocator.sources.sidecars import sample

BENCH = "external_ipam"
SOURCES = ("default", "sidecar", "netbox", "netbox-before-4-6")
"""ServiceGroups, the first of which is local."""


@asynccontextmanager
async def sources(whole: Crowd) -> AsyncIterator[dict[str, Netbox]]:
    """A ServiceGroup of each kind and what stands behind it; gives the NetBoxes."""
    netboxes = {"netbox": Netbox(), "netbox-before-4-6": Netbox(has_etags=False)}
    for number, netbox in enumerate(netboxes.values()):
        netbox.add(*(f"10.{65 + number}.{index // 250}.{index % 250}/32" for index in range(1000)))
    with tempfile.TemporaryDirectory(prefix="purelb-bench-") as directory:
        async with (
            sample(Path(directory), "sidecar=10.67.0.0/16") as sidecar,
            netboxes["netbox"].serve(),
            netboxes["netbox-before-4-6"].serve(),
        ):
            specs: dict[str, dict[str, Any]] = {
                name: {"netbox": {"url": netbox.url, "tenant": "lb"}} for name, netbox in netboxes.items()
            }
            socket = str(sidecar.socket)
            specs["sidecar"] = {"external": {"provider": "sample", "socket": socket, "announce": "local"}}
            for name, spec in specs.items():
                metadata = {"name": name, "namespace": "purelb"}
                body = {"apiVersion": "purelb.io/v1", "kind": "ServiceGroup", "metadata": metadata, "spec": spec}
                await whole.kube.create(custom_path(names.SERVICE_GROUPS, "purelb"), body)
            yield netboxes


async def create(whole: Crowd, name: str, group: str) -> None:
    await whole.create(name, annotations={names.SERVICE_GROUP: group})


async def steadily(whole: Crowd, group: str, prefix: str, count: int) -> list[float]:
    """20 Services a second: from sending the creation to the address in the watch, in ascending milliseconds."""
    sent: dict[str, float] = {}
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            name = f"{prefix}{number:03}"
            sent[name] = time.perf_counter()
            tasks.create_task(create(whole, name, group))
            await asyncio.sleep(0.05)
    await whole.wait_for(sent)
    return sorted(1000 * (whole.addressed[name] - sent[name]) for name in sent)


def creation(whole: Crowd, group: str) -> Callable[[int], Awaitable[None]]:
    """Of a Service by its number."""
    return lambda number: create(whole, f"{group}-b{number:03}", group)


async def latency_and_bursts(count: int) -> None:
    """One after the other, then all at once, of each kind."""
    async with crowd() as whole, allocator(whole) as program:
        await warmed_up(whole)
        before, _ = memory_of(program.pid)
        async with sources(whole):
            local = 0.0
            for group in SOURCES:
                await create(whole, f"first-{group}", group)
                await whole.wait_for([f"first-{group}"])
                times = await steadily(whole, group, f"{group}-a", count)
                median = statistics.median(times)
                local = local or median
                figure(
                    BENCH,
                    f"{group}: create to address at 20/s, median",
                    median,
                    "ms",
                    "-",
                    None,
                    p99=round(times[int(len(times) * 0.99)], 1),
                    local_pool=round(local, 1),
                    services=count,
                )
                begun = time.perf_counter()
                await whole.create_all(count, creation(whole, group))
                await whole.wait_for(f"{group}-b{number:03}" for number in range(count))
                took = time.perf_counter() - begun
                figure(BENCH, f"{group}: {count} at once, in all", took, "s", "-", None)
            after, _ = memory_of(program.pid)
            figure(
                BENCH, "resident memory with all of them", after, "MiB", "-", None, with_a_local_pool=round(before, 1)
            )


async def silence(count: int) -> None:
    """A local pool while as many Services wait for a NetBox that never answers and for a sidecar that is dead."""
    async with crowd() as whole, allocator(whole):
        await warmed_up(whole)
        async with sources(whole) as netboxes:
            calm = statistics.median(await steadily(whole, "default", "calm", count))
            netboxes["netbox"].fault = hanging
            for number in range(count):
                await create(whole, f"stuck-{number}", "netbox")
            times = await steadily(whole, "default", "beside", count)
            median = statistics.median(times)
            figure(
                BENCH,
                f"local pool beside {count} Services that wait for a silent NetBox, median",
                median,
                "ms",
                "<= 30",
                median <= 30,
                p99=round(times[int(len(times) * 0.99)], 1),
                without_them=round(calm, 1),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of everything")
    count = 20 if parser.parse_args().quick else 100
    os.environ["NETBOX_USER_TOKEN"] = TOKEN
    asyncio.run(latency_and_bursts(count))
    asyncio.run(silence(count))


if __name__ == "__main__":
    main()
