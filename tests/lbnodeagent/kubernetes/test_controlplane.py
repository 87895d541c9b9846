"""The Kubernetes half of an agent on a thread of its own, against an API server that isn't there at first."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from kubedouble import ApiServer
from lbnodeagent.kubernetes import unheard
from lbnodeagent.kubernetes.controlplane import ControlPlane
from lbnodeagent.kubernetes.thread import ControlThread
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import (
    Begun,
    BehindApi,
    Configured,
    KeysKnown,
    NodeExcluded,
    PeersKnown,
    Synced,
    Told,
    ToldKey,
    VipChanged,
)
from lbnodeagent.tables import Announcement, Members, Report, ReportKey, WantedVip
from purelb import names
from purelb.kube import Kube, core_path, custom_path, group_path, services_path
from purelb.metrics import AgentMetrics
from purelb.nodeagents import NodeAgentConfig
from purelb.settings import AgentSettings

CRDS = Path(__file__).parents[3] / "crds"
KEYED = {"ML_GROUP": "8sb7ikA5qHwQQqxc"}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default", "annotations": {"purelb.io/allocated-by": "PureLB"}},
    "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
}
SLICE = {
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {"name": "web-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
    "addressType": "IPv4",
    "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
    "endpoints": [{"addresses": ["10.0.1.9"], "nodeName": "w11", "conditions": {"ready": True}}],
}
AGENT = {
    "apiVersion": "purelb.io/v1",
    "kind": "LBNodeAgent",
    "metadata": {"name": "only", "namespace": "purelb"},
    "spec": {"local": {"localint": "default", "extlbint": "kube-lb0"}},
}
WEB = "10.31.188.64"
"""The address that the Service has."""
FOLLOWED = ("services", names.SERVICE_GROUPS, "endpointslices", names.LB_NODE_AGENTS)
WITHIN = 40.0
"""Seconds for what takes one or two."""


class Scene:
    """A cluster with one Service, and an agent's Kubernetes half: what it is told, and what it tells the data plane."""

    def __init__(self, server: ApiServer, kube: Kube, folder: Path, **settings_of_its_own: str) -> None:
        """The server is where ``folder / "kubeconfig"`` says, once ``find_the_server`` was called."""
        self.server = server
        self.kube = kube
        self._kubeconfig = folder / "kubeconfig"
        environ = {"KUBECONFIG": str(self._kubeconfig), "PURELB_NODE_NAME": "w11", **(settings_of_its_own or KEYED)}
        settings = AgentSettings.from_environment(environ, [])
        self._inbox: Mailbox[ToldKey, Told] = Mailbox()
        self.outbox: Mailbox[ReportKey, Report] = Mailbox()
        metrics = AgentMetrics(CollectorRegistry())
        self.control = ControlThread(lambda: ControlPlane(settings, self._inbox, self.outbox, metrics))
        self._inbox.open()
        self.told: list[Told] = []
        self.wanted: dict[str, WantedVip | None] = {}
        self.config: NodeAgentConfig | None = None
        self.keys: tuple[bytes, ...] = ()
        self.peers = 0
        self.is_excluded: bool | None = None
        self.is_behind: bool | None = None

    def find_the_server(self) -> None:
        """From now on the agent knows where it is."""
        whole = self._kubeconfig.with_suffix(".new")
        whole.write_text(yaml.safe_dump(self.server.kubeconfig()))
        whole.rename(self._kubeconfig)

    async def hear(self, holds: Callable[[], object]) -> None:
        """Take what the control plane tells until ``holds``."""
        async with asyncio.timeout(WITHIN):
            while not holds():
                for one in (await self._inbox.take()).values():
                    self.told.append(one)
                    match one:
                        case VipChanged(vip, entry):
                            self.wanted[str(vip)] = entry
                        case Configured(applies):
                            self.config = applies
                        case KeysKnown(keys):
                            self.keys = keys
                        case PeersKnown(peers, _):
                            self.peers = len(peers)
                        case NodeExcluded(is_excluded):
                            self.is_excluded = is_excluded
                        case BehindApi(is_behind):
                            self.is_behind = is_behind
                        case _:
                            continue

    def is_wanted(self, vip: str) -> bool:
        return self.wanted.get(vip) is not None

    def endpoints(self) -> set[str] | None:
        """The nodes with an endpoint of the one VIP; None: it isn't wanted, or policy Cluster."""
        entry = self.wanted.get(WEB)
        return None if entry is None or entry.endpoints is None else set(entry.endpoints)

    async def create(self, name: str, vip: str) -> None:
        """A Service with an address."""
        await self.kube.create(services_path("default"), {**SERVICE, "metadata": {**SERVICE["metadata"], "name": name}})
        status = {"status": {"loadBalancer": {"ingress": [{"ip": vip}]}}}
        await self.kube.patch(services_path("default", name, "status"), status)


@asynccontextmanager
async def staged(folder: Path, **settings: str) -> AsyncIterator[Scene]:
    """With our CRDs, a node, and a Service with an address; the agent is still to be started."""
    server = ApiServer()
    await server.start()
    try:
        own = folder / "own"
        await asyncio.to_thread(own.write_text, yaml.safe_dump(server.kubeconfig()))
        async with Kube(own, user_agent=names.ALLOCATOR_COMPONENT) as kube:
            for file in sorted(CRDS.glob("*.purelb.io.yaml")):
                definition = yaml.safe_load(await asyncio.to_thread(file.read_text))
                await kube.create(group_path("apiextensions.k8s.io/v1", "customresourcedefinitions"), definition)
            await kube.create(core_path("nodes"), {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w11"}})
            scene = Scene(server, kube, folder, **settings)
            await scene.create("web", WEB)
            try:
                yield scene
            finally:
                await asyncio.to_thread(scene.control.stop, 5.0)
                await until(lambda: all(thread.name != "control" for thread in threading.enumerate()))
    finally:
        await server.stop()


async def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


@pytest.mark.timeout(90)
def test_it_is_started_again_until_it_works_and_tells_everything_and_writes(tmp_path: Path) -> None:
    async def play() -> None:
        async with staged(tmp_path) as scene:
            scene.control.start()
            await until(lambda: "no way to the Kubernetes API" in (scene.control.trouble or ""))
            scene.find_the_server()

            await scene.hear(lambda: any(isinstance(one, Synced) for one in scene.told))

            assert scene.control.trouble is None
            assert isinstance(scene.told[0], Begun)
            assert {type(one) for one in scene.told} >= {KeysKnown, Configured, VipChanged, Synced}
            vip = next(one.vip for one in scene.told if isinstance(one, VipChanged))
            scene.outbox.put((Announcement, vip), Announcement(vip, "announcing", "eth0", is_local=True))
            async with asyncio.timeout(30):
                while "purelb.io/announcing-IPv4" not in (annotations := await annotations_of(scene.kube)):
                    await asyncio.sleep(0.05)
            assert annotations["purelb.io/announcing-IPv4"] == "w11,eth0"

    asyncio.run(play())


async def annotations_of(kube: Kube) -> dict[str, str]:
    service = await kube.get(services_path("default", "web"))
    annotations: dict[str, str] = service["metadata"]["annotations"]
    return annotations


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("code", "often"), [(401, 6), (403, 3)])  # a token that isn't taken is read and tried again
def test_an_api_server_that_refuses_for_a_while_leaves_no_agent_deaf(tmp_path: Path, code: int, often: int) -> None:
    async def play() -> None:
        async with staged(tmp_path) as scene:
            scene.find_the_server()
            scene.control.start()
            await scene.hear(lambda: scene.is_wanted(WEB))

            faults, agent = scene.server.faults, names.AGENT_COMPONENT
            refusals = [faults.status(code, user_agent=agent, resource=kind) for kind in FOLLOWED]
            faults.status(code, user_agent=agent)  # and everything else
            faults.drop_watches()
            await until(lambda: all(refusal.hits >= often for refusal in refusals))
            faults.clear()
            await scene.create("two", "10.31.188.65")

            await scene.hear(lambda: scene.is_wanted("10.31.188.65"))
            await until(lambda: scene.control.unready() is None)
            assert scene.control.pulse.trouble() is None

    asyncio.run(play())


@pytest.mark.timeout(120)
def test_an_agent_that_does_not_hear_of_services_says_so_until_it_does(tmp_path: Path) -> None:
    async def play() -> None:
        async with staged(tmp_path) as scene:
            scene.find_the_server()
            scene.control.start()
            await scene.hear(lambda: scene.is_behind is False)

            scene.server.faults.status(503, user_agent=names.AGENT_COMPONENT)
            scene.server.faults.drop_watches()
            await scene.hear(lambda: scene.is_behind)

            scene.server.faults.clear()
            await scene.hear(lambda: scene.is_behind is False)

    asyncio.run(play())


@pytest.mark.timeout(120)
def test_what_was_deleted_while_no_watch_stood_is_gone_of_every_kind(tmp_path: Path) -> None:
    """An EndpointSlice and an LBNodeAgent go unseen; so does a Service."""

    async def play() -> None:
        async with staged(tmp_path) as scene:
            kube, faults = scene.kube, scene.server.faults
            await kube.patch(services_path("default", "web"), {"spec": {"externalTrafficPolicy": "Local"}})
            await kube.create(group_path("discovery.k8s.io/v1", "endpointslices", "default"), SLICE)
            await kube.create(core_path("namespaces"), {"metadata": {"name": "purelb"}})
            await kube.create(custom_path(names.LB_NODE_AGENTS, "purelb"), AGENT)
            scene.find_the_server()
            scene.control.start()
            await scene.hear(
                lambda: scene.endpoints() == {"w11"} and scene.config is not None and scene.config.name == "only"
            )

            faults.status(503, user_agent=names.AGENT_COMPONENT)
            faults.drop_watches()
            await kube.delete(group_path("discovery.k8s.io/v1", "endpointslices", "default", "web-1"))
            await kube.delete(custom_path(names.LB_NODE_AGENTS, "purelb", "only"))
            faults.expire()
            faults.clear()

            await scene.hear(
                lambda: scene.endpoints() == set() and scene.config is not None and scene.config.name == "built-in"
            )

            faults.status(503, user_agent=names.AGENT_COMPONENT)
            faults.drop_watches()
            await kube.delete(services_path("default", "web"))
            faults.expire()
            faults.clear()

            await scene.hear(lambda: scene.wanted[WEB] is None)

    asyncio.run(play())


@pytest.mark.timeout(120)
def test_a_node_a_secret_and_pods_that_went_while_no_watch_stood_are_missed_and_found_again(tmp_path: Path) -> None:
    async def play() -> None:
        async with staged(tmp_path, PURELB_NAMESPACE="purelb") as scene:
            kube, faults = scene.kube, scene.server.faults
            await kube.create(core_path("namespaces"), {"metadata": {"name": "purelb"}})
            for name, node in (("a", "w12"), ("b", "w13"), ("own", "w11")):
                await add_pod(kube, name, node)
            await kube.create(core_path("secrets", "purelb"), gossip_secret(b"o" * 16))
            scene.find_the_server()
            scene.control.start()
            await scene.hear(lambda: scene.keys == (b"o" * 16,) and scene.peers == 2 and scene.is_excluded is False)

            faults.status(503, user_agent=names.AGENT_COMPONENT)
            faults.drop_watches()
            await kube.delete(core_path("nodes", name="w11"))
            await kube.delete(core_path("pods", "purelb", "a"), {"gracePeriodSeconds": 0})
            await kube.delete(core_path("secrets", "purelb", names.GOSSIP_SECRET))
            faults.expire()
            faults.clear()

            await scene.hear(lambda: scene.is_excluded and scene.peers == 1)
            assert scene.keys == (b"o" * 16,), "what is known stays in use"

            faults.status(503, user_agent=names.AGENT_COMPONENT)
            faults.drop_watches()
            await kube.create(core_path("nodes"), {"metadata": {"name": "w11", "labels": {"rack": "2"}}})
            await kube.create(core_path("secrets", "purelb"), gossip_secret(b"n" * 16))
            faults.expire()
            faults.clear()

            await scene.hear(lambda: scene.is_excluded is False)
            await scene.hear(lambda: scene.keys == (b"n" * 16,))

    asyncio.run(play())


@pytest.mark.timeout(120)
def test_an_agent_that_runs_and_is_not_heard_is_told_of_on_the_node_and_in_readiness_if_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unheard, "NEVER_HEARD", 0.5)

    async def play() -> None:
        async with staged(tmp_path, **KEYED, PURELB_NAMESPACE="purelb", PURELB_REQUIRE_PEERS="true") as scene:
            kube, control = scene.kube, scene.control
            await kube.create(core_path("namespaces"), {"metadata": {"name": "purelb"}})
            await add_pod(kube, "a", "w12")
            scene.find_the_server()
            control.start()
            scene.outbox.put((Members, None), Members(frozenset({"w11"})))
            await until(lambda: "node w12" in (control.unready() or ""))
            async with asyncio.timeout(WITHIN):
                while not (events := (await kube.list(core_path("events", "default"))).items):
                    await asyncio.sleep(0.05)
            assert (events[0]["reason"], events[0]["involvedObject"]["kind"]) == ("AgentsUnheard", "Node")
            assert "node w12" in events[0]["message"]

            scene.outbox.put((Members, None), Members(frozenset({"w11", "w12"})))
            await until(lambda: control.unready() is None)

    asyncio.run(play())


async def add_pod(kube: Kube, name: str, node: str) -> None:
    """A running pod of the agent."""
    spec = {"nodeName": node, "hostNetwork": True, "containers": [{"name": "agent", "image": "agent"}]}
    await kube.create(core_path("pods", "purelb"), {"metadata": {"name": name}, "spec": spec})
    status = {
        "phase": "Running",
        "podIP": f"10.31.0.{ord(name[0])}",
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    await kube.patch(core_path("pods", "purelb", name, "status"), {"status": status})


def gossip_secret(key: bytes) -> dict[str, Any]:
    return {"metadata": {"name": names.GOSSIP_SECRET}, "data": {"key": base64.b64encode(key).decode()}}
