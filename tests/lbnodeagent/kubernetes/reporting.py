"""A reporter and its annotator on the stage: one Service, one API server that takes everything, and what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from lbnodeagent.kubernetes.reporter import Reporter
from lbnodeagent.kubernetes.viptable import WantedTable
from lbnodeagent.tables import Announcement
from purelb.events import EventRecorder
from purelb.kube import Kube
from purelb.metrics import AgentMetrics
from purelb.services import ServiceView, view_service
from tests.lbnodeagent.kubernetes.test_viptable import service
from tests.lbnodeagent.scenes import VIP

HERE = Announcement(VIP, "announcing", "eth0", is_local=True)
GONE = Announcement(VIP, "withdrawn")
V4 = "purelb.io/announcing-IPv4"
OURS = {"announcing_IPv4": "w11,eth0"}
THEIRS = {"announcing_IPv4": "w12,eth0"}


class Table:
    """Takes answers as they come."""

    epoch = 0

    def __init__(self, table: WantedTable) -> None:
        self._table = table

    def answered(self, body: dict[str, Any], epoch: int) -> None:
        self._table.set_service(view_service(body))


def web_service(**annotations: str) -> ServiceView:
    return service(ips=(str(VIP),), **annotations)


def reporter_of(view: ServiceView) -> tuple[Reporter, CollectorRegistry]:
    """A reporter of the node ``w11`` that knows one Service; it has no API server yet."""
    table, registry = WantedTable(), CollectorRegistry()
    table.set_service(view)
    kube = Kube()
    made = Reporter("w11", kube, EventRecorder(kube, "test"), table, AgentMetrics(registry), Table(table))
    return made, registry


class RecordingApi:
    """An API server that takes every Event and PATCH; ``conflicts`` PATCHes are refused first."""

    def __init__(self, stored: dict[str, Any], conflicts: int = 0, *, forbids_specs: bool = False) -> None:
        self.stored = stored
        self.conflicts = conflicts
        self.forbids_specs = forbids_specs
        self.forbidden = 0
        self.patches: list[dict[str, Any]] = []
        self.events: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        if request.path.endswith("/events"):
            self.events.append((body["reason"], body["message"]))
            return web.json_response({**body, "metadata": {**body["metadata"], "name": "event"}}, status=201)
        if "/events/" in request.path:
            return web.json_response({"metadata": {"name": "event"}})
        if request.method == "PATCH":
            if self.conflicts:
                self.conflicts -= 1
                refusal = {"kind": "Status", "message": "changed meanwhile", "reason": "Conflict"}
                return web.json_response(refusal, status=409)
            if self.forbids_specs and not request.path.endswith("/status"):
                self.forbidden += 1
                refusal = {"kind": "Status", "message": 'w11 cannot patch resource "services"', "reason": "Forbidden"}
                return web.json_response(refusal, status=403)
            self.patches.append(body)
            self.stored["metadata"]["annotations"] |= body["metadata"].get("annotations") or {}
        return web.json_response(self.stored)


@contextmanager
def kubeconfig(folder: Path, url: str) -> Iterator[Path]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    yield path


def told(
    tmp_path: Path,
    api: RecordingApi,
    view: ServiceView,
    act: Callable[[Reporter], Awaitable[None]],
    registry: CollectorRegistry | None = None,
    *,
    keeps_local: bool = True,
) -> None:
    """Run a reporter against ``api`` while ``act`` goes on."""

    async def scene() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", api.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        with kubeconfig(tmp_path, f"http://127.0.0.1:{port}") as path:
            async with Kube(path) as kube:
                table = WantedTable(keeps_local=keeps_local)
                table.set_service(view)
                events = EventRecorder(kube, "purelb-lbnodeagent")
                metrics = AgentMetrics(registry or CollectorRegistry())
                made = Reporter("w11", kube, events, table, metrics, Table(table))
                async with asyncio.TaskGroup() as tasks:
                    running = [tasks.create_task(made.annotator.run()), tasks.create_task(events.run())]
                    await act(made)
                    for task in running:
                        task.cancel()
        await runner.cleanup()

    asyncio.run(scene())


def stored(**annotations: str) -> dict[str, Any]:
    notes = {f"purelb.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": "test",
            "name": "web",
            "annotations": {"purelb.io/allocated-by": "PureLB", **notes},
        },
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": str(VIP)}]}},
    }


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.005)
