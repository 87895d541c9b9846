"""What an API server says of who gave, which agents go by."""

from __future__ import annotations

from purelb import names
from purelb.kube import services_path
from purelb.services import view_service
from tests.allocator.builders import local
from tests.allocator.stage import Stage, play


def test_who_adds_a_port_to_our_entry_takes_the_addresses_over_and_not_that_we_gave_them() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/30"))
        await stage.service("a")
        await stage.addresses_when_given("a")
        given = view_service(await stage.read("a"))
        assert (given.ingress_writer, given.giver) == (names.ALLOCATOR_COMPONENT, names.ALLOCATOR_COMPONENT)

        entry = {"ip": "10.1.0.0", "ipMode": "VIP", "ports": [{"port": 80, "protocol": "TCP"}]}
        body = {"status": {"loadBalancer": {"ingress": [entry]}}}
        await stage.kube.patch(services_path("default", "a", "status"), body)

        changed = view_service(await stage.read("a"))
        assert changed.ingress == given.ingress
        assert (changed.ingress_writer, changed.giver) == ("test", names.ALLOCATOR_COMPONENT)

    play(scenario)


def test_nor_does_a_tenant_who_copies_our_annotations_pass_for_an_allocator() -> None:
    async def scenario(stage: Stage) -> None:
        forged = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "gone"}
        await stage.service("forged", annotations=forged, loadBalancerClass="another.example/lb")
        await stage.set_status("forged", ["10.31.188.1"])

        assert view_service(await stage.read("forged")).giver == "test"

    play(scenario)
