"""What users see of an allocator that may do all it needs: a scene in which each of its rights is needed once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message

from purelb import names
from purelb.errors import NotFoundError
from purelb.ipam_pb2 import AllocatedIP, AllocateResponse, ReleaseResponse, StatsResponse
from purelb.kube import core_path, custom_path, group_path
from tests.allocator.builders import local
from tests.allocator.memberships import publish
from tests.allocator.sources.netboxserver import TOKEN, Netbox
from tests.allocator.sources.sidecars import playing
from tests.allocator.stage import Stage, until

LEASE: Final = group_path("coordination.k8s.io/v1", "leases", "purelb", "purelb-allocator")
ALL_THE_TIME: Final = 40.0
"""Seconds after which a fact that must come has not."""
PENDING: Final = {"purelb.io/service-group": "late"}


async def _sidecar(method: str, _request: Any, _context: Any) -> Message:
    match method:
        case "Allocate":
            return AllocateResponse(ips=[AllocatedIP(ip="10.6.0.1")])
        case "Release":
            return ReleaseResponse()
        case _:
            return StatsResponse()


class Scene:
    """Facts that came true, each by its name.

    Without `patience`, seconds for each fact, all of them must: TimeoutError if one doesn't.
    """

    def __init__(self, stage: Stage, patience: float | None) -> None:
        self._stage = stage
        self._patience = patience
        self.seen: set[str] = set()

    async def fact(self, name: str, look: Callable[[], Awaitable[Any]]) -> None:
        """Note whether `look` comes to say so."""

        async def tolerant() -> Any:
            try:
                return await look()
            except NotFoundError:
                return None

        try:
            await until(tolerant, self._patience or ALL_THE_TIME)
        except TimeoutError:
            if self._patience is None:
                raise TimeoutError(f"not seen: {name}") from None
        else:
            self.seen.add(name)

    async def play(self, kubeconfig: Path) -> None:
        """Run the allocator as the account of `kubeconfig` through all that can happen to it."""
        stage, netbox, socket = self._stage, Netbox(), kubeconfig.with_name("ipam.sock")
        netbox.add("10.5.0.1/32")
        await stage.group("default", local=local("10.1.0.0/28"))
        await stage.service("early")
        async with (
            netbox.serve(),
            playing(socket, _sidecar),
            stage.allocator(KUBECONFIG=str(kubeconfig), NETBOX_USER_TOKEN=TOKEN),
        ):
            await self.fact("a Service that was there has an address", lambda: stage.addresses("early"))
            await asyncio.gather(
                self._installation(),
                self._later_objects(),
                self._repeated_event(),
                self._others(netbox.url, socket),
                self._placement(),
                self.fact("the group says how full it is", self._is_counted),
            )
            await self._blind()
        await self.fact("the Lease is free for the next one", self._lease_is_free)

    async def _installation(self) -> None:
        stage = self._stage
        key, agent = core_path("secrets", "purelb", names.GOSSIP_SECRET), custom_path(names.LB_NODE_AGENTS, "purelb")
        await self.fact("there is a gossip key", lambda: stage.kube.get(key))
        if await self._exists(key):
            await stage.kube.delete(key)
            await self.fact("a gossip key that somebody deleted is there again", lambda: stage.kube.get(key))
        await self.fact("there is a default LBNodeAgent", lambda: stage.kube.get(f"{agent}/{names.DEFAULT_NODE_AGENT}"))
        await self.fact("it says on how many nodes it applies", self._agent_counts_nodes)

    async def _agent_counts_nodes(self) -> bool:
        path = custom_path(names.LB_NODE_AGENTS, "purelb", names.DEFAULT_NODE_AGENT)
        if not await self._exists(path):
            return False
        return bool(((await self._stage.kube.get(path)).get("status") or {}).get("nodes"))

    async def _exists(self, path: str) -> bool:
        try:
            await self._stage.kube.get(path)
        except NotFoundError:
            return False
        return True

    async def _later_objects(self) -> None:
        await self._stage.service("later")
        await self.fact("a later Service has an address", lambda: self._stage.addresses("later"))
        await self._stage.group("second", local=local("10.2.0.0/28"))
        await self._stage.service("in-second", annotations={"purelb.io/service-group": "second"})
        await self.fact("a later group serves", lambda: self._stage.addresses("in-second"))

    async def _others(self, netbox: str, socket: Path) -> None:
        """Addresses that others keep."""
        stage = self._stage
        await stage.group("netbox", netbox={"url": netbox, "tenant": "lb"})
        await stage.group("outside", external={"provider": "acme", "socket": str(socket), "announce": "local"})
        for name in ("netbox", "outside"):
            await stage.service(name, annotations={"purelb.io/service-group": name})
        await self.fact("a NetBox gives an address", lambda: stage.addresses("netbox"))
        await self.fact("a sidecar gives an address", lambda: stage.addresses("outside"))

    async def _placement(self) -> None:
        """Agents publish who is there."""
        await publish(self._stage, ["w0", "w1"])
        await self.fact("a Service tells on which nodes its address is to be", self._is_placed)

    async def _is_placed(self) -> bool:
        return names.PLACEMENT in (await self._stage.read("early"))["metadata"].get("annotations", {})

    async def _repeated_event(self) -> None:
        """The same sentence twice is one event, counted."""
        stage = self._stage
        await stage.service("flipped", loadBalancerIP="10.1.0.9")
        await self.fact("the Service tells of its address", lambda: self._counts("flipped", 1))
        await stage.change("flipped", {"spec": {"type": "ClusterIP", "loadBalancerIP": None}})
        await asyncio.sleep(0.3)
        await stage.change("flipped", {"spec": {"type": "LoadBalancer", "loadBalancerIP": "10.1.0.9"}})
        await self.fact("an event that came again is counted", lambda: self._counts("flipped", 2))

    async def _counts(self, name: str, count: int) -> bool:
        events = (await self._stage.kube.list(core_path("events", "default"))).items
        return any(
            event["involvedObject"]["name"] == name and "Assigned" in event["message"] and event["count"] >= count
            for event in events
        )

    async def _fails(self, name: str) -> bool:
        return any(reason == "AllocationFailed" for _, reason, _ in await self._stage.events(name))

    async def _is_counted(self) -> bool:
        return bool((await self._stage.group_status("default")).get("allocatedIPv4"))

    async def _blind(self) -> None:
        """A Service changes while its watch hangs: the allocator's write is behind, and it must look again."""
        stage = self._stage
        await stage.service("pending", annotations=PENDING)
        await self.fact("a Service tells why it has no address", lambda: self._fails("pending"))
        faults = [stage.api.faults.hang(verb=verb, resource="services") for verb in ("list", "watch")]
        stage.api.faults.drop_watches()
        await stage.change("pending", {"metadata": {"labels": {"changed": "unseen"}}})
        await stage.group("late", local=local("10.3.0.0/28"))
        await self.fact("a write that is behind is decided again", lambda: stage.addresses("pending"))
        for fault in faults:
            stage.api.faults.clear(fault)

    async def _lease_is_free(self) -> bool:
        return not (await self._stage.kube.get(LEASE))["spec"].get("holderIdentity")
