"""An API server with an installed PureLB, and the plugin as an operator runs it there."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from purelb import names
from purelb.addresses import parse_network
from purelb.errors import ConflictError
from purelb.kube import core_path, custom_path, group_path, services_path
from purelb.membership import MemberNode, Standing, membership_status
from tests.allocator.stage import Stage

LAYER2 = {"v4pool": {"subnet": "10.31.0.0/16", "pool": "10.31.188.64-10.31.188.65", "aggregation": "/32"}}
ROUTED = {"v4pool": {"subnet": "10.189.0.0/16", "pool": "10.189.0.0/24", "aggregation": "/32"}}
OBSERVED = "2999-01-01T00:00:00Z"


async def purelb(stage: Stage, *arguments: str, kubeconfig: Path | None = None) -> tuple[int, str, str]:
    """Exit code, output and errors of `kubectl purelb ...`."""
    return await kubectl(stage, "purelb", *arguments, kubeconfig=kubeconfig)


async def kubectl(stage: Stage, *arguments: str, kubeconfig: Path | None = None) -> tuple[int, str, str]:
    """Of any other command of kubectl's."""
    program = Path(sys.executable).with_name("kubectl")
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig or stage.kubeconfig),
        "PATH": f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(program, *arguments, stdout=pipe, stderr=pipe, env=environment)
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def document(stage: Stage, *arguments: str) -> Any:
    _, output, errors = await purelb(stage, *arguments, "-o", "json")
    assert not errors
    return json.loads(output)


def workload(kind: str, name: str) -> dict[str, Any]:
    labels = {"app": "purelb", "component": name}
    env = [{"name": "DEFAULT_ANNOUNCER", "value": "PureLB"}]
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": f"{name}:1", "env": env}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "purelb", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    }


async def nodes_are(stage: Stage, *nodes: MemberNode) -> None:
    """What an agent would publish of them."""
    path = custom_path(names.MEMBERSHIPS, "purelb")
    head = {"apiVersion": "purelb.io/v1", "kind": "Membership", "metadata": {"name": "purelb", "namespace": "purelb"}}
    with suppress(ConflictError):  # a real server may still have that of an earlier test
        await stage.kube.create(path, head)
    status = membership_status({node.name: node for node in nodes}, 2, spokesman="w11", observed=OBSERVED)
    await stage.kube.patch(f"{path}/purelb/status", {"status": status})


async def install(stage: Stage) -> None:
    """The two programs' objects, as if their pods ran, and two nodes."""
    for plural, kind, name, status in (
        ("deployments", "Deployment", "allocator", {"replicas": 1, "readyReplicas": 1}),
        (
            "daemonsets",
            "DaemonSet",
            "lbnodeagent",
            {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberReady": 2, "numberMisscheduled": 0},
        ),
    ):
        path = group_path("apps/v1", plural, "purelb")
        await stage.kube.create(path, workload(kind, name))
        await stage.kube.patch(f"{path}/{name}/status", {"status": status})
    subnets = frozenset({parse_network("10.31.0.0/16")})
    await nodes_are(
        stage,
        MemberNode("w11", Standing.SERVING, subnets=subnets, version="0.1.0"),
        MemberNode("w12", Standing.SERVING, subnets=subnets, version="0.1.0"),
    )


async def announce(stage: Stage, name: str, value: str) -> None:
    """What an agent writes to a Service that it announces."""
    body = {"metadata": {"annotations": {names.ANNOUNCING_IPV4: value}}}
    await stage.kube.patch(services_path("default", name, "status"), body)


async def conflict(stage: Stage, name: str, uid: str, address: str) -> None:
    """What an agent says of a Service whose address another host has."""
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{uid}", "namespace": "default"},
        "involvedObject": {"apiVersion": "v1", "kind": "Service", "namespace": "default", "name": name, "uid": uid},
        "type": "Warning",
        "reason": names.REASON_ADDRESS_CONFLICT,
        "message": f"Another host answers for {address}",
        "source": {"component": names.AGENT_COMPONENT},
        "lastTimestamp": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    await stage.kube.create(core_path("events", "default"), body)
