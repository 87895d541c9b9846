"""Services with addresses from a sidecar: the real allocator, the embedded API server, and a sidecar process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from allocator.sources import claims as journal
from purelb import names
from purelb.errors import NotFoundError
from purelb.ipam_pb2 import AllocatedIP, AllocateResponse, ReleaseResponse, StatsResponse
from purelb.kube import core_path
from tests.allocator.builders import local
from tests.allocator.ordeal import kill, start_allocator
from tests.allocator.sources.sidecars import Answer, Sidecar, playing, sample
from tests.allocator.stage import Stage, staged, until

POOLS = ("outside=10.40.0.0/30", "outside=fd00:40::/126")
Scenario = Callable[[Stage, Sidecar], Coroutine[Any, Any, None]]


async def prepare(stage: Stage, socket: Path, announce: str = "remote") -> None:
    spec = {"provider": "acme", "socket": str(socket), "announce": announce}
    await stage.group("outside", external=spec)
    await stage.group("default", local=local("10.1.0.0/28"))


def play(directory: Path, scenario: Scenario, *pools: str, with_allocator: bool = True) -> None:
    async def run() -> None:
        async with sample(directory, *(pools or POOLS)) as sidecar, staged() as stage:
            await prepare(stage, sidecar.socket)
            if not with_allocator:
                await scenario(stage, sidecar)
                return
            async with stage.allocator():
                await scenario(stage, sidecar)

    asyncio.run(run())


def play_with_answers(directory: Path, answer: Answer, scenario: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        socket = directory / "ipam.sock"
        async with playing(socket, answer), staged() as stage:
            await prepare(stage, socket)
            async with stage.allocator():
                await scenario(stage)

    asyncio.run(run())


async def outside(stage: Stage, name: str, **more: Any) -> None:
    annotations = {names.SERVICE_GROUP: "outside"} | more.pop("annotations", {})
    await stage.service(name, annotations=annotations, **more)


async def recorded(stage: Stage) -> dict[str, str]:
    try:
        body = await stage.kube.get(core_path("configmaps", "purelb", journal.NAME))
    except NotFoundError:
        return {}
    return dict(body.get("data") or {})


def test_a_service_gets_an_address_of_the_sidecar_until_it_is_deleted(tmp_path: Path) -> None:
    async def scenario(stage: Stage, sidecar: Sidecar) -> None:
        both = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}
        await outside(stage, "web", **both)
        assert await stage.addresses_when_given("web") == ["fd00:40::", "10.40.0.0"]
        annotations = (await stage.read("web"))["metadata"]["annotations"]
        assert annotations[names.ALLOCATED_FROM] == "outside"
        assert annotations[names.POOL_TYPE] == "remote"
        assert sidecar.held() == {"default/web": ["10.40.0.0", "fd00:40::"]}
        assert await recorded(stage) == {"default.web": "outside"}

        await stage.delete("web")

        async def is_free() -> bool:
            return sidecar.held() == {} and await recorded(stage) == {}

        assert await until(is_free)

    play(tmp_path, scenario)


def test_a_family_that_goes_is_released_alone(tmp_path: Path) -> None:
    async def scenario(stage: Stage, sidecar: Sidecar) -> None:
        await outside(stage, "web", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv4", "IPv6"])
        await stage.addresses_when_given("web")
        await stage.change("web", {"spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}})

        async def one_left() -> bool:
            return sidecar.held() == {"default/web": ["10.40.0.0"]}

        assert await until(one_left)
        assert await stage.addresses("web") == ["10.40.0.0"]

    play(tmp_path, scenario)


def test_the_status_shows_what_the_sidecar_says(tmp_path: Path) -> None:
    async def scenario(stage: Stage, sidecar: Sidecar) -> None:
        await outside(stage, "web")
        await stage.addresses_when_given("web")

        async def shown() -> bool:
            status = await stage.group_status("outside")
            return (status.get("allocatedIPv4"), status.get("availableIPv4")) == (1, 3)

        assert await until(shown)
        status = await stage.group_status("outside")
        assert (status["ipam"], status["announce"]) == ("acme", "Remote")
        assert status["addresses"] == ["10.40.0.0-10.40.0.3", "fd00:40::-fd00:40::3"]

    play(tmp_path, scenario)


def test_a_dead_sidecar_holds_up_nobody_else_and_is_found_again(tmp_path: Path) -> None:
    async def scenario(stage: Stage, sidecar: Sidecar) -> None:
        await sidecar.kill()
        for number in range(12):
            await outside(stage, f"s{number}") if number < 4 else await stage.service(f"s{number}")
        for number in range(4, 12):
            await stage.addresses_when_given(f"s{number}")
        kind, reason, message = await stage.event("s0", "Unavailable")
        assert (kind, reason) == ("Warning", "AllocationFailed")
        assert message.startswith('Failed to allocate IP for "default/s0": sidecar ')

        await sidecar.start()
        assert len({(await stage.addresses_when_given(f"s{number}"))[0] for number in range(4)}) == 4

    play(tmp_path, scenario)


def test_what_the_sidecar_answered_survives_its_crash_and_its_stale_socket_does_not_matter(tmp_path: Path) -> None:
    async def scenario(stage: Stage, sidecar: Sidecar) -> None:
        await outside(stage, "a")
        assert await stage.addresses_when_given("a") == ["10.40.0.0"]
        await sidecar.kill()
        assert sidecar.socket.exists()
        await outside(stage, "b")
        await stage.event("b", "Unavailable")

        await sidecar.start()
        assert await stage.addresses_when_given("b") == ["10.40.0.1"]
        assert sidecar.held() == {"default/a": ["10.40.0.0"], "default/b": ["10.40.0.1"]}

    play(tmp_path, scenario)


def test_a_hanging_sidecar_holds_up_nobody_else(tmp_path: Path) -> None:
    async def answer(_method: str, _request: Any, _context: Any) -> Message:
        await asyncio.sleep(60)
        return ReleaseResponse()

    async def scenario(stage: Stage) -> None:
        for number in range(20):
            await outside(stage, f"s{number}")
        await asyncio.sleep(0.3)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await stage.service("plain")
        await stage.addresses_when_given("plain")
        assert loop.time() - begun < 2.0

    play_with_answers(tmp_path, answer, scenario)


def test_who_waits_for_an_exhausted_sidecar_gets_what_is_released(tmp_path: Path) -> None:
    async def scenario(stage: Stage, sidecar: Sidecar) -> None:
        await outside(stage, "a")
        await stage.addresses_when_given("a")
        await outside(stage, "b")
        await stage.event("b", "ResourceExhausted")
        await stage.delete("a")
        assert await stage.addresses_when_given("b") == ["10.40.0.0"]

    play(tmp_path, scenario, "outside=10.40.0.0/32")


def test_already_exists_is_a_warning_and_a_retry(tmp_path: Path) -> None:
    calls: list[str] = []

    async def answer(method: str, _request: Any, context: Any) -> Message:
        if method == "Stats":
            return StatsResponse()
        calls.append(method)
        if len(calls) < 4:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "you have one")
        return AllocateResponse(ips=[AllocatedIP(ip="10.40.0.9")])

    async def scenario(stage: Stage) -> None:
        await outside(stage, "web")
        await stage.event("web", "AlreadyExists: you have one")
        assert await stage.addresses_when_given("web") == ["10.40.0.9"]

    play_with_answers(tmp_path, answer, scenario)


def test_an_answer_without_a_family_that_was_asked_for_is_given_back(tmp_path: Path) -> None:
    calls: list[str] = []

    async def answer(method: str, _request: Any, _context: Any) -> Message:
        calls.append(method)
        match method:
            case "Allocate":
                return AllocateResponse(ips=[AllocatedIP(ip="10.40.0.9")])
            case "Release":
                return ReleaseResponse()
            case _:
                return StatsResponse()

    async def scenario(stage: Stage) -> None:
        await outside(stage, "web", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv4", "IPv6"])
        await stage.event("web", "outside gave only 10.40.0.9, which is not what was asked for")

        async def is_released() -> bool:
            return "Release" in calls

        assert await until(is_released)
        assert await stage.addresses("web") == []

    play_with_answers(tmp_path, answer, scenario)


def test_only_the_recorded_pool_is_released(tmp_path: Path) -> None:
    calls: list[str] = []

    async def answer(method: str, _request: Any, _context: Any) -> Message:
        calls.append(method)
        return StatsResponse() if method == "Stats" else ReleaseResponse()

    async def scenario(stage: Stage) -> None:
        await stage.service("plain")
        await stage.addresses_when_given("plain")
        await stage.delete("plain")
        await asyncio.sleep(0.5)
        assert set(calls) <= {"Stats"}

    play_with_answers(tmp_path, answer, scenario)


def test_a_kill_between_allocate_and_status_loses_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        asked = asyncio.Event()
        held: dict[str, str] = {}
        is_slow = True

        async def answer(method: str, request: Any, _context: Any) -> Message:
            match method:
                case "Allocate":
                    held.setdefault(request.service, f"10.40.0.{len(held)}")
                    asked.set()
                    if is_slow:
                        await asyncio.sleep(2.0)
                    return AllocateResponse(ips=[AllocatedIP(ip=held[request.service])])
                case "Release":
                    held.pop(request.service, None)
                    return ReleaseResponse()
                case _:
                    return StatsResponse()

        socket = tmp_path / "ipam.sock"
        async with playing(socket, answer), staged() as stage:
            await prepare(stage, socket)
            process = await asyncio.to_thread(start_allocator, stage.kubeconfig)
            await outside(stage, "kept")
            async with asyncio.timeout(20):
                await asked.wait()
            asked.clear()
            await outside(stage, "lost")
            async with asyncio.timeout(20):
                await asked.wait()
            await kill(process)
            assert held == {"default/kept": "10.40.0.0", "default/lost": "10.40.0.1"}
            await stage.delete("lost")
            is_slow = False

            process = await asyncio.to_thread(start_allocator, stage.kubeconfig)

            async def settled() -> bool:
                return held == {"default/kept": "10.40.0.0"}

            try:
                assert await stage.addresses_when_given("kept") == ["10.40.0.0"]
                assert await until(settled)
            finally:
                await kill(process)

    asyncio.run(run())


def test_a_service_deleted_while_nobody_looked_is_released(tmp_path: Path) -> None:
    async def scenario(stage: Stage, sidecar: Sidecar) -> None:
        async with stage.allocator():
            await outside(stage, "web")
            await stage.addresses_when_given("web")
        await stage.delete("web")
        async with stage.allocator():

            async def is_free() -> bool:
                return sidecar.held() == {}

            assert await until(is_free)

    play(tmp_path, scenario, with_allocator=False)


def test_kills_at_random_moments_give_nothing_twice_and_lose_nothing(tmp_path: Path) -> None:
    async def scenario(stage: Stage, sidecar: Sidecar) -> None:
        for round_ in range(6):
            process = await asyncio.to_thread(start_allocator, stage.kubeconfig)
            for number in range(3):
                await outside(stage, f"s{round_}-{number}")
            await asyncio.sleep(0.15 + 0.17 * round_)
            if round_:
                await stage.delete(f"s{round_ - 1}-1")
            await kill(process)
        process = await asyncio.to_thread(start_allocator, stage.kubeconfig)

        async def settled() -> bool:
            shown = {f"default/{name}": addresses for name, addresses in (await stage.all_addresses()).items()}
            return len(shown) == 13 and sidecar.held() == shown and len(await recorded(stage)) == 13

        try:
            assert await until(settled)
            assert len({addresses[0] for addresses in sidecar.held().values()}) == 13
        finally:
            await kill(process)

    play(tmp_path, scenario, "outside=10.40.0.0/27", with_allocator=False)
