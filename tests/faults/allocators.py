"""The allocator's world: the real program in this loop, and what users see of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from allocator.__main__ import serve_until_stopped
from kubedouble.envtest import free_port
from purelb import names
from purelb.errors import NotFoundError
from purelb.kube import core_path, custom_path, group_path, services_path
from purelb.settings import AllocatorSettings
from tests.allocator.builders import local
from tests.allocator.stage import Stage, ingress_of
from tests.faults.table import ALL
from tests.faults.world import PACE, World

LEASE = group_path("coordination.k8s.io/v1", "leases", "purelb", "purelb-allocator")

POOL: Final = "10.1.0.0-10.1.0.2"
"""Room for three Services, so that one must go before a fourth can come."""


class AllocatorWorld(World):
    """Services of a pool that has room for three."""

    user_agent = names.ALLOCATOR_COMPONENT
    verbs = ("list", "watch", "get", "patch", "create", "update", *ALL)

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._page = ""

    async def furnish(self) -> None:
        await self.stage.group("default", local=local(POOL))
        for name in ("early", "gone"):
            await self.add(name)

    async def add(self, name: str) -> None:
        await self.stage.service(name)
        self.services.add(name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        port, stop = free_port(), asyncio.Event()
        self._page = f"http://127.0.0.1:{port}"
        environ = {
            "KUBECONFIG": str(self.stage.kubeconfig),
            "DEFAULT_ANNOUNCER": "PureLB",
            "PURELB_NAMESPACE": "purelb",
            "PURELB_POD_NAME": "allocator-0",
        }
        settings = AllocatorSettings.from_environment(environ, ["--host", "127.0.0.1", "--port", str(port)])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_until_stopped(settings, stop, PACE))
            try:
                yield
            finally:
                stop.set()

    async def missing(self) -> list[str]:
        kube, missing = self.stage.kube, list[str]()
        bodies = {body["metadata"]["name"]: body for body in (await kube.list(services_path("default"))).items}
        bodies.pop("kubernetes", None)
        if bodies.keys() != self.services:
            missing.append(f"the Services are {sorted(self.services)}")
        addresses = [address for body in bodies.values() for address in ingress_of(body)]
        if len(set(addresses)) != len(self.services):
            missing.append(f"each Service has an address of its own, not {addresses}")
        for name, body in bodies.items():
            if body["metadata"].get("annotations", {}).get(names.ALLOCATED_FROM) != "default":
                missing.append(f"{name} says where its address is from")
        told = {name for name in self.services for event in await self._events(name) if "Assigned" in event}
        if told != self.services:
            missing.append(f"events tell of the addresses of {sorted(self.services - told)}")
        status = await self.stage.group_status("default")
        if status.get("allocatedIPv4") != len(self.services):
            missing.append(f"the group counts {len(self.services)} addresses, not {status.get('allocatedIPv4')}")
        for path in (
            core_path("secrets", "purelb", names.GOSSIP_SECRET),
            custom_path(names.LB_NODE_AGENTS, "purelb", names.DEFAULT_NODE_AGENT),
            LEASE,
        ):
            try:
                body = await kube.get(path)
            except NotFoundError:
                missing.append(f"there is {path}")
            else:
                if path == LEASE and body["spec"]["holderIdentity"] != "allocator-0":
                    missing.append("the Lease is ours")
        return missing + await self._probes()

    async def _events(self, name: str) -> list[str]:
        return [message for _, _, message in await self.stage.events(name)]

    async def _probes(self) -> list[str]:
        missing = []
        async with aiohttp.ClientSession() as session:
            for probe in ("healthz", "readyz"):
                try:
                    async with session.get(f"{self._page}/{probe}") as answer:
                        if answer.status != 200:
                            missing.append(f"{probe}: {await answer.text()}")
                except aiohttp.ClientError as error:
                    missing.append(f"{probe}: {error}")
        return missing
