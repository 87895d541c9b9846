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

from lab.apiserver import ApiServer
from lbnodeagent.__main__ import ControlThread
from lbnodeagent.controlplane import ControlPlane
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import Begun, Configured, KeysKnown, Synced, Told, ToldKey, VipChanged
from lbnodeagent.tables import Announcement, Report, ReportKey
from purelb.kube import Kube, core_path, group_path, services_path
from purelb.metrics import AgentMetrics
from purelb.settings import AgentSettings

CRDS = Path(__file__).parents[2] / "crds"
KEY = "8sb7ikA5qHwQQqxc"
SERVICE = {
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
