"""Services with addresses from a NetBox: the real allocator between the embedded API server and a NetBox over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from purelb import names
from tests.allocator.builders import local
from tests.allocator.ordeal import kill, start_allocator
from tests.allocator.sources.netboxserver import TOKEN, Entry, Handler, Netbox, answering, hanging
from tests.allocator.stage import Stage, staged, until

Scenario = Callable[[Stage, Netbox], Coroutine[Any, Any, None]]


def play(
    scenario: Scenario, *addresses: str, with_allocator: bool = True, embedded: bool = False, **options: Any
) -> None:
    """Run a scenario with a group ``netbox`` and a local group ``default``."""

    async def run() -> None:
        netbox = Netbox(**options)
        netbox.add(*addresses)
        async with netbox.serve(), staged(embedded=embedded) as stage:
            await stage.group("netbox", netbox={"url": netbox.url, "tenant": "lb", "aggregation": "/32"})
            await stage.group("default", local=local("10.1.0.0/28"))
            if not with_allocator:
                await scenario(stage, netbox)
                return
            async with stage.allocator(NETBOX_USER_TOKEN=TOKEN):
                await scenario(stage, netbox)

    asyncio.run(run())


async def outside(stage: Stage, name: str, **more: Any) -> None:
    annotations = {names.SERVICE_GROUP: "netbox"} | more.pop("annotations", {})
    await stage.service(name, annotations=annotations, **more)


async def cluster_of(stage: Stage) -> str:
    return str((await stage.kube.get("/api/v1/namespaces/kube-system"))["metadata"]["uid"])


async def all_free(netbox: Netbox) -> bool:
    return set(netbox.state().values()) == {("reserved", "")}


def test_a_service_gets_an_address_and_netbox_its_name_until_it_is_deleted() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        await outside(stage, "web")
        assert await stage.addresses_when_given("web") == ["10.5.0.1"]

        body = await stage.read("web")
        assert body["metadata"]["annotations"][names.ALLOCATED_FROM] == "netbox"
        await stage.event("web", "Assigned {Ingress:[{IP:10.5.0.1 Hostname: Ports:[]}]} from pool netbox")
        marker = f"default/web (PureLB {await cluster_of(stage)})"
        assert netbox.state() == {"10.5.0.1": ("active", marker), "10.5.0.2": ("reserved", "")}

        await stage.delete("web")
        assert await until(lambda: all_free(netbox))

    play(scenario, "10.5.0.1/24", "10.5.0.2/24")


def test_a_change_of_type_gives_the_address_back() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        await outside(stage, "web")
        await stage.addresses_when_given("web")
        await stage.change("web", {"spec": {"type": "ClusterIP", "allocateLoadBalancerNodePorts": None}})

        assert await until(lambda: all_free(netbox))

    play(scenario, "10.5.0.1/24")


def test_dual_stack_comes_and_goes() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        await outside(stage, "web")
        assert await stage.addresses_when_given("web") == ["10.5.0.1"]
        both = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
        await stage.change("web", {"spec": both})

        async def addresses(*wanted: str) -> bool:
            return await stage.addresses("web") == list(wanted)

        assert await until(lambda: addresses("10.5.0.1", "fd00::1"))
        await stage.change("web", {"spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}})
        assert await until(lambda: addresses("10.5.0.1"))

        async def is_back() -> bool:
            return netbox.state()["fd00::1"] == ("reserved", "")

        assert await until(is_back)

    play(scenario, "10.5.0.1/24", "fd00::1/64")


def test_services_share_an_address_and_the_last_one_gives_it_back() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        shared = {names.ALLOW_SHARED_IP: "k"}
        await outside(stage, "a", annotations=shared, ports=[80])
        await stage.addresses_when_given("a")
        await outside(stage, "b", annotations=shared, ports=[443])
        assert await stage.addresses_when_given("b") == ["10.5.0.1"]

        await stage.delete("a")
        await asyncio.sleep(1.0)
        assert netbox.entry("10.5.0.1").status == "active"
        await stage.delete("b")
        assert await until(lambda: all_free(netbox))

    play(scenario, "10.5.0.1/24", "10.5.0.2/24")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (answering(302, Location="/login/"), "NetBox answers 302, a redirect to /login/, instead of data"),
        (answering(403), "NetBox refuses our token (403)"),
        (answering(503), "NetBox fails with 503"),
        (answering(429, Retry_After="1"), "NetBox asks for fewer requests (429)"),
    ],
)
def test_a_netbox_in_trouble_is_a_warning_then_a_retry_and_local_pools_go_on(fault: Handler, sentence: str) -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        netbox.fault = fault
        await outside(stage, "web")
        kind, reason, _ = await stage.event("web", f'Failed to allocate IP for "default/web": {sentence}')
        assert (kind, reason) == ("Warning", "AllocationFailed")

        await stage.service("plain")
        assert await stage.addresses_when_given("plain") == ["10.1.0.0"]

        async def unavailable() -> bool:
            conditions = {entry["type"]: entry for entry in (await stage.group_status("netbox")).get("conditions", ())}
            return bool(conditions) and conditions["Ready"]["reason"] == "SourceUnavailable"

        assert await until(unavailable)
        netbox.fault = None
        assert await stage.addresses_when_given("web") == ["10.5.0.1"]

    play(scenario, "10.5.0.1/24")


def test_a_netbox_that_is_down_is_not_asked_by_every_service() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        netbox.fault = answering(503)
        for number in range(20):
            await outside(stage, f"s{number}")
        for number in range(20):
            await stage.event(f"s{number}", "NetBox fails with 503")

        assert len(netbox.requests) < 20
        netbox.fault = None
        for number in range(20):
            await stage.addresses_when_given(f"s{number}")
        assert len({addresses[0] for addresses in (await stage.all_addresses()).values()}) == 20

    play(scenario, *(f"10.5.0.{number}/24" for number in range(20)))


def test_who_waits_for_an_exhausted_netbox_gets_what_is_given_back() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        await outside(stage, "a")
        await stage.addresses_when_given("a")
        await outside(stage, "b")
        await stage.event("b", 'NetBox has no reserved IPv4 address for tenant "lb"')

        await stage.delete("a")
        assert await stage.addresses_when_given("b") == ["10.5.0.1"]

    play(scenario, "10.5.0.1/24")


def test_the_status_says_how_full_netbox_is() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        await outside(stage, "a")
        await stage.addresses_when_given("a")

        async def shown() -> bool:
            status = await stage.group_status("netbox")
            return (status.get("allocatedIPv4"), status.get("availableIPv4")) == (1, 2)

        assert await until(shown)
        status = await stage.group_status("netbox")
        assert status["ipam"] == "NetBox"
        assert status["addresses"] == ["tenant lb"]

    play(scenario, "10.5.0.1/24", "10.5.0.2/24", "10.5.0.3/24")


def test_without_a_token_the_group_is_refused() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        async with stage.allocator():
            event = await stage.event("netbox", "NETBOX_USER_TOKEN", namespace="purelb")

        assert event == (
            "Warning",
            "ParseFailed",
            "Failed to parse: NETBOX_USER_TOKEN not set, can't connect to Netbox",
        )

    play(scenario, with_allocator=False)


def test_what_was_left_while_no_allocator_ran_is_given_back_and_what_an_older_one_gave_is_marked() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        cluster = await cluster_of(stage)
        netbox.edit("10.5.0.1", status="active", description=f"default/gone (PureLB {cluster})")
        netbox.edit("10.5.0.2", status="active")
        netbox.edit("10.5.0.3", status="active", description="default/x (PureLB elsewhere)")
        await outside(stage, "old", annotations={names.ALLOCATED_BY: "PureLB", names.ALLOCATED_FROM: "netbox"})
        await stage.set_status("old", ["10.5.0.2"])

        async with stage.allocator(NETBOX_USER_TOKEN=TOKEN):

            async def settled() -> bool:
                return netbox.state() == {
                    "10.5.0.1": ("reserved", ""),
                    "10.5.0.2": ("active", f"default/old (PureLB {cluster})"),
                    "10.5.0.3": ("active", "default/x (PureLB elsewhere)"),
                }

            assert await until(settled)
        assert await stage.addresses("old") == ["10.5.0.2"]

    play(scenario, "10.5.0.1/24", "10.5.0.2/24", "10.5.0.3/24", with_allocator=False)


def test_an_address_that_netbox_counts_as_anothers_is_a_warning() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        netbox.edit("10.5.0.1", status="active", description="default/x (PureLB elsewhere)")
        await outside(stage, "old", annotations={names.ALLOCATED_BY: "PureLB", names.ALLOCATED_FROM: "netbox"})
        await stage.set_status("old", ["10.5.0.1"])
        async with stage.allocator(NETBOX_USER_TOKEN=TOKEN):
            kind, _, _ = await stage.event("old", "as the address of default/x in another cluster (elsewhere)")
        assert kind == "Warning"
        assert await stage.addresses("old") == ["10.5.0.1"]

    play(scenario, "10.5.0.1/24", with_allocator=False)


def test_a_netbox_that_never_answers_holds_up_nobody_else() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        netbox.fault = hanging
        for number in range(20):
            await outside(stage, f"s{number}")
        async with asyncio.timeout(20):
            while not netbox.requests:
                await asyncio.sleep(0.05)
        for number in range(5):
            await stage.service(f"plain{number}")
            async with asyncio.timeout(5.0):  # NetBox has 10 s
                await stage.addresses_when_given(f"plain{number}")

        await stage.event("s0", "NetBox does not answer in time")
        netbox.fault = None
        assert await stage.addresses_when_given("s0")

    play(scenario, *(f"10.5.0.{number}/24" for number in range(20)))


def test_a_status_that_can_not_be_written_costs_no_second_address() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        outage = stage.api.faults.status(503, verb="patch", resource="services", subresource="status")
        await outside(stage, "web")

        async def tried() -> bool:
            return outage.hits >= 3

        assert await until(tried)
        assert [entry.status for entry in netbox.entries.values()] == ["active", "reserved"]
        stage.api.faults.clear(outage)
        assert await stage.addresses_when_given("web") == ["10.5.0.1"]
        assert netbox.entry("10.5.0.2").status == "reserved"

    play(scenario, "10.5.0.1/24", "10.5.0.2/24", embedded=True)


def test_a_service_deleted_while_netbox_is_down_is_given_back_when_it_is_up() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        await outside(stage, "web")
        await stage.addresses_when_given("web")
        netbox.fault = answering(503)
        await stage.delete("web")
        await asyncio.sleep(1.0)
        assert netbox.entry("10.5.0.1").status == "active"
        netbox.fault = None
        assert await until(lambda: all_free(netbox))

    play(scenario, "10.5.0.1/24")


def test_a_standby_asks_nobody_and_finishes_what_the_leader_began() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        leader = await asyncio.to_thread(start_allocator, stage.kubeconfig, "pod-a", NETBOX_USER_TOKEN=TOKEN)
        await outside(stage, "first")
        assert await stage.addresses_when_given("first") == ["10.5.0.1"]
        standby = await asyncio.to_thread(start_allocator, stage.kubeconfig, "pod-b", NETBOX_USER_TOKEN="wrong")
        try:
            await asyncio.sleep(2.0)
            assert netbox.refused == 0, "a standby has no business at NetBox"
        finally:
            await kill(standby)

        claimed = asyncio.Event()

        async def stop_here(_: Entry) -> None:
            netbox.on_patched = None
            claimed.set()
            await asyncio.sleep(1.0)

        netbox.on_patched = stop_here
        standby = await asyncio.to_thread(start_allocator, stage.kubeconfig, "pod-b", NETBOX_USER_TOKEN=TOKEN)
        try:
            await outside(stage, "second")
            async with asyncio.timeout(20):
                await claimed.wait()
            await kill(leader)
            assert await stage.addresses_when_given("second") == ["10.5.0.2"]
            assert netbox.entry("10.5.0.3").status == "reserved"
        finally:
            await kill(standby)

    play(scenario, "10.5.0.1/24", "10.5.0.2/24", "10.5.0.3/24", with_allocator=False)


async def killed_between_claim_and_status(stage: Stage, netbox: Netbox, name: str) -> None:
    """An allocator that claims an address for a Service, and dies before the Service hears of it."""
    claimed = asyncio.Event()

    async def stop_here(_: Entry) -> None:
        netbox.on_patched = None
        claimed.set()
        await asyncio.sleep(2.0)

    netbox.on_patched = stop_here
    process = await asyncio.to_thread(start_allocator, stage.kubeconfig, NETBOX_USER_TOKEN=TOKEN)
    await outside(stage, name)
    async with asyncio.timeout(20):
        await claimed.wait()
    await kill(process)


def test_a_kill_between_claim_and_status_loses_nothing() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        await killed_between_claim_and_status(stage, netbox, "kept")
        assert netbox.entry("10.5.0.1").status == "active"
        assert await stage.addresses("kept") == []

        process = await asyncio.to_thread(start_allocator, stage.kubeconfig, NETBOX_USER_TOKEN=TOKEN)
        try:
            assert await stage.addresses_when_given("kept") == ["10.5.0.1"]
            assert netbox.state()["10.5.0.2"] == ("reserved", "")
        finally:
            await kill(process)

    play(scenario, "10.5.0.1/24", "10.5.0.2/24", with_allocator=False)


def test_a_service_deleted_after_such_a_kill_leaves_nothing_behind() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        await killed_between_claim_and_status(stage, netbox, "lost")
        await stage.delete("lost")

        process = await asyncio.to_thread(start_allocator, stage.kubeconfig, NETBOX_USER_TOKEN=TOKEN)
        try:
            assert await until(lambda: all_free(netbox))
        finally:
            await kill(process)

    play(scenario, "10.5.0.1/24", with_allocator=False)


def test_kills_at_random_moments_give_nothing_twice_and_lose_nothing() -> None:
    async def scenario(stage: Stage, netbox: Netbox) -> None:
        for round_ in range(6):
            process = await asyncio.to_thread(start_allocator, stage.kubeconfig, NETBOX_USER_TOKEN=TOKEN)
            for number in range(3):
                await outside(stage, f"s{round_}-{number}")
            await asyncio.sleep(0.15 + 0.17 * round_)
            if round_:
                await stage.delete(f"s{round_ - 1}-1")
            await kill(process)
        process = await asyncio.to_thread(start_allocator, stage.kubeconfig, NETBOX_USER_TOKEN=TOKEN)

        async def settled() -> bool:
            held = {name: addresses[0] for name, addresses in (await stage.all_addresses()).items()}
            active = {entry.ip: entry.description for entry in netbox.entries.values() if entry.status == "active"}
            named = {address: f"default/{name}" for name, address in held.items()}
            return len(held) == 13 and {ip: text.partition(" ")[0] for ip, text in active.items()} == named

        try:
            assert await until(settled)
        finally:
            await kill(process)

    play(scenario, *(f"10.5.0.{number}/24" for number in range(20)), with_allocator=False)
