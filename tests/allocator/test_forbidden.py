"""What something else on the network has is given to nobody, whatever the pools say: against an API server."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from purelb import names
from purelb.errors import ConflictError
from purelb.kube import core_path, services_path
from tests.allocator.builders import local
from tests.allocator.stage import Json, Stage, play, staged


async def node(stage: Stage, name: str, *addresses: str, pods: str | None = None) -> None:
    """Create a Node, or give it other addresses."""
    body: Json = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}}
    if pods is not None:
        body["spec"] = {"podCIDR": pods, "podCIDRs": [pods]}
    with suppress(ConflictError):
        await stage.kube.create(core_path("nodes"), body)
    status = {"addresses": [{"type": "InternalIP", "address": address} for address in addresses]}
    await stage.kube.patch(core_path("nodes", None, name, "status"), {"status": status})


def test_nodes_pods_the_resolver_and_what_an_operator_names_keep_their_addresses() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            await node(stage, "m", "10.1.0.0", "10.1.0.2", pods="10.1.0.4/31")
            body = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
                "spec": {"ports": [{"port": 53}]},
            }
            created = await stage.kube.create(services_path("kube-system"), body)
            resolver = created["spec"]["clusterIP"]
            await stage.group("default", local=local("10.1.0.0/29"))
            await stage.group("clash", local=local(f"{resolver}/32"))
            await stage.service("senior")
            await stage.service("clash", annotations={names.SERVICE_GROUP: "clash"})
            async with stage.allocator(PURELB_FORBIDDEN_ADDRESSES="10.1.0.1, 10.1.0.7"):
                assert await stage.addresses_when_given("senior") == ["10.1.0.3"]
                await stage.service("junior")
                assert await stage.addresses_when_given("junior") == ["10.1.0.6"]
                await stage.event("clash", "is exhausted")
                kind, reason, _ = await stage.event(
                    "default", "contains 10.1.0.0, which is an address of node m", namespace="purelb"
                )
                assert (kind, reason) == ("Warning", "ConfigurationWarning")
                told = f"contains {resolver}, which is the ClusterIP of the cluster's resolver"
                await stage.event("clash", told, namespace="purelb")

    asyncio.run(run())


def test_a_node_that_comes_to_have_an_address_given_before_is_told_of_and_nobody_loses_it() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30"))
        await stage.service("a")
        assert await stage.addresses_when_given("a") == ["10.1.0.0"]

        await node(stage, "late", "10.1.0.0", "10.1.0.1")

        kind, reason, _ = await stage.event("a", "10.1.0.0 is an address of node late, so no Service should have it")
        assert (kind, reason) == ("Warning", "ConfigurationWarning")
        assert await stage.addresses("a") == ["10.1.0.0"]
        await stage.service("b")
        assert await stage.addresses_when_given("b") == ["10.1.0.2"]
        await stage.change("a", {"metadata": {"annotations": {names.RE_EVALUATE: "true"}}})
        await stage.event("a", "Assigned {Ingress:[{IP:10.1.0.3")
        await node(stage, "late", "10.9.0.1")
        await stage.service("c")
        assert await stage.addresses_when_given("c") == ["10.1.0.0"]

    play(scenario, embedded=True)
