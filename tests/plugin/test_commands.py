"""kubectl purelb against an API server with a real allocator, as an operator runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from purelb import names
from purelb.kube import core_path, services_path
from purelb.placement import parse_placement
from tests.allocator.stage import DEFINITIONS, Stage, play, until
from tests.plugin.scene import LAYER2, ROUTED, announce, conflict, document, install, kubectl, purelb

pytestmark = pytest.mark.timeout(300)  # a process for each question, and there are many


def test_a_cluster_is_healthy_until_a_service_waits_and_its_node_dies() -> None:
    async def scenario(stage: Stage) -> None:
        await install(stage)
        await stage.group("wire", local=LAYER2)
        await stage.group("routed", local=ROUTED)
        await stage.service("web", annotations={names.SERVICE_GROUP: "wire"})
        await stage.service("far", annotations={names.SERVICE_GROUP: "routed"})
        assert await stage.addresses_when_given("web") == ["10.31.188.64"]
        await stage.addresses_when_given("far")
        await announce(stage, "web", "w11,eth0")

        code, output, errors = await purelb(stage, "status")
        assert (code, errors) == (0, ""), output
        assert output.splitlines()[0] == "PureLB in namespace purelb: healthy"
        assert "1 announced, 1 routed" in output

        web, far = sorted(await document(stage, "services"), key=lambda place: place["name"], reverse=True)
        assert (web["node"], web["interface"], web["state"], web["pool"]) == ("w11", "eth0", "Announced", "wire")
        assert (far["address"], far["state"]) == ("10.189.0.0", "Routed")
        pools = {pool["name"]: pool for pool in await document(stage, "pools")}
        assert pools["wire"]["addresses"] == {"IPv4": {"used": 1, "free": 1}}
        assert [node["standing"] for node in await document(stage, "nodes")] == ["Serving", "Serving"]
        assert (await document(stage, "version"))["images"]["allocator"] == "allocator:1"

        told = await document(stage, "events", "web", "--since", "1h")
        assert [(one["what"], one["reason"]) for one in told] == [("Normal", "AddressAssigned")]
        assert await document(stage, "events", "-n", "kube-system") == []
        code, output, _ = await purelb(stage, "inspect", "default/web")
        assert code == 1
        assert "✓ Announced: 10.31.188.64 is on eth0 of w11" in output
        assert "✗ Pods: no endpoint of it is ready" in output
        (held,) = await document(stage, "vip", "10.31.188.64")
        assert (held["service"], held["node"], held["interface"]) == ("default/web", "w11", "eth0")
        assert (await purelb(stage, "vip", "10.31.188.65"))[0] == 1
        (one,) = await document(stage, "election")
        assert {one["owner"], one["next"]} == {"w11", "w12"}
        assert await document(stage, "election", "-n", "default") == [one]
        assert await document(stage, "election", "-n", "kube-system") == []
        code, output, _ = await purelb(stage, "election", "web", "--simulate-death", one["owner"])
        assert code == 0
        assert output.startswith(f"if {one['owner']} dies, 1 of 1 addresses move: 1 to {one['next']}\n")

        code, output, _ = await kubectl(stage, "__complete", "purelb", "inspect", "default/")
        assert (code, output.splitlines()) == (0, ["default/far", "default/web", ":4"])

        await stage.service("waits", annotations={names.SERVICE_GROUP: "nowhere"})
        await announce(stage, "web", "w13,eth0")
        code, output, _ = await purelb(stage, "status")
        assert code == 1
        assert "✗ service default/waits: it has no address yet" in output
        assert "✗ service default/web: 10.31.188.64: the node that announced it takes no part any more" in output
        code, output, _ = await purelb(stage, "inspect", "waits")
        assert code == 1
        assert "✗ Pool: there is no ServiceGroup nowhere" in output
        assert "What to do: name one of those that there are (routed, wire)" in output
        code, output, _ = await purelb(stage, "services", "-n", "kube-system")
        assert (code, output) == (0, "no Service of type LoadBalancer is PureLB's in namespace kube-system\n")

    play(scenario)


def test_what_was_said_of_a_service_that_had_the_name_before_says_nothing_of_this_one() -> None:
    async def scenario(stage: Stage) -> None:
        await install(stage)
        await stage.group("wire", local=LAYER2)
        await stage.service("web", annotations={names.SERVICE_GROUP: "wire"})
        (address,) = await stage.addresses_when_given("web")
        await announce(stage, "web", "w11,eth0")
        uid = (await stage.kube.get(services_path("default", "web")))["metadata"]["uid"]

        await conflict(stage, "web", "00000000-0000-0000-0000-000000000000", address)
        assert "✗ Wire" not in (await purelb(stage, "inspect", "web"))[1]
        await conflict(stage, "web", uid, address)
        assert f"✗ Wire: Another host answers for {address}" in (await purelb(stage, "inspect", "web"))[1]

    play(scenario)


def test_what_cannot_be_asked_is_said_in_a_sentence_with_code_2(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        code, output, errors = await purelb(stage, "status", "--context", "elsewhere")
        assert (code, output) == (2, "")
        assert "elsewhere" in errors
        assert "Traceback" not in errors

        code, _, errors = await purelb(stage, "status", kubeconfig=tmp_path / "none")
        assert (code, "Traceback" in errors) == (2, False)

        for arguments in (("vip", "10.9.9"), ("inspect", "nobody"), ("inspect", "nobody", "-n", "web")):
            code, output, errors = await purelb(stage, *arguments)
            assert (code, output, errors.count("\n")) == (2, "", 1)

        code, output, _ = await purelb(stage, "status")
        assert code == 1
        assert "✗ PureLB: neither its programs nor its agents' word are in namespace purelb" in output

    play(scenario)


def test_a_cluster_without_the_kind_of_object_that_says_who_is_there_is_told_so() -> None:
    """One with PureLB's own CRDs, or with those of before."""

    async def scenario(stage: Stage) -> None:
        await install(stage)
        await stage.kube.delete(f"{DEFINITIONS}/memberships.purelb.io")

        code, output, errors = await purelb(stage, "status")
        assert (code, errors) == (1, "")
        assert "✗ nodes: no agent says which nodes take part" in output
        code, output, _ = await purelb(stage, "nodes")
        assert (code, output) == (1, "no agent says which nodes take part: see kubectl purelb status\n")

    play(scenario, embedded=True)


def test_a_service_is_moved_and_let_go_again_and_the_allocator_is_asked_to_even_out() -> None:
    async def scenario(stage: Stage) -> None:
        await install(stage)
        for node in ("w11", "w12"):
            await stage.kube.create(core_path("nodes"), {"kind": "Node", "metadata": {"name": node}})
        await stage.group("wire", local=LAYER2, placement="even")
        await stage.service("web", annotations={names.SERVICE_GROUP: "wire"})
        await stage.addresses_when_given("web")

        async def plan() -> tuple[str, ...]:
            said = (await stage.read("web"))["metadata"]["annotations"].get(names.PLACEMENT, "")
            return next(iter(parse_placement(said).values()), ())

        async def is_planned() -> bool:
            return len(await plan()) == 2

        await until(is_planned)
        here, there = await plan()
        await announce(stage, "web", f"{here},eth0")

        code, output, errors = await purelb(stage, "move", "web", "--to", "w99")
        assert (code, output, errors.count("\n")) == (2, "", 1)
        code, _, _ = await purelb(stage, "move", "web", "--to", there, "--dry-run")
        assert code == 0
        assert names.PREFERRED_NODES not in (await stage.read("web"))["metadata"]["annotations"]

        moved = await document(stage, "move", "web", "--to", there, "--timeout", "0s")
        assert (moved["done"], moved["to"]) == (False, there)
        assert (await stage.read("web"))["metadata"]["annotations"][names.PREFERRED_NODES] == there
        # An allocator that has just begun to lead moves nothing: that is asked for.
        asked = await document(stage, "rebalance", "--timeout", "0s")
        assert asked["asked"]

        async def is_planned_there() -> bool:
            return (await plan())[0] == there

        await until(is_planned_there)
        code, output, _ = await purelb(stage, "move", "web", "--to", there, "--timeout", "1ms")
        assert (code, "Not yet." in output) == (1, True)
        await announce(stage, "web", f"{there},eth0")
        code, output, _ = await purelb(stage, "move", "web", "--to", there)
        assert (code, "Done after" in output) == (0, True)
        assert (await purelb(stage, "move", "web", "--anywhere"))[0] == 0
        assert names.PREFERRED_NODES not in (await stage.read("web"))["metadata"]["annotations"]

    play(scenario)
