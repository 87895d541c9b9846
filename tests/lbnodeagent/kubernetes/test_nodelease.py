"""The Lease of a node, as PureLB v0.17's readers want it: there, renewed, gone with its agent, nobody's condition."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_network
from typing import Any

import pytest

from lbnodeagent.kubernetes import nodelease
from lbnodeagent.kubernetes.nodelease import NodeLease
from purelb import rights
from purelb.errors import NotFoundError
from purelb.kube import core_path, group_path
from tests.allocator.stage import Stage, staged, until

PATH = group_path("coordination.k8s.io/v1", "leases", "purelb", "purelb-node-w11")
SUBNETS = [ip_network("fd00::/64"), ip_network("10.31.0.0/16"), ip_network("10.9.0.0/16")]


def lease_of(stage: Stage, instance: str) -> NodeLease:
    return NodeLease("w11", "purelb", instance, stage.kube, random.Random(1))


async def add_node(stage: Stage) -> str:
    """Returns its uid: a Lease of a node that isn't there is garbage."""
    node = await stage.kube.create(core_path("nodes"), {"metadata": {"name": "w11"}})
    return str(node["metadata"]["uid"])


async def read(stage: Stage) -> dict[str, Any] | None:
    try:
        return await stage.kube.get(PATH)
    except NotFoundError:
        return None


@asynccontextmanager
async def running(lease: NodeLease) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(lease.run())
        yield
        task.cancel()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodelease, "CALM", 0.05)


def test_it_tells_where_the_node_announces_belongs_to_the_node_and_goes_with_the_agent() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            lease, node = lease_of(stage, "pod-1"), await add_node(stage)
            async with running(lease):
                lease.subnets_are(SUBNETS)
                assert await read(stage) is None, "nothing is known of the node yet"
                lease.node_is(node)
                await until(lambda: read(stage))
                found = await read(stage)
                assert found is not None
                assert found["metadata"]["annotations"] == {
                    "purelb.io/subnets": "10.9.0.0/16,10.31.0.0/16,fd00::/64",
                    "purelb.io/instance": "pod-1",
                }
                assert found["metadata"]["labels"] == {
                    "app.kubernetes.io/name": "purelb",
                    "app.kubernetes.io/component": "lbnodeagent",
                }
                owner = {"apiVersion": "v1", "kind": "Node", "name": "w11", "uid": node}
                assert found["metadata"]["ownerReferences"] == [owner]
                assert found["spec"]["holderIdentity"] == "w11"
                assert found["spec"]["leaseDurationSeconds"] > nodelease.RENEW[1]

                lease.subnets_are([])
                await until(lambda: tells(stage, ""))
                await lease.leave(5.0)

            assert await read(stage) is None

    async def tells(stage: Stage, subnets: str) -> bool:
        found = await read(stage)
        return found is not None and found["metadata"]["annotations"]["purelb.io/subnets"] == subnets

    asyncio.run(run())


def test_it_is_renewed_and_made_again_where_somebody_deletes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodelease, "RENEW", (0.05, 0.1))

    async def run() -> None:
        async with staged(embedded=True) as stage:
            lease, node = lease_of(stage, "pod-1"), await add_node(stage)
            async with running(lease):
                lease.node_is(node)
                lease.subnets_are(SUBNETS)
                await until(lambda: read(stage))
                first = await read(stage)
                assert first is not None

                async def is_renewed() -> bool:
                    found = await read(stage)
                    return found is not None and found["spec"]["renewTime"] > first["spec"]["renewTime"]

                await until(is_renewed)
                await stage.kube.delete(PATH)
                await until(lambda: read(stage))

    asyncio.run(run())


def test_an_agent_that_goes_leaves_the_lease_of_its_successor_alone() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            old, new, node = lease_of(stage, "pod-1"), lease_of(stage, "pod-2"), await add_node(stage)
            for one, instance in ((old, "pod-1"), (new, "pod-2")):
                async with running(one):
                    one.node_is(node)
                    one.subnets_are(SUBNETS)
                    await until(partial(is_of, stage, instance))

            await old.leave(5.0)

            assert await is_of(stage, "pod-2")

    async def is_of(stage: Stage, instance: str) -> bool:
        found = await read(stage)
        return found is not None and found["metadata"]["annotations"]["purelb.io/instance"] == instance

    asyncio.run(run())


def test_without_the_right_it_is_asked_for_more_seldom_than_readiness_remembers() -> None:
    assert nodelease.FORBIDDEN > rights.MEMORY


def test_more_subnets_than_v0_17_reads_are_not_named() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            lease, node = lease_of(stage, "pod-1"), await add_node(stage)
            async with running(lease):
                lease.node_is(node)
                lease.subnets_are([ip_network(f"10.{one // 256}.{one % 256}.0/24") for one in range(300)])
                await until(lambda: read(stage))
            found = await read(stage)
            assert found is not None
            assert found["metadata"]["annotations"]["purelb.io/subnets"].count(",") == nodelease.MOST - 1

    asyncio.run(run())
