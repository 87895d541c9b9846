"""What an agent costs the API server: requests and bytes at its start, at rest, and per change of a Service.

The real control plane of one agent against the embedded API server, through a relay that counts. Sizes are those of the
objects made here: Services as the allocator leaves them with one EndpointSlice each, pods and Nodes as small as can be;
a real cluster's pods have several times as many bytes. Prints JSON lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from prometheus_client import CollectorRegistry

from bench.report import figure
from kubedouble import ApiServer
from lbnodeagent.kubernetes.controlplane import ControlPlane
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.messages import PeersKnown, Synced, Told, ToldKey
from lbnodeagent.tables import Announcement, Report, ReportKey
from purelb import names
from purelb.addresses import parse_address
from purelb.kube import Kube, core_path, custom_path, group_path, services_path
from purelb.metrics import AgentMetrics
from purelb.settings import AgentSettings

BENCH: Final = "apicost"
CRDS: Final = Path(__file__).parents[1] / "crds"
SLICES: Final = group_path("discovery.k8s.io/v1", "endpointslices", "default")
REQUEST: Final = re.compile(rb"^(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n", re.MULTILINE)
AT_ONCE: Final = 32
CHANGES: Final = 100


class Relay:
    """Between an agent and the API server; counts what each sends."""

    def __init__(self, url: str) -> None:
        self._where = urlsplit(url)
        self.requests: Counter[str] = Counter()
        self.received = 0
        """Bytes that the API server sent."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection(self._where.hostname, self._where.port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forward(reader, to))
            tasks.create_task(self._return(there, writer))

    async def _forward(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            for method, target in REQUEST.findall(data):
                self.requests[_named(method.decode(), target.decode())] += 1
            to.write(data)
        to.close()

    async def _return(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await there.read(1 << 16):
            self.received += len(data)
            writer.write(data)
        writer.close()

    def take(self) -> tuple[Counter[str], int]:
        """What was counted since the last time."""
        taken = self.requests, self.received
        self.requests, self.received = Counter(), 0
        return taken


def _named(method: str, target: str) -> str:
    path, _, query = target.partition("?")
    verb = {"GET": "watch" if "watch=true" in query else "list or get"}.get(method, method.lower())
    return f"{verb} {path.rpartition('/')[2]}"


class Agent:
    """The control plane of one agent, and what it told."""

    def __init__(self, kubeconfig: Path) -> None:
        environ = {
            "KUBECONFIG": str(kubeconfig),
            "PURELB_NODE_NAME": "w0",
            "PURELB_NAMESPACE": "purelb",
            "PURELB_ML_LABELS": "component=lbnodeagent",
        }
        self._inbox: Mailbox[ToldKey, Told] = Mailbox()
        self._outbox: Mailbox[ReportKey, Report] = Mailbox()
        settings = AgentSettings.from_environment(environ, [])
        self._control = ControlPlane(settings, self._inbox, self._outbox, AgentMetrics(CollectorRegistry()))
        self.told: dict[ToldKey, Told] = {}

    async def run(self) -> None:
        self._inbox.open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._control.run(asyncio.Event()))
            while True:
                self.told.update(await self._inbox.take())

    def announce(self, number: int) -> None:
        """Report, as the data plane does, that a Service's address is on this node's NIC."""
        vip = parse_address(address_of(number))
        self._outbox.put((Announcement, vip), Announcement(vip, "announcing", "eth0", is_local=True))

    async def until_synced(self) -> None:
        while not {(Synced, None), (PeersKnown, None)} <= self.told.keys():
            await asyncio.sleep(0.05)


def address_of(number: int) -> str:
    """Of a Service."""
    return f"10.200.{number // 250}.{number % 250 + 1}"


async def populate(kube: Kube, services: int, nodes: int) -> None:
    """A cluster of so many Services and nodes, each with an agent's pod."""
    for file in sorted(CRDS.glob("*.purelb.io.yaml")):
        definition = yaml.safe_load(await asyncio.to_thread(file.read_text))
        await kube.create(group_path("apiextensions.k8s.io/v1", "customresourcedefinitions"), definition)
    await kube.create(core_path("namespaces"), {"metadata": {"name": "purelb"}})
    secret = {"metadata": {"name": names.GOSSIP_SECRET}, "data": {names.GOSSIP_SECRET_KEY: "a" * 43 + "="}}
    await kube.create(core_path("secrets", "purelb"), secret)
    node_agent = {
        "apiVersion": f"{names.GROUP}/{names.READ_VERSION}",
        "kind": "LBNodeAgent",
        "metadata": {"name": "default", "namespace": "purelb"},
        "spec": {"local": {"localint": "default", "extlbint": "kube-lb0"}},
    }
    await kube.create(custom_path(names.LB_NODE_AGENTS, "purelb"), node_agent)
    slots = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        for number in range(nodes):
            tasks.create_task(_node(kube, number, slots))
        for number in range(services):
            tasks.create_task(_service(kube, number, slots))


async def _node(kube: Kube, number: int, slots: asyncio.Semaphore) -> None:
    async with slots:
        await kube.create(core_path("nodes"), {"metadata": {"name": f"w{number}"}})
        pod = {
            "metadata": {"name": f"agent-{number}", "labels": {"component": "lbnodeagent"}},
            "spec": {"nodeName": f"w{number}", "containers": [{"name": "agent", "image": "agent"}]},
        }
        await kube.create(core_path("pods", "purelb"), pod)
        status = {"status": {"podIP": f"10.31.{number // 250}.{number % 250 + 1}"}}
        await kube.patch(core_path("pods", "purelb", f"agent-{number}", "status"), status)


async def _service(kube: Kube, number: int, slots: asyncio.Semaphore) -> None:
    name, address = f"s{number}", address_of(number)
    async with slots:
        spec = {
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": False,
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80}],
        }
        await kube.create(services_path("default"), {"metadata": {"name": name}, "spec": spec})
        annotations = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "default"}
        status = {"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}
        body = {"metadata": {"annotations": annotations}, "status": status}
        await kube.patch(services_path("default", name, "status"), body)
        endpoint = {"addresses": ["10.9.0.1"], "nodeName": "w0", "conditions": {"ready": True}}
        one = {
            "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [endpoint],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        }
        await kube.create(SLICES, one)


@asynccontextmanager
async def scene(services: int, nodes: int) -> AsyncIterator[tuple[Kube, Relay, Path]]:
    """A cluster, and the way to it through a relay."""
    server = ApiServer()
    await server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="purelb-apicost-") as folder:
            relay = Relay(server.url)
            listener = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
            own, counted = Path(folder, "own"), Path(folder, "counted")
            config: dict[str, Any] = server.kubeconfig()
            await asyncio.to_thread(own.write_text, json.dumps(config))
            config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
            await asyncio.to_thread(counted.write_text, json.dumps(config))
            async with Kube(own) as kube:
                await populate(kube, services, nodes)
                yield kube, relay, counted
            listener.close()
    finally:
        await server.stop()


async def measure(services: int, nodes: int, seconds: float) -> None:
    """One size of a cluster."""
    async with scene(services, nodes) as (kube, relay, kubeconfig), asyncio.TaskGroup() as tasks:
        agent = Agent(kubeconfig)
        running = tasks.create_task(agent.run())
        await agent.until_synced()
        await asyncio.sleep(2)
        size = f"{services} Services, {nodes} nodes"
        _show(f"an agent's start, {size}", *relay.take())
        await asyncio.sleep(seconds)
        _show(f"an agent at rest for {seconds:g} s, {size}", *relay.take())
        if services:
            for number in range(CHANGES):
                body = {"metadata": {"labels": {"changed": str(number)}}}
                await kube.patch(services_path("default", f"s{number % services}"), body)
            await asyncio.sleep(2)
            requests, received = relay.take()
            _show(f"a change of a Service, of {CHANGES}, {size}", requests, received / CHANGES)
            for number in range(min(CHANGES, services)):
                agent.announce(number)
            await asyncio.sleep(10)
            requests, received = relay.take()
            _show(f"an announcement, of {min(CHANGES, services)}, {size}", requests, received / CHANGES)
        running.cancel()


def _show(what: str, requests: Counter[str], received: float) -> None:
    figure(BENCH, f"{what}: received", received, "bytes", "-", None)
    figure(BENCH, f"{what}: requests", requests.total(), "", "-", None, which=dict(sorted(requests.items())))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m bench.apicost", description=__doc__)
    parser.add_argument("--services", type=int, nargs="*", default=[0, 1000])
    parser.add_argument("--nodes", type=int, nargs="*", default=[1, 100])
    parser.add_argument("--seconds", type=float, default=200.0, help="of rest: a watch is renewed after 120 to 180")
    arguments = parser.parse_args()
    for services, nodes in zip(arguments.services, arguments.nodes, strict=True):
        asyncio.run(measure(services, nodes, arguments.seconds))


if __name__ == "__main__":
    main()
