"""Other programs and people write to our Services: annotations go, statuses change. Against an API server."""

from __future__ import annotations

import asyncio

import pytest

from purelb import names
from purelb.kube import services_path
from purelb.services import view_service
from tests.allocator.builders import local
from tests.allocator.stage import Json, Stage, ingress_of, play, staged, until

DROPPED: Json = {names.ALLOCATED_BY: None, names.ALLOCATED_FROM: None, names.POOL_TYPE: None}


async def replace(stage: Stage, name: str) -> None:
    """Update a Service as an operator does that builds it anew: with none of the annotations that it doesn't know."""
    body = await stage.read(name)
    for field in ("annotations", "managedFields"):
        body["metadata"].pop(field, None)
    await stage.kube.replace(services_path("default", name), body)


async def ours(stage: Stage, name: str) -> dict[str, str]:
    """The annotations of a Service, as soon as ours are there."""

    async def read() -> dict[str, str] | None:
        annotations: dict[str, str] = (await stage.read(name))["metadata"].get("annotations") or {}
        return annotations if names.ALLOCATED_BY in annotations else None

    return await until(read)


@pytest.mark.parametrize("default_announcer", ["PureLB", ""])
def test_annotations_that_an_update_drops_come_back_and_the_address_stays(default_announcer: str) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", remote=local("10.1.0.0/30"))
        for name in ("low", "a"):
            await stage.service(name, loadBalancerClass=None if default_announcer else "purelb.io/purelb")
        assert await stage.addresses_when_given("a") == ["10.1.0.1"]
        before = await ours(stage, "a")

        await replace(stage, "a")

        assert await ours(stage, "a") == before
        assert before[names.POOL_TYPE] == "remote"
        assert await stage.addresses("a") == ["10.1.0.1"]
        kind, reason, _ = await stage.event("a", "PureLB's annotations were gone from this Service and are put back")
        assert (kind, reason) == ("Warning", "ConfigurationWarning")

    play(scenario, DEFAULT_ANNOUNCER=default_announcer)


def test_an_allocator_that_starts_later_puts_them_back_too() -> None:
    async def run() -> None:
        async with staged() as stage:
            await stage.group("default", local=local("10.1.0.0/30"))
            async with stage.allocator():
                await stage.service("a")
                await stage.addresses_when_given("a")
            await stage.change("a", {"metadata": {"annotations": DROPPED}})
            async with stage.allocator():
                assert (await ours(stage, "a"))[names.ALLOCATED_FROM] == "default"
                assert await stage.addresses("a") == ["10.1.0.0"]

    asyncio.run(run())


def test_who_drops_them_again_and_again_is_not_run_against() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30"))
        created = await stage.service("a")
        await stage.addresses_when_given("a")
        for _ in range(2):
            await replace(stage, "a")
            await ours(stage, "a")

        await replace(stage, "a")
        await asyncio.sleep(1.0)

        states = await stage.versions("a", since=created["metadata"]["resourceVersion"])
        written = [names.ALLOCATED_BY in (body["metadata"].get("annotations") or {}) for body in states]
        assert written == [True, False, True, False, True, False], "the third waits for ten seconds"

    play(scenario)


def test_while_they_wait_to_be_put_back_the_service_is_served_on() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30", "fd00::/126"))
        await stage.service("a", ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"])
        await stage.addresses_when_given("a")
        for _ in range(2):
            await replace(stage, "a")
            await ours(stage, "a")
        await replace(stage, "a")

        await stage.change("a", {"spec": {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]}})

        await until(lambda: shows(stage, "a", ["10.1.0.0", "fd00::"]), 5.0)

    play(scenario)


def test_a_status_that_another_controller_rewrites_gets_our_address_back_and_is_not_fought_over() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30"))
        for name in ("low", "a"):
            await stage.service(name)
        assert await stage.addresses_when_given("a") == ["10.1.0.1"]
        await stage.delete("low")
        created = await stage.read("a")

        await stage.set_status("a", ["10.31.188.1", "10.31.188.11"])

        kind, reason, text = await stage.event("a", '"test" wrote 10.31.188.1, 10.31.188.11 to the status of this')
        assert (kind, reason) == ("Warning", "ConfigurationWarning")
        assert "PureLB puts 10.1.0.1 back" in text
        await until(lambda: shows(stage, "a", ["10.1.0.1"]))
        await stage.set_status("a", ["10.31.188.1"])
        states = await stage.versions("a", since=created["metadata"]["resourceVersion"])
        assert [ingress_of(body) for body in states] == [
            ["10.31.188.1", "10.31.188.11"],
            ["10.1.0.1"],
            ["10.31.188.1"],
        ], "the second time waits for two seconds"
        await stage.service("b")
        assert await stage.addresses_when_given("b") == ["10.1.0.0"]
        await until(lambda: shows(stage, "a", ["10.1.0.1"]))

    play(scenario)


def test_an_allocator_that_starts_later_gives_an_address_instead_of_a_foreign_one() -> None:
    async def run() -> None:
        async with staged() as stage:
            await stage.group("default", local=local("10.1.0.0/30"))
            async with stage.allocator():
                await stage.service("a")
                await stage.addresses_when_given("a")
            await stage.set_status("a", ["10.31.188.1"])
            async with stage.allocator():
                await until(lambda: shows(stage, "a", ["10.1.0.0"]))

    asyncio.run(run())


def test_a_forged_annotation_on_another_s_service_counts_for_nothing_and_goes_with_it() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/31"))
        forged = {names.ALLOCATED_BY: "PureLB", names.ALLOCATED_FROM: "default"}
        await stage.service("forged", annotations=forged, loadBalancerClass="another.example/lb")
        await stage.set_status("forged", ["10.31.188.1", "10.1.0.0"])
        before = await stage.read("forged")
        await stage.service("a")
        assert await stage.addresses_when_given("a") == ["10.1.0.1"], "what is in use anywhere is given to nobody"
        await stage.service("b")
        await stage.event("b", "is exhausted")
        assert await stage.read("forged") == before

        await stage.delete("forged")

        assert await stage.addresses_when_given("b") == ["10.1.0.0"]

    play(scenario)


async def add_port(stage: Stage, name: str, *ips: str) -> None:
    """Write a port into our entries, as many controllers do: the whole list is theirs then."""
    entries = [{"ip": ip, "ipMode": "VIP", "ports": [{"port": 80, "protocol": "TCP"}]} for ip in ips]
    body = {"status": {"loadBalancer": {"ingress": entries}}}
    await stage.kube.patch(services_path("default", name, "status"), body)


async def noted(stage: Stage, name: str) -> str | None:
    """What our allocator notes beside a status that others wrote."""
    annotations: dict[str, str] = (await stage.read(name))["metadata"].get("annotations") or {}
    return annotations.get(names.ALLOCATED_ADDRESSES)


def test_an_address_that_left_its_pool_stays_though_somebody_wrote_it_again_and_the_allocator_restarts() -> None:
    async def run() -> None:
        async with staged() as stage:
            await stage.group("default", local=local("10.1.0.0/30"))
            async with stage.allocator():
                await stage.service("a")
                await stage.addresses_when_given("a")
                assert await noted(stage, "a") is None
                await add_port(stage, "a", "10.1.0.0")
                assert await until(lambda: noted(stage, "a")) == "10.1.0.0"
            await stage.change_group("default", local=local("10.1.0.2/31"))
            async with stage.allocator():
                await stage.service("b")
                assert await stage.addresses_when_given("b") == ["10.1.0.2"]
                assert await stage.addresses("a") == ["10.1.0.0"]
                view = view_service(await stage.read("a"))
                assert view.recorded == view.ingress, "so agents that start now announce it"

    asyncio.run(run())


def test_what_is_noted_follows_what_is_given() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30", "fd00:1::1-fd00:1::3"))
        await stage.service("a", ipFamilyPolicy="SingleStack", ipFamilies=["IPv4"])
        await stage.addresses_when_given("a")
        await add_port(stage, "a", "10.1.0.0")
        await until(lambda: noted(stage, "a"))

        await stage.change("a", {"spec": {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]}})

        await until(lambda: shows(stage, "a", ["10.1.0.0", "fd00:1::1"]))
        assert await noted(stage, "a") == "10.1.0.0,fd00:1::1"

    play(scenario)


def test_what_a_tenant_notes_there_is_no_proof_and_is_put_right() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30"))
        await stage.service("a", annotations={names.ALLOCATED_ADDRESSES: "10.31.188.1"})
        await stage.addresses_when_given("a")
        assert view_service(await stage.read("a")).recorded == ()

        await add_port(stage, "a", "10.1.0.0")

        async def is_right() -> bool:
            return await noted(stage, "a") == "10.1.0.0"

        await until(is_right)

    play(scenario)


def test_what_a_tenant_notes_as_it_is_becomes_the_allocators_word() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30"))
        await stage.service("a", annotations={names.ALLOCATED_ADDRESSES: "10.1.0.0"})
        await stage.addresses_when_given("a")

        await add_port(stage, "a", "10.1.0.0")

        async def is_recorded() -> bool:
            view = view_service(await stage.read("a"))
            return bool(view.recorded) and view.recorded == view.ingress

        await until(is_recorded)

    play(scenario)


def test_annotations_that_go_from_a_service_whose_status_others_wrote_come_back_too() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30"))
        await stage.service("a", loadBalancerClass=None)
        await stage.addresses_when_given("a")
        before = await ours(stage, "a")
        await add_port(stage, "a", "10.1.0.0")
        await until(lambda: noted(stage, "a"))

        await replace(stage, "a")

        after = await ours(stage, "a")
        assert {**after, **before} == after
        assert await stage.addresses("a") == ["10.1.0.0"]

    play(scenario, DEFAULT_ANNOUNCER="PureLB")


async def shows(stage: Stage, name: str, addresses: list[str]) -> bool:
    return await stage.addresses(name) == addresses
