"""What users see of node agents that may do all they need, many at once on one API server.

Each agent is the real control plane with an account and a node of its own. Its data plane, which speaks to no API
server, is left out: the scene takes from one mailbox what it would be told, and puts into the other what it reports.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

from lbnodeagent.kubernetes.controlplane import ControlPlane
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Configured, KeysKnown, NodeExcluded, PeersKnown, Told, ToldKey, VipChanged
from lbnodeagent.tables import Announcement, Conflict, Mac, Members, Report, ReportKey
from purelb import names
from purelb.addresses import parse_address
from purelb.errors import NotFoundError
from purelb.kube import core_path, custom_path, group_path, services_path
from purelb.membership import NAME, Attendance, MemberNode, Standing
from purelb.metrics import AgentMetrics, new_registry
from purelb.settings import AgentSettings
from tests.allocator.stage import Stage, until

EARLY, ROUTED, LATER = "10.1.0.1", "10.1.0.2", "10.1.0.3"
MEMBERSHIP: Final = custom_path(names.MEMBERSHIPS, "purelb", NAME)
SLICES: Final = group_path("discovery.k8s.io/v1", "endpointslices", "default")
ALL_THE_TIME: Final = 40.0
"""Seconds after which a fact that must come has not."""
PATIENCE: Final = 1.0
"""Seconds that an agent gets for what another one, which lacks nothing, has done already."""

AGAIN: Final = 1.0
"""Seconds after which a control plane that failed is started again."""


@dataclass(slots=True)
class Agent:
    """One agent; `number` makes its node and its Services its own."""

    account: str
    number: int
    kubeconfig: Path
    inbox: Mailbox[ToldKey, Told] = field(default_factory=Mailbox)
    outbox: Mailbox[ReportKey, Report] = field(default_factory=Mailbox)
    told: dict[ToldKey, Told] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    pod_uid: str = ""
    control: ControlPlane | None = None
    """The one that runs."""

    @property
    def node(self) -> str:
        return f"node-{self.account}"

    def address(self, purpose: int) -> str:
        return f"10.1.{purpose}.{self.number}"

    def wants(self, address: str) -> Any:
        """How it is told to have a VIP; None if it isn't."""
        told = self.told.get((VipChanged, parse_address(address)))
        return told.wanted if isinstance(told, VipChanged) else None

    def knows(self, kind: type) -> Any:
        return self.told.get((kind, None))

    def announce(self, address: str) -> None:
        """Report, as the data plane does, that a VIP is on this node's NIC."""
        self.report(Announcement(ip_address(address), "announcing", "eth0", is_local=True))

    def report(self, report: Announcement | Conflict) -> None:
        self.outbox.put((type(report), report.vip), report)

    def attends(self, *nodes: MemberNode) -> None:
        """Report who is there; without nodes, that another one speaks for all."""
        self.outbox.put((Attendance, None), Attendance(nodes))

    async def listen(self) -> None:
        self.inbox.open()
        while True:
            self.told.update(await self.inbox.take())

    async def run(self) -> None:
        environment = {
            "KUBECONFIG": str(self.kubeconfig),
            "PURELB_NODE_NAME": self.node,
            "PURELB_NAMESPACE": "purelb",
            "PURELB_ML_LABELS": "component=lbnodeagent",
            "PURELB_POD_NAME": self.account,
            "PURELB_POD_UID": self.pod_uid,
        }
        settings = AgentSettings.from_environment(environment, [])
        while not self.stop.is_set():
            self.control = ControlPlane(settings, self.inbox, self.outbox, AgentMetrics(new_registry()))
            try:
                await self.control.run(self.stop)
            except Exception:  # as the agent's control thread: whatever it was, begin again
                await asyncio.sleep(AGAIN)


class Scene:
    """Plays for all agents; the first one has all rights."""

    def __init__(self, stage: Stage, agents: list[Agent]) -> None:
        self._stage = stage
        self._agents = agents

    async def fact(self, name: str, look: Callable[[Agent], Coroutine[Any, Any, Any]]) -> None:
        """Note for which agents `look` comes to say so: first the one with all rights, then the others, soon."""
        full, *others = self._agents
        await until(lambda: look(full), ALL_THE_TIME)
        full.seen.add(name)

        async def wait(agent: Agent) -> None:
            try:
                await until(lambda: look(agent), PATIENCE)
            except TimeoutError:
                return
            agent.seen.add(name)

        await asyncio.gather(*map(wait, others))

    async def told(self, name: str, look: Callable[[Agent], Any]) -> None:
        async def looked(agent: Agent) -> Any:
            return look(agent)

        await self.fact(name, looked)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for agent in self._agents for work in (agent.listen(), agent.run())]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()

    async def play(self) -> None:
        await self._furnish()
        async with self.running():
            await self._start()
            await self._changes()
            await self._reports()
            await self._who_is_there()
            await self._blind()
            await self._leave()

    async def _furnish(self) -> None:
        stage, kube = self._stage, self._stage.kube
        secret = {"metadata": {"name": names.GOSSIP_SECRET}, "data": {"key": base64.b64encode(b"k" * 16).decode()}}
        await kube.create(core_path("secrets", "purelb"), secret)
        for name in ["elsewhere", *(agent.node for agent in self._agents)]:
            await kube.create(core_path("nodes"), {"metadata": {"name": name}})
            # A new Node is tainted until a controller sees that it is Ready.
            await kube.patch(core_path("nodes", name=name), {"spec": {"taints": None}})
        await _peer(stage, "peer", "10.0.0.9")
        daemonset = await kube.create(group_path("apps/v1", "daemonsets", "purelb"), _daemonset())
        for agent in self._agents:
            pod = await kube.create(core_path("pods", "purelb"), _pod(agent, daemonset["metadata"]["uid"]))
            agent.pod_uid = pod["metadata"]["uid"]
        await stage.group("wire", local={"v4pool": {"pool": "10.1.0.0/16", "subnet": "10.1.0.0/16"}})
        await kube.create(custom_path(names.LB_NODE_AGENTS, "purelb"), _config("eth7"))
        await self._allocated("early", EARLY)
        await self._allocated("routed", ROUTED, externalTrafficPolicy="Local")
        await kube.create(SLICES, _slice("elsewhere"))
        for agent in self._agents:
            for purpose in (1, 2, 3):
                await self._allocated(f"own-{agent.account}-{purpose}", agent.address(purpose))

    async def _allocated(self, name: str, address: str, **spec: Any) -> None:
        """A Service as the allocator leaves it."""
        await self._stage.service(name, **spec)
        annotations = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "wire"}
        body = {
            "metadata": {"annotations": annotations},
            "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
        }
        await self._stage.kube.patch(services_path("default", name, "status"), body)

    async def _start(self) -> None:
        await self.told("it wants the addresses of Services that are there", lambda agent: agent.wants(EARLY))
        await self.told("it wants its own", lambda agent: all(agent.wants(agent.address(one)) for one in (1, 2, 3)))
        await self.told("it has the gossip's key", lambda agent: agent.knows(KeysKnown))
        await self.told(
            "it knows the other agents", lambda agent: (known := agent.knows(PeersKnown)) and known.addresses
        )
        await self.told("it knows whether its node is cordoned", lambda agent: agent.knows(NodeExcluded))
        await self.told("it takes the LBNodeAgent", lambda agent: _interface(agent) == "eth7")
        await self.told("it knows the group", lambda agent: _wanted(agent, EARLY, "aggregation") == 16)
        await self.told(
            "it knows where endpoints are", lambda agent: _wanted(agent, ROUTED, "endpoints") == {"elsewhere"}
        )

    async def _changes(self) -> None:
        kube = self._stage.kube
        await self._allocated("later", LATER)
        await self.told("it hears of new Services", lambda agent: agent.wants(LATER))
        pool = {"pool": "10.1.0.0/16", "subnet": "10.1.0.0/16", "aggregation": "/24"}
        await self._stage.change_group("wire", local={"v4pool": pool})
        await self.told("it hears of a group's change", lambda agent: _wanted(agent, EARLY, "aggregation") == 24)
        await kube.patch(f"{SLICES}/routed", {"endpoints": _slice("yonder")["endpoints"]})
        await self.told("it hears of endpoints", lambda agent: _wanted(agent, ROUTED, "endpoints") == {"yonder"})
        changed = {"spec": {"local": {"localInterface": "eth8"}}}
        await kube.patch(custom_path(names.LB_NODE_AGENTS, "purelb", "default"), changed)
        await self.told("it hears of the LBNodeAgent's change", lambda agent: _interface(agent) == "eth8")
        for agent in self._agents:
            await kube.patch(core_path("nodes", name=agent.node), {"spec": {"unschedulable": True}})
        await self.told("it hears of a cordon", lambda agent: agent.knows(NodeExcluded) == NodeExcluded(True))
        await _peer(self._stage, "another", "10.0.0.10")
        await self.told(
            "it hears of new agents", lambda agent: "10.0.0.10" in getattr(agent.knows(PeersKnown), "addresses", ())
        )
        more = {"data": {"more": base64.b64encode(b"m" * 16).decode()}}
        await kube.patch(core_path("secrets", "purelb", names.GOSSIP_SECRET), more)
        await self.told(
            "it hears of another key", lambda agent: agent.knows(KeysKnown) == KeysKnown((b"k" * 16, b"m" * 16))
        )

    async def _reports(self) -> None:
        for agent in self._agents:
            agent.announce(agent.address(1))
        await self.fact("a Service says who announces it", lambda agent: self._is_annotated(agent, 1))
        await self.fact("a Service tells of its announcement", lambda agent: self._tells(agent, 1, "announcing", 1))
        for times in (1, 2):
            for agent in self._agents:
                agent.report(Conflict(ip_address(agent.address(2)), "eth0", Mac(b"\2\0\0\0\0\1")))
            name = "a Service tells of a conflict" if times == 1 else "an event that came again is counted"
            await self.fact(name, lambda agent, times=times: self._tells(agent, 2, "answers", times))  # type: ignore[misc]

    async def _who_is_there(self) -> None:
        """One after the other each is the one that speaks for all, and nobody was before."""
        kube = self._stage.kube
        for agent in self._agents:
            with contextlib.suppress(NotFoundError):  # who may not make it leaves none
                await kube.delete(MEMBERSHIP)
            agent.attends(MemberNode(agent.node, Standing.SERVING))
            if await self._comes_to_speak(agent, ALL_THE_TIME if agent is self._agents[0] else PATIENCE):
                agent.seen.add("it says who is there")
            agent.attends()

    async def _comes_to_speak(self, agent: Agent, within: float) -> bool:
        try:
            return await until(lambda: self._speaks(agent), within)
        except TimeoutError:
            return False

    async def _speaks(self, agent: Agent) -> bool:
        try:
            membership = await self._stage.kube.get(MEMBERSHIP)
        except NotFoundError:
            return False
        return bool((membership.get("status") or {}).get("spokesman") == agent.node)

    async def _blind(self) -> None:
        """Services change while their watch hangs: the agent's write is behind, and it must look again."""
        stage = self._stage
        faults = [stage.api.faults.hang(verb=verb, resource="services") for verb in ("list", "watch")]
        stage.api.faults.drop_watches()
        for agent in self._agents:
            await stage.change(f"own-{agent.account}-3", {"metadata": {"labels": {"changed": "unseen"}}})
            agent.announce(agent.address(3))
        await self.fact("a write that is behind is decided again", lambda agent: self._is_annotated(agent, 3))
        for fault in faults:
            stage.api.faults.clear(fault)

    async def _leave(self) -> None:
        for agent in self._agents:
            agent.outbox.put(
                (Members, None), Members(frozenset({agent.node}), subnets=frozenset({ip_network("10.1.0.0/16")}))
            )
        await self.fact("a Lease tells where it announces", self._has_lease)
        await self.fact("it knows that another agent follows it", _is_followed)
        for agent in self._agents:
            agent.stop.set()
        await self.fact("its Lease goes with it", self._lost_its_lease)

    async def _has_lease(self, agent: Agent) -> bool:
        try:
            lease = await self._stage.kube.get(
                group_path("coordination.k8s.io/v1", "leases", "purelb", names.NODE_LEASE + agent.node)
            )
        except NotFoundError:
            return False
        return bool(lease["metadata"]["annotations"][names.LEASE_SUBNETS] == "10.1.0.0/16")

    async def _lost_its_lease(self, agent: Agent) -> bool:
        return "a Lease tells where it announces" in agent.seen and not await self._has_lease(agent)

    async def _is_annotated(self, agent: Agent, purpose: int) -> bool:
        service = await self._stage.read(f"own-{agent.account}-{purpose}")
        return str(service["metadata"]["annotations"].get(names.ANNOUNCING_IPV4, "")).startswith(agent.node)

    async def _tells(self, agent: Agent, purpose: int, text: str, count: int) -> bool:
        name = f"own-{agent.account}-{purpose}"
        query = {"fieldSelector": f"involvedObject.name={name}"}
        events = (await self._stage.kube.list(core_path("events", "default"), **query)).items
        return any(text in event["message"] and event["count"] >= count for event in events)


def _interface(agent: Agent) -> str | None:
    known = agent.knows(Configured)
    return known.config.local_interface if isinstance(known, Configured) else None


def _wanted(agent: Agent, address: str, what: str) -> Any:
    return getattr(agent.wants(address), what, None)


async def _is_followed(agent: Agent) -> bool:
    return agent.control is not None and await agent.control.without_successor() is None


def _daemonset() -> dict[str, Any]:
    labels = {"matchLabels": {"app": "agents"}}
    template = {
        "metadata": {"labels": {"app": "agents"}},
        "spec": {"containers": [{"name": "agent", "image": "agent"}]},
    }
    return {"metadata": {"name": "lbnodeagent"}, "spec": {"selector": labels, "template": template}}


def _pod(agent: Agent, daemonset: str) -> dict[str, Any]:
    """Its own; none that the others gossip with."""
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "lbnodeagent", "uid": daemonset, "controller": True}
    return {
        "metadata": {"name": agent.account, "ownerReferences": [owner]},
        "spec": {"nodeName": agent.node, "containers": [{"name": "agent", "image": "agent"}]},
    }


def _config(interface: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{names.GROUP}/{names.READ_VERSION}",
        "kind": "LBNodeAgent",
        "metadata": {"name": "default", "namespace": "purelb"},
        "spec": {"local": {"localInterface": interface}},
    }


def _slice(node: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "routed", "labels": {"kubernetes.io/service-name": "routed"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.0.1"], "nodeName": node, "conditions": {"ready": True}}],
        "ports": [],
    }


async def _peer(stage: Stage, name: str, address: str) -> None:
    """The pod of an agent on another node."""
    pod = {
        "metadata": {"name": name, "labels": {"component": "lbnodeagent"}},
        "spec": {"nodeName": "elsewhere", "containers": [{"name": "agent", "image": "agent"}]},
    }
    await stage.kube.create(core_path("pods", "purelb"), pod)
    status = {"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}}
    await stage.kube.patch(core_path("pods", "purelb", name, "status"), status)
