"""An ordeal: a real allocator process is killed at random moments while Services come, change and go.

A witness sees every state that the API server ever commits. Told by a seed: the same moments, the same load.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from allocator.__main__ import serve_until_stopped
from kubedouble.store import Event
from purelb import names
from purelb.errors import ConflictError, NotFoundError
from purelb.settings import AllocatorSettings
from tests.allocator.builders import local
from tests.allocator.stage import Stage, ingress_of, until

POOL = "10.1.0.0/27"
ADDRESSES = 32
LIVE = 40
"""Services alive at once, more than there are addresses."""
PAUSE = 0.012
"""Seconds between two acts of the load, on average."""


@dataclass
class Witness:
    """Watches every commit for an address held twice, given to a dead Service, or taken from a live one."""

    holders: dict[str, str] = field(default_factory=dict)
    first: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    allocations: int = 0

    def see(self, table: str, event: Event) -> None:
        if table != "/services":
            return
        body = event.after.obj
        uid, name = body["metadata"]["uid"], body["metadata"]["name"]
        addresses = ingress_of(body) if event.type != "DELETED" and body["spec"]["type"] == "LoadBalancer" else []
        for address in [address for address, holder in self.holders.items() if holder == uid]:
            if address not in addresses:
                del self.holders[address]
        for address in addresses:
            holder = self.holders.setdefault(address, uid)
            if holder != uid:
                self.faults.append(f"{address} was given to {name} while another Service held it")
        if not addresses:
            if event.type != "DELETED" and body["spec"]["type"] == "LoadBalancer" and uid in self.first:
                self.faults.append(f"{name} lost {self.first[uid]}")
            self.first.pop(uid, None)
        elif self.first.setdefault(uid, addresses) != addresses:
            self.faults.append(f"{name} had {self.first[uid]} and has {addresses}")
        elif not ingress_of(event.before.obj if event.before is not None else {"status": {"loadBalancer": {}}}):
            self.allocations += 1
            if body["metadata"]["annotations"].get(names.ALLOCATED_BY) != names.BRAND:
                self.faults.append(f"{name} has an address without a brand")


@contextmanager
def witnessed(stage: Stage) -> Iterator[Witness]:
    witness = Witness()
    stage.api.store.on_commit.append(witness.see)
    try:
        yield witness
    finally:
        stage.api.store.on_commit.remove(witness.see)


class Load:
    """Users at work."""

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self._stage = stage
        self._rng = rng
        self._count = 0
        self.alive: set[str] = set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / PAUSE))
            await self.act()

    async def act(self) -> None:
        """Create, delete, re-type or annotate one Service."""
        draw = self._rng.random()
        if not self.alive or (draw < 0.5 and len(self.alive) < LIVE):
            await self._create()
            return
        name = self._rng.choice(sorted(self.alive))
        try:
            if draw < 0.85:
                await self._stage.delete(name)
                self.alive.discard(name)
            elif draw < 0.95:
                await self._stage.change(name, {"metadata": {"annotations": {"touched": str(draw)}}})
            else:
                plain = {"type": "ClusterIP", "allocateLoadBalancerNodePorts": None, "loadBalancerIP": None}
                await self._stage.change(name, {"spec": plain})
        except (ConflictError, NotFoundError):
            return

    async def _create(self) -> None:
        self._count += 1
        name = f"s{self._count:05}"
        pinned: dict[str, Any] = {}
        if self._rng.random() < 0.1:
            pinned = {"loadBalancerIP": f"10.1.0.{self._rng.randrange(ADDRESSES)}"}
        await self._stage.service(name, **pinned)
        self.alive.add(name)


def _allocate(environ: Mapping[str, str]) -> None:
    """What a forked process runs: the program's own main loop."""
    logging.disable(logging.CRITICAL)
    settings = AllocatorSettings.from_environment(environ, ["--host", "127.0.0.1", "--port", "0"])
    asyncio.run(serve_until_stopped(settings, asyncio.Event()))


def start_allocator(kubeconfig: Path, identity: str = "allocator-0", **environment: str) -> BaseProcess:
    """A real allocator process, forked from one that has its imports behind it, so that it starts in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.allocator.ordeal"])
    environ = {
        "KUBECONFIG": str(kubeconfig),
        "DEFAULT_ANNOUNCER": "PureLB",
        "PURELB_NAMESPACE": "purelb",
        "PURELB_POD_NAME": identity,
        **environment,
    }
    process = context.Process(target=_allocate, args=(environ,), daemon=True)
    process.start()
    return process


async def kill(process: BaseProcess) -> None:
    """SIGKILL: no goodbye."""
    process.kill()
    await asyncio.to_thread(process.join)


@dataclass(frozen=True)
class Outcome:
    """What an ordeal came to."""

    kills: int
    allocations: int
    allocations_amid: int
    """Kills between which at least one address was given: those that hit an allocator at work."""
    faults: tuple[str, ...]


async def undergo(stage: Stage, kills: int, seed: int) -> Outcome:
    """Kill an allocator ``kills`` times under load, then check that every address is either held once or free."""
    rng = random.Random(seed)
    load = Load(stage, rng)
    at_work = 0
    await stage.group("default", local=local(POOL))
    with witnessed(stage) as witness:
        async with asyncio.TaskGroup() as tasks:
            loading = tasks.create_task(load.run())
            for _ in range(kills):
                before = witness.allocations
                process = await asyncio.to_thread(start_allocator, stage.kubeconfig)
                await _random_moment(rng, witness)
                await kill(process)
                at_work += witness.allocations > before
            loading.cancel()
        process = await asyncio.to_thread(start_allocator, stage.kubeconfig)
        try:
            await _check_that_nothing_leaked(stage)
        finally:
            await kill(process)
        return Outcome(kills, witness.allocations, at_work, tuple(witness.faults))


async def _random_moment(rng: random.Random, witness: Witness) -> None:
    """While it starts, or, more often, in the midst of its work, however slow the machine is."""
    if rng.random() < 0.3:
        await asyncio.sleep(rng.uniform(0.02, 0.4))
        return
    before = witness.allocations

    async def works() -> bool:
        return witness.allocations > before

    await until(works)
    await asyncio.sleep(rng.uniform(0.0, 0.2))


async def _check_that_nothing_leaked(stage: Stage) -> None:
    """Every address must come to be held by exactly one Service.

    The load may leave Services that take none, those of another type or pinned to what others have: so there is one
    more Service for each address.
    """
    for number in range(ADDRESSES):
        await stage.service(f"last-{number:02}")

    async def full() -> bool:
        held = [address for addresses in (await stage.all_addresses()).values() for address in addresses]
        return len(held) == len(set(held)) == ADDRESSES

    await until(full)
