"""The allocator's promises, measured: latency, bursts, start, takeover, memory, engine speed, kill -9 at any moment.

Three processes as in a cluster: the API server, the allocator, and this one, which creates Services and sees their
addresses through a watch; on the embedded API server and, with KUBEBUILDER_ASSETS set, on the real one as well. Prints
one JSON line per figure, with what it must be and the peer's figure where one is known. ``--quick`` for a tenth of
everything, ``--only NAME`` for one of them, ``--api`` for one of the servers.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # else this file would be found as the package "allocator"

from allocator.ipam.engine import Engine  # noqa: E402
from allocator.ipam.groups import admit  # noqa: E402
from allocator.ipam.requests import Request, Seniority  # noqa: E402
from bench.crowd import POOL, allocator, crowd, servers, warmed_up  # noqa: E402
from purelb import names  # noqa: E402
from purelb.addresses import Family  # noqa: E402
from purelb.kube import core_path, services_path  # noqa: E402
from purelb.servicegroups import parse_service_group  # noqa: E402
from purelb.services import ServiceKey  # noqa: E402
from tests.allocator.ordeal import undergo  # noqa: E402
from tests.allocator.stage import staged  # noqa: E402

PEER_LATENCY = "PureLB's own end-to-end suite: 88 to 162 ms"
PEER_RATE = "PureLB: 5 requests/s by its client library's default"
PEER_TAKEOVER = "PureLB: one replica, so as long as a new pod takes"


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


async def steady_rate(api: str, share: float) -> None:
    """20 Services a second: from sending the creation to the address in the watch."""
    count = int(400 * share)
    async with crowd(api) as whole, allocator(whole):
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
        writes = {whole.writes[name] for name in sent}
        events = Counter(  # ours: the API server itself has things to say about Services
            event["involvedObject"]["name"]
            for event in (await whole.kube.list(core_path("events", "default"))).items
            if event["source"].get("component") == names.ALLOCATOR_COMPONENT
        )
    median, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    more = {"api": api, "services": count}
    report("create to address at 20/s, median", median, "ms", "<= 30", median <= 30, peer=PEER_LATENCY, **more)
    report("create to address at 20/s, p99", p99, "ms", "<= 150", p99 <= 150, **more)
    report("writes per allocation", max(writes), "PATCH", "1", writes == {1}, **more)
    said = {events[name] for name in sent}
    report("events per allocation", max(said), "events", "1", said == {1}, **more)


async def burst(api: str, count: int) -> None:
    """So many Services as fast as the API server takes them."""
    async with crowd(api) as whole, allocator(whole):
        await warmed_up(whole)
        begun = time.perf_counter()
        await whole.create_all(count, lambda number: whole.create(f"s{number:05}"))
        answered = time.perf_counter()
        await whole.wait_for(f"s{number:05}" for number in range(count))
        last = max(whole.addressed.values())
    lag, total, taken = last - answered, last - begun, answered - begun
    more = {"api": api, "creations_per_second": round(count / taken)}
    report(f"{count} at once: last address after last creation", lag, "s", "<= 2", lag <= 2, peer=PEER_RATE, **more)
    if count <= 1000:
        report(f"{count} at once: in all", total, "s", "<= 12", total <= 12, **more)


async def creations_alone(api: str, count: int) -> None:
    """What the API server takes with nobody else at work: the yardstick of the bursts."""
    async with crowd(api) as whole:
        begun = time.perf_counter()
        await whole.create_all(count, lambda number: whole.create(f"s{number:05}"))
        rate = count / (time.perf_counter() - begun)
    report(f"{count} created with no allocator", rate, "creations/s", "-", True, api=api)


def memory_of(pid: int) -> tuple[float, float]:
    """Resident memory now and at most, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    figures = dict(line.split(":", 1) for line in status.splitlines())
    now, most = (int(figures[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


async def many(api: str, count: int) -> None:
    """With so many Services that have addresses: a start, the memory it takes, and a standby that takes over."""
    async with crowd(api) as whole:
        branded = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "default"}

        async def make(number: int) -> None:
            name = f"s{number:05}"
            await whole.create(name, annotations=branded)
            ingress = [{"ip": f"10.64.{number // 256}.{number % 256}", "ipMode": "VIP"}]
            status = {"status": {"loadBalancer": {"ingress": ingress}}}
            await whole.kube.patch(services_path("default", name, "status"), status)

        await whole.create_all(count, make)
        await whole.create("new")
        begun = time.perf_counter()
        async with allocator(whole, "pod-a") as leader:
            await whole.wait_for(["new"])
            took = whole.addressed["new"] - begun
            await asyncio.sleep(20 if count >= 10_000 else 3)
            resident, peak = memory_of(leader.pid)
            async with allocator(whole, "pod-b"):
                await asyncio.sleep(15 if count >= 10_000 else 5)  # it has listed everything and stands by
                leader.kill()
                killed = time.perf_counter()
                await whole.create("orphan")
                await whole.wait_for(["orphan"])
                crashed = whole.addressed["orphan"] - killed
    more = {"api": api, "services": count}
    report("start until a new Service is served", took, "s", "<= 15", took <= 15, **more)
    report("resident memory", resident, "MiB", "<= 256", resident <= 256, peak=round(peak), **more)
    report(
        "leader killed: until a new Service is served", crashed, "s", "<= 10", crashed <= 10, peer=PEER_TAKEOVER, **more
    )


async def kills(count: int, seed: int) -> None:
    """kill -9 at so many random moments under load."""
    async with staged(embedded=True) as stage:
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
    parser.add_argument("--api", choices=servers(), help="one of the API servers")
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    share = 0.1 if arguments.quick else 1.0

    def wanted(name: str) -> bool:
        return arguments.only in (None, name)

    if wanted("engine"):
        engine_speed(share)
    for api in [arguments.api] if arguments.api else servers():
        if wanted("rate"):
            asyncio.run(steady_rate(api, share))
        if wanted("burst"):
            asyncio.run(creations_alone(api, int(1000 * share)))
            asyncio.run(burst(api, int(1000 * share)))
            asyncio.run(burst(api, int(5000 * share)))
        if wanted("start"):
            asyncio.run(many(api, int(10_000 * share)))
    if wanted("kills"):
        asyncio.run(kills(int(200 * share), arguments.seed))


if __name__ == "__main__":
    main()
