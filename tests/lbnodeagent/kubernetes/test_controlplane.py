"""The Kubernetes half of an agent on a thread of its own, against an API server that isn't there at first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from kubedouble import ApiServer
from lbnodeagent.kubernetes.controlplane import ControlPlane
from lbnodeagent.kubernetes.thread import ControlThread
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Begun, Configured, KeysKnown, Synced, Told, ToldKey, VipChanged
from lbnodeagent.tables import Announcement, Report, ReportKey, WantedVip
from purelb import names
from purelb.kube import Kube, core_path, custom_path, group_path, services_path
from purelb.metrics import AgentMetrics
from purelb.nodeagents import NodeAgentConfig
from purelb.settings import AgentSettings

CRDS = Path(__file__).parents[3] / "crds"
KEY = "8sb7ikA5qHwQQqxc"
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default", "annotations": {"purelb.io/allocated-by": "PureLB"}},
    "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
}


async def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


async def populate(kube: Kube) -> None:
    """Our CRDs, a node, and a Service with an address."""
    for file in sorted(CRDS.glob("*.purelb.io.yaml")):
        definition = yaml.safe_load(await asyncio.to_thread(file.read_text))
        await kube.create(group_path("apiextensions.k8s.io/v1", "customresourcedefinitions"), definition)
    await kube.create(core_path("nodes"), {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "w11"}})
    await kube.create(services_path("default"), SERVICE)
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.64"}]}}}
    await kube.patch(services_path("default", "web", "status"), status)


@pytest.mark.timeout(90)
def test_it_is_started_again_until_it_works_and_tells_everything_and_writes(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    environ = {"KUBECONFIG": str(path), "PURELB_NODE_NAME": "w11", "ML_GROUP": KEY}
    settings = AgentSettings.from_environment(environ, [])
    inbox: Mailbox[ToldKey, Told] = Mailbox()
    outbox: Mailbox[ReportKey, Report] = Mailbox()
    control = ControlThread(lambda: ControlPlane(settings, inbox, outbox, AgentMetrics(CollectorRegistry())))

    async def scene() -> tuple[list[Told], dict[str, Any]]:
        server = ApiServer()
        await server.start()
        told: list[Told] = []
        try:
            own = tmp_path / "own"
            await asyncio.to_thread(own.write_text, yaml.safe_dump(server.kubeconfig()))
            async with Kube(own) as kube:
                await populate(kube)
                control.start()
                await until(lambda: "no way to the Kubernetes API" in (control.trouble or ""))
                own.rename(path)
                inbox.open()
                while not any(isinstance(one, Synced) for one in told):
                    async with asyncio.timeout(30):
                        told += (await inbox.take()).values()
                assert control.trouble is None
                vip = next(one.vip for one in told if isinstance(one, VipChanged))
                here = Announcement(vip, "announcing", "eth0", is_local=True)
                outbox.put((Announcement, vip), here)
                async with asyncio.timeout(30):
                    while True:
                        service = await kube.get(services_path("default", "web"))
                        if "purelb.io/announcing-IPv4" in service["metadata"]["annotations"]:
                            return told, service
                        await asyncio.sleep(0.05)
        finally:
            await asyncio.to_thread(control.stop, 5.0)
            await until(lambda: all(thread.name != "control" for thread in threading.enumerate()))
            await server.stop()

    told, service = asyncio.run(scene())

    assert isinstance(told[0], Begun)
    assert {type(one) for one in told} >= {KeysKnown, Configured, VipChanged, Synced}
    assert service["metadata"]["annotations"]["purelb.io/announcing-IPv4"] == "w11,eth0"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("code", [401, 403])
def test_an_api_server_that_refuses_for_a_while_leaves_no_agent_deaf(tmp_path: Path, code: int) -> None:
    path = tmp_path / "kubeconfig"
    environ = {"KUBECONFIG": str(path), "PURELB_NODE_NAME": "w11", "ML_GROUP": KEY}
    settings = AgentSettings.from_environment(environ, [])
    inbox: Mailbox[ToldKey, Told] = Mailbox()
    outbox: Mailbox[ReportKey, Report] = Mailbox()
    control = ControlThread(lambda: ControlPlane(settings, inbox, outbox, AgentMetrics(CollectorRegistry())))
    wanted: set[str] = set()

    async def scene() -> None:
        server = ApiServer()
        await server.start()
        try:
            await asyncio.to_thread(path.write_text, yaml.safe_dump(server.kubeconfig()))
            async with Kube(path, user_agent="test") as kube:
                await populate(kube)
                control.start()
                inbox.open()
                await until_told(inbox, wanted, "10.31.188.64")

                server.faults.status(code, user_agent=names.AGENT_COMPONENT)
                server.faults.drop_watches()
                await asyncio.sleep(5)
                server.faults.clear()
                await kube.create(
                    services_path("default"), {**SERVICE, "metadata": {**SERVICE["metadata"], "name": "two"}}
                )
                status = {"status": {"loadBalancer": {"ingress": [{"ip": "10.31.188.65"}]}}}
                await kube.patch(services_path("default", "two", "status"), status)

                await until_told(inbox, wanted, "10.31.188.65")
                await until(lambda: control.unready() is None)
                assert control.pulse.trouble() is None
        finally:
            await asyncio.to_thread(control.stop, 5.0)
            await until(lambda: all(thread.name != "control" for thread in threading.enumerate()))
            await server.stop()

    asyncio.run(scene())


async def until_told(inbox: Mailbox[ToldKey, Told], wanted: set[str], vip: str) -> None:
    """Hear what the control plane says until ``vip`` is wanted."""
    async with asyncio.timeout(40):
        while vip not in wanted:
            for one in (await inbox.take()).values():
                if isinstance(one, VipChanged) and one.wanted is not None:
                    wanted.add(str(one.vip))


@pytest.mark.timeout(120)
def test_what_was_deleted_while_no_watch_stood_is_gone_of_every_kind(tmp_path: Path) -> None:
    """An EndpointSlice and an LBNodeAgent go unseen; so does a Service."""
    path = tmp_path / "kubeconfig"
    environ = {"KUBECONFIG": str(path), "PURELB_NODE_NAME": "w11", "ML_GROUP": KEY}
    settings = AgentSettings.from_environment(environ, [])
    inbox: Mailbox[ToldKey, Told] = Mailbox()
    outbox: Mailbox[ReportKey, Report] = Mailbox()
    control = ControlThread(lambda: ControlPlane(settings, inbox, outbox, AgentMetrics(CollectorRegistry())))
    wanted: dict[str, WantedVip | None] = {}
    config: list[NodeAgentConfig] = []

    async def hear(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            while not holds():
                for one in (await inbox.take()).values():
                    match one:
                        case VipChanged(vip, entry):
                            wanted[str(vip)] = entry
                        case Configured(applies):
                            config[:] = [applies]
                        case _:
                            continue

    async def scene() -> None:
        server = ApiServer()
        await server.start()
        try:
            await asyncio.to_thread(path.write_text, yaml.safe_dump(server.kubeconfig()))
            async with Kube(path, user_agent="test") as kube:
                await populate(kube)
                await kube.patch(services_path("default", "web"), {"spec": {"externalTrafficPolicy": "Local"}})
                await kube.create(group_path("discovery.k8s.io/v1", "endpointslices", "default"), SLICE)
                await kube.create(core_path("namespaces"), {"metadata": {"name": "purelb"}})
                await kube.create(custom_path(names.LB_NODE_AGENTS, "purelb"), AGENT)
                control.start()
                inbox.open()
                await hear(lambda: endpoints_of(wanted) == {"w11"} and bool(config) and config[0].name == "only")

                server.faults.status(503, user_agent=names.AGENT_COMPONENT)
                server.faults.drop_watches()
                await kube.delete(group_path("discovery.k8s.io/v1", "endpointslices", "default", "web-1"))
                await kube.delete(custom_path(names.LB_NODE_AGENTS, "purelb", "only"))
                server.faults.expire()
                server.faults.clear()

                await hear(lambda: endpoints_of(wanted) == set() and config[0].name == "built-in")

                server.faults.status(503, user_agent=names.AGENT_COMPONENT)
                server.faults.drop_watches()
                await kube.delete(services_path("default", "web"))
                server.faults.expire()
                server.faults.clear()

                await hear(lambda: wanted["10.31.188.64"] is None)
        finally:
            await asyncio.to_thread(control.stop, 5.0)
            await until(lambda: all(thread.name != "control" for thread in threading.enumerate()))
            await server.stop()

    asyncio.run(scene())


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


def endpoints_of(wanted: dict[str, WantedVip | None]) -> set[str] | None:
    """The nodes with an endpoint of the one VIP; None: it isn't wanted, or policy Cluster."""
    entry = wanted.get("10.31.188.64")
    return None if entry is None or entry.endpoints is None else set(entry.endpoints)
