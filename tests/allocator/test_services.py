"""The allocator against an API server: what users of a cluster do and see."""

from __future__ import annotations

import asyncio

import pytest

from purelb import names
from purelb.kube import custom_path, services_path
from tests.allocator.builders import local
from tests.allocator.stage import Stage, ingress_of, play, staged, until

LAYER2 = {
    "v4pool": {"subnet": "10.31.188.64/26", "pool": "10.31.188.64-10.31.188.126", "aggregation": "/32"},
}
BGP = {"v4pool": {"subnet": "10.189.0.0/16", "pool": "10.189.0.0/16", "aggregation": "/32"}}


def test_the_article_s_services_get_the_article_s_addresses_annotations_and_events() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("layer2-ippool", local=LAYER2)
        annotations = {names.SERVICE_GROUP: "layer2-ippool"}
        for name in ("nginx-lb-service", "nginx-lb2-service", "nginx-lb3-service"):
            await stage.service(name, annotations=annotations)
        await stage.service("nginx-lb4-service", annotations=annotations, loadBalancerIP="10.31.188.100")
        await stage.group("bgp-ippool", local=BGP)
        bgp = {names.SERVICE_GROUP: "bgp-ippool"}
        await stage.service("nginx-lb5-service", annotations=bgp)
        await stage.service("nginx-lb6-service", annotations=bgp, loadBalancerIP="10.189.100.100")

        await stage.addresses_when_given("nginx-lb6-service")

        assert await stage.all_addresses() == {
            "nginx-lb-service": ["10.31.188.64"],
            "nginx-lb2-service": ["10.31.188.65"],
            "nginx-lb3-service": ["10.31.188.66"],
            "nginx-lb4-service": ["10.31.188.100"],
            "nginx-lb5-service": ["10.189.0.0"],
            "nginx-lb6-service": ["10.189.100.100"],
        }
        body = await stage.read("nginx-lb-service")
        assert body["metadata"]["annotations"] == {
            names.SERVICE_GROUP: "layer2-ippool",
            names.ALLOCATED_BY: "PureLB",
            names.ALLOCATED_FROM: "layer2-ippool",
            names.POOL_TYPE: "local",
        }
        assert "finalizers" not in body["metadata"]
        assert await stage.event("nginx-lb-service", "Assigned") == (
            "Normal",
            "AddressAssigned",
            "Assigned {Ingress:[{IP:10.31.188.64 Hostname: Ports:[]}]} from pool layer2-ippool",
        )
        assert await stage.event("layer2-ippool", "parsed", namespace="purelb") == (
            "Normal",
            "Parsed",
            "ServiceGroup parsed successfully",
        )

    play(scenario)


def test_services_that_arrive_at_once_get_addresses_in_the_order_of_their_creation() -> None:
    async def run() -> None:
        async with staged() as stage:
            for name in ("zebra", "ant", "mouse", "cow", "bee"):
                await stage.service(name)
            await stage.group("default", local=LAYER2)
            async with stage.allocator():
                await stage.addresses_when_given("bee")
                assert await stage.all_addresses() == {
                    "zebra": ["10.31.188.64"],
                    "ant": ["10.31.188.65"],
                    "mouse": ["10.31.188.66"],
                    "cow": ["10.31.188.67"],
                    "bee": ["10.31.188.68"],
                }

    asyncio.run(run())


def test_an_allocation_is_exactly_one_write() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/24", "fd00::/64"))
        created = await stage.service("a", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv4", "IPv6"])
        await stage.addresses_when_given("a")
        await stage.event("a", "Assigned")
        await asyncio.sleep(0.3)

        watched = await stage.versions("a", since=created["metadata"]["resourceVersion"])

        assert [ingress_of(body) for body in watched] == [["10.1.0.0", "fd00::"]]

    play(scenario)


BAD_GROUPS = {
    "outside": ({"v4pool": {"subnet": "10.1.0.0/24", "pool": "10.2.0.0/24"}}, "not contained in its subnet"),
    "upside-down": ({"v4pool": {"subnet": "10.1.0.0/24", "pool": "10.1.0.9-10.1.0.1"}}, "upside down"),
    "garbage": ({"v4pool": {"subnet": "10.1.0.0/24", "pool": "lots of addresses"}}, "neither a CIDR, nor a range"),
    "overlapping": ({"v4pool": {"subnet": "10.31.0.0/16", "pool": "10.31.188.100-10.31.188.101"}}, "overlaps"),
}


def test_bad_groups_are_warned_about_or_refused_and_everybody_else_is_served() -> None:
    async def run() -> None:
        async with staged(validate=False) as stage, stage.allocator():
            await stage.group("default", local=LAYER2)
            await until(lambda: stage.events("default", namespace="purelb"))
            for name, (spec, _) in BAD_GROUPS.items():
                await stage.group(name, local=spec)

            for name, (_, sentence) in BAD_GROUPS.items():
                kind, reason, _ = await stage.event(name, sentence, namespace="purelb")
                assert (kind, reason) == ("Warning", "ParseFailed")
                await stage.service(f"wants-{name}", annotations={names.SERVICE_GROUP: name})
                await stage.event(f"wants-{name}", f'no usable pool: ServiceGroup "{name}"')
            await stage.service("fine")
            assert await stage.addresses_when_given("fine") == ["10.31.188.64"]

    asyncio.run(run())


def test_bad_requests_are_warned_about_and_everybody_else_is_served() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=LAYER2)
        await stage.service("holder", loadBalancerIP="10.31.188.70")
        await stage.addresses_when_given("holder")
        await stage.service("nowhere", annotations={names.SERVICE_GROUP: "nope"})
        await stage.service("outside", annotations={names.ADDRESSES: "10.99.0.1"})
        await stage.service("garbled", annotations={names.ADDRESSES: "10.31.188"})
        await stage.service("greedy", loadBalancerIP="10.31.188.70")
        await stage.service("fine")

        assert await stage.addresses_when_given("fine") == ["10.31.188.64"]
        for name, sentence in {
            "nowhere": 'unknown pool "nope"',
            "outside": '"10.99.0.1" does not belong to any group',
            "garbled": 'invalid user-specified address: ""10.31.188""',
            "greedy": 'can\'t change sharing key for "default/greedy", address also in use by default/holder',
        }.items():
            kind, reason, text = await stage.event(name, sentence)
            assert (kind, reason) == ("Warning", "AllocationFailed")
            assert text.startswith(f'Failed to allocate IP for "default/{name}": {sentence}')

        await stage.delete("holder")
        assert await stage.addresses_when_given("greedy") == ["10.31.188.70"]
        await stage.change("nowhere", {"metadata": {"annotations": {names.SERVICE_GROUP: None}}})
        assert await stage.addresses_when_given("nowhere") == ["10.31.188.65"]

    play(scenario)


def test_an_exhausted_pool_warns_once_and_serves_the_oldest_as_soon_as_an_address_is_free() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/31"))
        for name in ("a", "b", "old", "young"):
            await stage.service(name)
        await stage.addresses_when_given("b")
        await stage.event("young", "is exhausted")

        await stage.delete("a")

        assert await stage.addresses_when_given("old") == ["10.1.0.0"]
        await stage.change("b", {"spec": {"type": "ClusterIP", "allocateLoadBalancerNodePorts": None}})
        assert await stage.addresses_when_given("young") == ["10.1.0.1"]
        assert [reason for _, reason, _ in await stage.events("young")].count("AllocationFailed") == 1

    play(scenario)


def test_a_grown_group_serves_who_waits_and_a_deleted_one_takes_nothing_away() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/32"))
        for name in "ab":
            await stage.service(name)
        await stage.event("b", "is exhausted")

        await stage.change_group("default", local=local("10.1.0.0/31"))
        assert await stage.addresses_when_given("b") == ["10.1.0.1"]
        await stage.delete_group("default")
        await stage.event("default", "2 Services keep addresses of this ServiceGroup", namespace="purelb")
        for name, address in (("a", "10.1.0.0"), ("b", "10.1.0.1")):
            kind, reason, _ = await stage.event(name, f'{address} is in no pool of ServiceGroup "default" any more')
            assert (kind, reason) == ("Warning", "ConfigurationWarning")
        await stage.group("other", local=local("10.1.0.0/30"))
        await stage.event("a", '10.1.0.0 belongs to ServiceGroup "other" now, not to "default"')
        await stage.service("c", annotations={names.SERVICE_GROUP: "other"})

        assert await stage.addresses_when_given("c") == ["10.1.0.2"]
        assert await stage.addresses("a") == ["10.1.0.0"]
        assert await stage.addresses("b") == ["10.1.0.1"]

    play(scenario)


def test_whoever_writes_an_older_service_s_claim_on_an_address_moves_the_younger_at_once() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/28"))
        for name in ("old", "young"):
            await stage.service(name)
        assert await stage.addresses_when_given("young") == ["10.1.0.1"]

        await stage.set_status("old", ["10.1.0.1"])

        await stage.event("young", "10.1.0.1 is also held by default/old")
        assert await stage.addresses_when_given("young") == ["10.1.0.0"]
        assert await stage.addresses("old") == ["10.1.0.1"]

    play(scenario)


def test_services_that_share_keep_their_address_when_one_takes_its_key_away() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/28"))
        shared = {names.ALLOW_SHARED_IP: "web"}
        await stage.service("old", annotations=shared, ports=[80])
        assert await stage.addresses_when_given("old") == ["10.1.0.0"]
        await stage.service("young", annotations=shared, ports=[443])
        assert await stage.addresses_when_given("young") == ["10.1.0.0"]
        await stage.service("clash", annotations=shared, ports=[443])
        await stage.event("clash", 'port TCP/443 on "10.1.0.0" is already in use by default/young')

        await stage.change("old", {"metadata": {"annotations": {names.ALLOW_SHARED_IP: None}}})

        await stage.event("young", "can't change sharing key")
        assert await stage.addresses("old") == await stage.addresses("young") == ["10.1.0.0"]
        await stage.delete("old")
        await stage.service("third", annotations=shared, ports=[8080])
        assert await stage.addresses_when_given("third") == ["10.1.0.0"]

    play(scenario)


def test_a_group_that_becomes_bad_keeps_its_services_addresses_reserved() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("a-senior", local=local("10.5.0.0/24"))
        await stage.group("default", local=local("10.1.0.0/31"))
        await stage.service("a")
        await stage.addresses_when_given("a")

        await stage.change_group("default", local=local("10.5.0.1/32"))
        await stage.event(
            "default",
            'Pool overlaps with already defined pool "a-senior"; leave each address to one of the two',
            namespace="purelb",
        )
        await stage.event("default", "1 Service keeps an address of this ServiceGroup", namespace="purelb")
        await stage.group("heir", local=local("10.1.0.0/31"))
        await stage.service("b", annotations={names.SERVICE_GROUP: "heir"})

        assert await stage.addresses_when_given("b") == ["10.1.0.1"]
        assert await stage.addresses("a") == ["10.1.0.0"]

    play(scenario)


def test_a_wiped_status_gets_the_same_address_back() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=LAYER2)
        for name in "ab":
            await stage.service(name)
        assert await stage.addresses_when_given("b") == ["10.31.188.65"]
        await stage.delete("a")

        await stage.set_status("b", [])

        assert await stage.addresses_when_given("b") == ["10.31.188.65"]

    play(scenario)


def test_a_change_of_type_releases_the_address_and_cleans_the_service_up() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=LAYER2)
        await stage.service("a", loadBalancerClass="purelb.io/purelb")
        await stage.addresses_when_given("a")

        await stage.change(
            "a", {"spec": {"type": "ClusterIP", "loadBalancerClass": None, "allocateLoadBalancerNodePorts": None}}
        )

        assert await stage.event("a", "Service is Type") == (
            "Normal",
            "AddressReleased",
            "Service is Type ClusterIP, not LoadBalancer",
        )
        body = await stage.read("a")
        assert names.ALLOCATED_BY not in body["metadata"].get("annotations", {})
        assert names.ALLOCATED_FROM not in body["metadata"].get("annotations", {})
        assert ingress_of(body) == []
        await stage.service("b", loadBalancerClass="purelb.io/purelbv2")
        assert await stage.addresses_when_given("b") == ["10.31.188.64"]

    play(scenario, DEFAULT_ANNOUNCER="")


def test_foreign_services_are_never_touched() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=LAYER2)
        await stage.service("theirs", loadBalancerClass="metallb.io/metallb")
        await stage.set_status("theirs", ["10.31.188.64"])
        before = await stage.read("theirs")
        await stage.service("ours")

        assert await stage.addresses_when_given("ours") == ["10.31.188.65"]
        assert await stage.read("theirs") == before

    play(scenario)


def test_two_services_that_show_one_address_after_a_restore_end_up_with_two() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=LAYER2)
        await stage.service("old")
        await stage.addresses_when_given("old")
        await stage.service("young")
        await stage.addresses_when_given("young")

        await stage.set_status("young", ["10.31.188.64"])

        async def moved() -> bool:
            return await stage.addresses("young") == ["10.31.188.65"]

        await until(moved)
        await stage.event("young", "10.31.188.64 is also held by default/old, which is older and keeps it")
        assert await stage.addresses("old") == ["10.31.188.64"]

    play(scenario)


def test_a_dual_stack_service_gains_and_loses_a_family() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/24", "fd00::/64"))
        await stage.service("a")
        assert await stage.addresses_when_given("a") == ["10.1.0.0"]

        await stage.change("a", {"spec": {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}})

        async def both() -> bool:
            return await stage.addresses("a") == ["10.1.0.0", "fd00::"]

        await until(both)
        body = await stage.read("a")
        single = {
            "ipFamilyPolicy": "SingleStack",
            "ipFamilies": ["IPv4"],
            "clusterIPs": body["spec"]["clusterIPs"][:1],
        }
        await stage.change("a", {"spec": single})
        await stage.event("a", "Released addresses no longer needed after IP family transition: [fd00::]")
        assert await stage.addresses("a") == ["10.1.0.0"]

    play(scenario)


def test_re_evaluate_moves_a_service_to_the_group_that_it_names_now() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=LAYER2)
        await stage.group("bgp", local=BGP)
        await stage.service("a")
        await stage.addresses_when_given("a")

        await stage.change("a", {"metadata": {"annotations": {names.SERVICE_GROUP: "bgp"}}})
        await stage.event("a", 'service-group "bgp" has no effect while the Service has 10.31.188.64')
        await stage.change("a", {"metadata": {"annotations": {names.RE_EVALUATE: "true"}}})

        async def moved() -> bool:
            return await stage.addresses("a") == ["10.189.0.0"]

        await until(moved)
        annotations = (await stage.read("a"))["metadata"]["annotations"]
        assert names.RE_EVALUATE not in annotations
        assert annotations[names.ALLOCATED_FROM] == "bgp"

    play(scenario)


def test_the_status_of_a_group_and_the_metrics_answer_how_full_it_is() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", remote=local("10.1.0.0/30"))
        for name in "abc":
            await stage.service(name)
        await stage.addresses_when_given("c")

        async def counted() -> bool:
            return (await stage.group_status("default")).get("allocatedIPv4") == 3

        await until(counted)
        status = await stage.group_status("default")
        assert (status["announce"], status["ipam"], status["availableIPv4"]) == ("Remote", "Cluster", 1)
        assert status["addresses"] == ["10.1.0.0/30"]
        listing = await stage.kube.list(custom_path(names.SERVICE_GROUPS))
        assert listing.items[0]["metadata"]["generation"] == 1, "a status write is no change of the spec"

    play(scenario)


@pytest.mark.parametrize("identity", ["allocator-0", "another-pod"])
def test_a_restarted_allocator_changes_nothing_and_knows_what_is_taken(identity: str) -> None:
    async def run() -> None:
        async with staged() as stage:
            await stage.group("default", local=LAYER2)
            async with stage.allocator():
                for name in "abc":
                    await stage.service(name)
                await stage.addresses_when_given("c")
            await stage.delete("b")
            await stage.service("d")
            versions = {
                body["metadata"]["name"]: body["metadata"]["resourceVersion"]
                for body in (await stage.kube.list(services_path())).items
            }
            async with stage.allocator(identity):
                assert await stage.addresses_when_given("d") == ["10.31.188.65"]
                for name in "ac":
                    assert (await stage.read(name))["metadata"]["resourceVersion"] == versions[name]

    asyncio.run(run())
