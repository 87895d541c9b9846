"""The allocator with the rights that the manifests give it, and no others."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.message import Message

from allocator.sources.claims import NAME
from purelb import names
from purelb.errors import NotFoundError
from purelb.ipam_pb2 import AllocatedIP, AllocateResponse, ReleaseResponse, StatsResponse
from purelb.kube import core_path, custom_path, group_path
from tests.allocator.builders import local
from tests.allocator.sources.netboxserver import TOKEN, Netbox
from tests.allocator.sources.sidecars import playing
from tests.allocator.stage import Stage, staged, until

RIGHTS = Path(__file__).parents[2] / "manifests" / "base" / "allocator-rbac.yaml"


async def install_rights(stage: Stage) -> None:
    """Apply the manifest, and let the allocator in as its ServiceAccount."""
    for body in yaml.safe_load_all(RIGHTS.read_text()):
        plural, namespace = body["kind"].lower() + "s", body["metadata"].get("namespace")
        version = body["apiVersion"]
        path = core_path(plural, namespace) if version == "v1" else group_path(version, plural, namespace)
        await stage.kube.create(path, body)
    kubeconfig = stage.server.kubeconfig()
    kubeconfig["users"][0]["user"] = {"token": stage.server.service_account_token("purelb", "allocator")}
    stage.kubeconfig.write_text(json.dumps(kubeconfig))


def test_the_rights_in_the_manifests_are_enough_for_all_it_does() -> None:
    async def run() -> None:
        async with staged() as stage:
            await install_rights(stage)
            async with stage.allocator():
                await stage.group("default", local=local("10.1.0.0/28"))
                await stage.service("a")
                assert await stage.addresses_when_given("a") == ["10.1.0.0"]
                await stage.event("a", "Assigned")

                async def counted() -> bool:
                    return (await stage.group_status("default")).get("allocatedIPv4") == 1

                async def installed() -> dict[str, Any] | None:
                    try:
                        await stage.kube.get(core_path("secrets", "purelb", names.GOSSIP_SECRET))
                        return await stage.kube.get(
                            custom_path(names.LB_NODE_AGENTS, "purelb", names.DEFAULT_NODE_AGENT)
                        )
                    except NotFoundError:
                        return None

                await until(counted)
                await until(installed)

    asyncio.run(run())


def test_they_are_enough_for_addresses_that_others_keep(tmp_path: Path) -> None:
    async def answer(method: str, _request: Any, _context: Any) -> Message:
        match method:
            case "Allocate":
                return AllocateResponse(ips=[AllocatedIP(ip="10.6.0.1")])
            case "Release":
                return ReleaseResponse()
            case _:
                return StatsResponse()

    async def run() -> None:
        netbox, socket = Netbox(), tmp_path / "ipam.sock"
        netbox.add("10.5.0.1/32")
        async with netbox.serve(), playing(socket, answer), staged() as stage:
            await install_rights(stage)
            await stage.group("netbox", netbox={"url": netbox.url, "tenant": "lb"})
            await stage.group("outside", external={"provider": "acme", "socket": str(socket), "announce": "local"})
            async with stage.allocator(NETBOX_USER_TOKEN=TOKEN):
                for name in ("netbox", "outside"):
                    await stage.service(name, annotations={names.SERVICE_GROUP: name})
                assert await stage.addresses_when_given("netbox") == ["10.5.0.1"]
                assert await stage.addresses_when_given("outside") == ["10.6.0.1"]
                assert (await claims(stage)) == {"default.outside": "outside"}
                await stage.delete("outside")

                async def is_forgotten() -> bool:
                    return await claims(stage) == {}

                assert await until(is_forgotten)

    asyncio.run(run())


async def claims(stage: Stage) -> dict[str, str]:
    return (await stage.kube.get(core_path("configmaps", "purelb", NAME))).get("data") or {}
