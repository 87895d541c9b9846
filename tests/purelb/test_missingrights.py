"""A right that was taken away is told where users look."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from purelb import names
from purelb.errors import ForbiddenError
from purelb.events import EventRecorder, ObjectReference
from purelb.kube import Kube, core_path, services_path
from purelb.metrics import ClientMetrics
from purelb.missingrights import tell
from purelb.rights import PATIENCE
from tests.purelb.conftest import Api

POD = ObjectReference("v1", "Pod", "default", "allocator-0", "u1")
SENTENCE = "the API server forbids to read services: are PureLB's roles and their bindings all there?"


def test_what_the_api_server_goes_on_to_refuse_is_an_event_on_our_pod_and_a_metric(api: Api, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with api.embedded() as (server, admin):
            await admin.create(core_path("serviceaccounts", "default"), {"metadata": {"name": "robot"}})
            config = server.kubeconfig()
            config["users"][0]["user"] = {"token": server.service_account_token("default", "robot")}
            path = tmp_path / "robot"
            path.write_text(json.dumps(config))
            async with Kube(path) as robot, asyncio.TaskGroup() as tasks:
                metrics, clock = ClientMetrics(CollectorRegistry()), asyncio.get_running_loop().time
                recorder = EventRecorder(admin, names.ALLOCATOR_COMPONENT)
                with pytest.raises(ForbiddenError) as refused:
                    await robot.get(services_path())
                robot.rights.failed("GET", services_path(), refused.value, clock() + PATIENCE)
                running = [
                    tasks.create_task(recorder.run()),
                    tasks.create_task(tell(robot.rights, POD, recorder, metrics, clock)),
                ]
                async with asyncio.timeout(5):
                    while not (events := (await admin.list(core_path("events", "default"))).items):
                        await asyncio.sleep(0.02)
                for task in running:
                    task.cancel()

        assert [(event["type"], event["reason"], event["message"]) for event in events] == [
            ("Warning", "Forbidden", SENTENCE)
        ]
        assert events[0]["involvedObject"]["name"] == "allocator-0"
        (metric,) = metrics.forbidden.collect()
        assert [(sample.labels["request"], sample.value) for sample in metric.samples] == [("read services", 1.0)]

    asyncio.run(scenario())
