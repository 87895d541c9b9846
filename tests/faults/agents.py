"""The agent's world: its real control plane on its real thread, and a data plane that does at once what it is told."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lbnodeagent.kubernetes.controlplane import ControlPlane
from lbnodeagent.kubernetes.thread import ControlThread
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Begun, Configured, KeysKnown, NodeExcluded, Told, ToldKey, VipChanged
from lbnodeagent.tables import Announcement, Report, ReportKey
from purelb import names
from purelb.addresses import IPAddress, parse_address
from purelb.kube import core_path, custom_path, services_path
from purelb.metrics import AgentMetrics, new_registry
from purelb.nodeagents import NodeAgentConfig
from purelb.settings import AgentSettings
from tests.allocator.builders import local
from tests.allocator.stage import Stage
from tests.faults.table import ALL
from tests.faults.world import PACE, World

NODE: Final = "w11"
ADDRESSES: Final = {"early": "10.1.0.0", "gone": "10.1.0.1", "during": "10.1.0.2", "after": "10.1.0.3"}
POOL: Final = "10.1.0.0-10.1.0.3"
STOP: Final = 5.0
"""Seconds that an agent gets to end."""


class DataPlane:
    """Announces what is wanted, on eth0, and reports it."""

    def __init__(self) -> None:
        self.inbox: Mailbox[ToldKey, Told] = Mailbox()
        self.outbox: Mailbox[ReportKey, Report] = Mailbox()
        self.announced: set[IPAddress] = set()
        self.config: NodeAgentConfig | None = None
        self.knows: set[type] = set()

    async def run(self) -> None:
        self.inbox.open()
        while True:
            for told in (await self.inbox.take()).values():
                self._hear(told)

    def _hear(self, told: Told) -> None:
        self.knows.add(type(told))
        match told:
            case VipChanged(vip, None):
                self.announced.discard(vip)
                self.outbox.put((Announcement, vip), Announcement(vip, "withdrawn", "eth0"))
            case VipChanged(vip, _):
                is_fresh = vip not in self.announced
                self.announced.add(vip)
                self._report(vip, is_fresh=is_fresh)
            case Configured(config):
                self.config = config
            case Begun():
                for vip in self.announced:
                    self._report(vip, is_fresh=False)
            case _:
                return

    def _report(self, vip: IPAddress, *, is_fresh: bool) -> None:
        self.outbox.put((Announcement, vip), Announcement(vip, "announcing", "eth0", is_local=True, is_fresh=is_fresh))


class AgentWorld(World):
    """Services that have their addresses from an allocator."""

    user_agent = names.AGENT_COMPONENT
    verbs = ("list", "watch", "get", "patch", "create", *ALL)

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._plane = DataPlane()
        self._control: ControlThread | None = None

    async def furnish(self) -> None:
        kube = self.stage.kube
        secret = {"metadata": {"name": names.GOSSIP_SECRET}, "data": {"key": base64.b64encode(b"k" * 16).decode()}}
        await kube.create(core_path("secrets", "purelb"), secret)
        await kube.create(core_path("nodes"), {"metadata": {"name": NODE}})
        await self.stage.group("default", local=local(POOL))
        agent = {
            "apiVersion": f"{names.GROUP}/{names.READ_VERSION}",
            "kind": "LBNodeAgent",
            "metadata": {"name": "default", "namespace": "purelb"},
            "spec": {"local": {"localInterface": "eth0"}},
        }
        await kube.create(custom_path(names.LB_NODE_AGENTS, "purelb"), agent)
        for name in ("early", "gone"):
            await self.add(name)

    async def add(self, name: str) -> None:
        """As the allocator leaves it."""
        if name not in self.services:
            await self.stage.service(name)
            self.services.add(name)
        body = {
            "metadata": {"annotations": {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "default"}},
            "status": {"loadBalancer": {"ingress": [{"ip": ADDRESSES[name]}]}},
        }
        await self.stage.kube.patch(services_path("default", name, "status"), body)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        environ = {
            "KUBECONFIG": str(self.stage.kubeconfig),
            "PURELB_NODE_NAME": NODE,
            "PURELB_NAMESPACE": "purelb",
            "PURELB_ML_LABELS": "component=lbnodeagent",
        }
        settings, plane = AgentSettings.from_environment(environ, []), self._plane
        self._control = ControlThread(
            lambda: ControlPlane(settings, plane.inbox, plane.outbox, AgentMetrics(new_registry()), PACE)
        )
        async with asyncio.TaskGroup() as tasks:
            acting = tasks.create_task(plane.run())
            self._control.start()
            try:
                yield
            finally:
                await asyncio.to_thread(self._control.stop, STOP)
                await asyncio.to_thread(self._control.join, STOP)
                acting.cancel()

    async def missing(self) -> list[str]:
        missing = []
        wanted = {parse_address(ADDRESSES[name]) for name in self.services}
        if self._plane.announced != wanted:
            missing.append(f"{sorted(map(str, wanted))} are wanted, not {sorted(map(str, self._plane.announced))}")
        bodies = {
            body["metadata"]["name"]: body for body in (await self.stage.kube.list(services_path("default"))).items
        }
        for name in sorted(self.services):
            annotations = bodies.get(name, {"metadata": {}})["metadata"].get("annotations", {})
            if annotations.get(names.ANNOUNCING_IPV4) != f"{NODE},eth0":
                missing.append(f"{name} says who announces it")
            if not any("announcing" in message for _, _, message in await self.stage.events(name)):
                missing.append(f"events tell who announces {name}")
        if self._plane.config is None or self._plane.config.name != "default":
            missing.append("the LBNodeAgent applies")
        missing += [f"{kind.__name__} is told" for kind in (KeysKnown, NodeExcluded) if kind not in self._plane.knows]
        assert self._control is not None
        troubles = (self._control.unready(), self._control.pulse.trouble())
        return missing + [trouble for trouble in troubles if trouble is not None]
