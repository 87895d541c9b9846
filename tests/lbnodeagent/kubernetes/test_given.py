"""Which addresses of a Service are PureLB's gift."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from lbnodeagent.kubernetes.foreign import ForeignAddresses
from lbnodeagent.kubernetes.viptable import WantedTable
from purelb.addresses import IPAddress
from purelb.election import owner
from purelb.servicegroups import ServiceGroup, parse_service_group
from purelb.services import ServiceKey, ServiceView, view_service

VIP, NODE = ip_address("10.189.0.7"), ip_address("10.31.188.1")
KEY = ServiceKey("test", "web")


def service(
    *ips: IPAddress,
    writer: str | None = "purelb-allocator",
    giver: str | None = None,
    group: str = "bgp",
    uid: str = "u1",
    noted: tuple[IPAddress, ...] = (),
    noter: str = "purelb-allocator",
    **spec: Any,
) -> ServiceView:
    """``writer`` wrote the addresses, ``giver`` of which group they are, and ``noter`` which of them are its own."""
    fields: dict[str, Any] = {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}
    group_noted: dict[str, Any] = {"f:metadata": {"f:annotations": {"f:purelb.io/allocated-from": {}}}}
    addresses_noted: dict[str, Any] = {"f:metadata": {"f:annotations": {"f:purelb.io/allocated-addresses": {}}}}
    entry = {"manager": writer, "operation": "Update", "subresource": "status", "fieldsV1": fields}
    note = {"manager": giver, "operation": "Update", "subresource": "status", "fieldsV1": group_noted}
    own_note = {"manager": noter, "operation": "Update", "subresource": "status", "fieldsV1": addresses_noted}
    own = {"purelb.io/allocated-addresses": ",".join(map(str, noted))} if noted else {}
    metadata = {
        "namespace": "test",
        "name": "web",
        "uid": uid,
        "annotations": {"purelb.io/allocated-by": "PureLB", "purelb.io/allocated-from": group, **own},
        "managedFields": [
            {"manager": "kubectl", "fieldsV1": {"f:spec": {}}},
            *([note] if giver else []),
            *([own_note] if noted else []),
            *([entry] if writer else []),
        ],
    }
    status = {"loadBalancer": {"ingress": [{"ip": str(ip)} for ip in ips]}}
    return view_service({"metadata": metadata, "spec": {"type": "LoadBalancer", **spec}, "status": status})


def group(name: str = "bgp", pool: str = "10.189.0.0-10.189.0.255") -> ServiceGroup:
    pools = {"pool": pool, "subnet": "10.189.0.0/16"}
    return parse_service_group(
        {"metadata": {"name": name, "namespace": "purelb"}, "spec": {"local": {"v4pool": pools}}}
    )


def announced(table: WantedTable) -> set[IPAddress]:
    return set(table.table)


def test_addresses_that_another_controller_wrote_are_not_announced_and_ours_beside_them_are() -> None:
    table = WantedTable()
    table.set_group(group())

    table.set_service(service(VIP, NODE, writer="k3s"))

    assert announced(table) == {VIP}
    assert table.foreign(KEY) == {NODE}


def test_when_it_replaces_all_of_them_nothing_is_left_to_announce() -> None:
    table = WantedTable()
    table.set_group(group())
    table.set_service(service(VIP))

    assert table.set_service(service(NODE, writer="k3s")) == {VIP: None}
    assert announced(table) == set()


def test_a_tenants_annotation_on_a_service_of_another_class_means_nothing() -> None:
    table = WantedTable()
    table.set_service(service(NODE, writer="cloud-controller-manager", loadBalancerClass="example.com/lb"))
    table.set_service(service(NODE, writer="purelb-allocator", loadBalancerClass="example.com/lb"))

    assert announced(table) == set()
    assert table.foreign(KEY) == set()


def test_nor_does_it_on_one_without_a_class_that_another_controller_serves() -> None:
    table = WantedTable()
    table.set_group(group())
    table.set_service(service(NODE, writer="cloud-controller-manager"))

    assert announced(table) == set()


@pytest.mark.parametrize("writer", ["purelb-allocator", "allocator", None])
def test_what_the_allocator_gave_stays_announced_when_its_group_is_deleted(writer: str | None) -> None:
    table = WantedTable()
    table.set_group(group())
    table.set_service(service(VIP, writer=writer))
    table.drop_group("purelb", "bgp")
    assert announced(table) == {VIP}

    restarted = WantedTable()
    restarted.set_service(service(VIP, writer=writer))
    assert announced(restarted) == {VIP}


def test_what_a_netbox_or_a_sidecar_gave_is_announced() -> None:
    table = WantedTable()
    external = {"netbox": {"url": "https://netbox.example", "tenant": "t"}}
    table.set_group(parse_service_group({"metadata": {"name": "bgp", "namespace": "purelb"}, "spec": external}))

    table.set_service(service(ip_address("10.77.0.1")))

    assert announced(table) == {ip_address("10.77.0.1")}


def external(kind: str) -> ServiceGroup:
    sources = {
        "netbox": {"url": "https://netbox.example", "tenant": "t"},
        "external": {"provider": "infoblox", "announce": "local"},
    }
    return parse_service_group({"metadata": {"name": "bgp", "namespace": "purelb"}, "spec": {kind: sources[kind]}})


def restarted(service: ServiceView, *groups: ServiceGroup) -> set[IPAddress]:
    """What an agent announces that starts now, whatever it reads first."""
    one, other = WantedTable(), WantedTable()
    one.set_service(service)
    one.replace_groups(groups)
    other.replace_groups(groups)
    other.set_service(service)
    assert announced(one) == announced(other)
    assert one.foreign(KEY) == other.foreign(KEY)
    return announced(one)


@pytest.mark.parametrize("giver", ["purelb-allocator", "allocator", "ancient-changes"])
@pytest.mark.parametrize("groups", [[], [group("other")], [external("netbox")], [external("external")]])
def test_who_adds_a_port_to_our_entry_does_not_take_the_address_off_the_air_nor_does_a_restart(
    giver: str, groups: list[ServiceGroup]
) -> None:
    """Of a group that is gone, or without pools to look into: that our allocator gave something is all there is."""
    table = WantedTable()
    table.replace_groups(groups)
    table.set_service(service(VIP, giver=giver))

    changed = service(VIP, writer="somebody", giver=giver)
    assert table.set_service(changed) == {}
    assert announced(table) == {VIP}
    assert restarted(changed, *groups) == {VIP}


@pytest.mark.parametrize("giver", [None, "kubectl"])
@pytest.mark.parametrize("groups", [[], [external("netbox")]])
def test_where_our_allocator_never_gave_anything_a_tenants_annotation_is_no_proof(
    giver: str | None, groups: list[ServiceGroup]
) -> None:
    assert restarted(service(NODE, writer="cloud-controller-manager", giver=giver), *groups) == set()


def test_what_another_controller_wrote_over_the_addresses_of_a_pool_does_not_count_for_what_we_gave() -> None:
    assert restarted(service(NODE, VIP, writer="k3s", giver="purelb-allocator"), group()) == {VIP}


def test_nor_does_it_after_a_time_without_its_group() -> None:
    table = WantedTable()
    table.replace_groups([])
    table.set_service(service(NODE, writer="k3s", giver="purelb-allocator"))

    table.set_group(group())

    assert announced(table) == set()
    assert table.foreign(KEY) == {NODE}


def test_an_address_that_left_its_pool_and_that_somebody_wrote_again_counts_while_an_agent_runs() -> None:
    table = WantedTable()
    table.replace_groups([group()])
    table.set_service(service(VIP, giver="purelb-allocator"))
    table.set_service(service(VIP, writer="somebody", giver="purelb-allocator"))

    table.set_group(group(pool="10.189.0.100-10.189.0.200"))
    assert announced(table) == {VIP}


def test_one_that_the_allocator_noted_counts_for_an_agent_that_starts_then_too() -> None:
    out_of_pool = group(pool="10.189.0.100-10.189.0.200")

    assert restarted(service(VIP, writer="somebody", giver="purelb-allocator", noted=(VIP,)), out_of_pool) == {VIP}


@pytest.mark.parametrize("groups", [[], [external("netbox")], [external("external")]])
def test_beside_what_the_allocator_noted_nothing_counts_that_others_wrote_though_there_is_no_pool_to_look_into(
    groups: list[ServiceGroup],
) -> None:
    assert restarted(service(VIP, NODE, writer="k3s", giver="purelb-allocator", noted=(VIP,)), *groups) == {VIP}


@pytest.mark.parametrize("noter", ["kubectl", "somebody", "allocator"])
def test_what_anybody_else_noted_is_no_proof(noter: str) -> None:
    noted = service(NODE, writer="k3s", giver="purelb-allocator", noted=(NODE,), noter=noter)

    assert restarted(noted, group()) == set()


def test_what_counted_is_no_claim_of_the_next_service_of_that_name() -> None:
    table = WantedTable()
    table.set_service(service(NODE))

    table.set_service(service(NODE, writer="k3s", uid="u2"))

    assert announced(table) == set()


def test_a_group_that_is_heard_of_later_makes_its_addresses_count() -> None:
    table = WantedTable()
    table.set_service(service(VIP, writer="somebody"))
    assert announced(table) == set()

    assert set(table.replace_groups([group()])) == {VIP}
    assert table.foreign(KEY) == set()


def test_a_pool_of_another_group_is_no_proof() -> None:
    table = WantedTable()
    table.set_group(group("other"))
    table.set_service(service(VIP, writer="somebody"))

    assert announced(table) == set()


def test_pinned_addresses_of_several_groups_count() -> None:
    pinned = service(VIP, NODE, writer="somebody", giver="purelb-allocator", group="bgp, nodes")

    assert restarted(pinned, group(), group("nodes", "10.189.1.0-10.189.1.255")) == {VIP}
    assert restarted(pinned, group(), group("other")) == {VIP, NODE}


def foreign(node: str, *views: ServiceView) -> tuple[ForeignAddresses, WantedTable]:
    """What the agent on ``node`` says of foreign addresses, of which one agent says something."""
    wanted = WantedTable()
    made = ForeignAddresses(node, wanted)
    for view in views:
        wanted.set_service(view)
        made.look(view.key)
    return made, wanted


def test_one_of_the_agents_says_so_once() -> None:
    said = []
    for node in ("m", "w11", "w12"):
        made, _ = foreign(node, service(NODE, writer="k3s"))
        made.synced()
        made.members_are(frozenset({"m", "w11", "w12"}))
        said += [text for _, text in made.take()]
        assert made.take() == []
        assert made.count == 1

    assert said == [
        "k3s wrote 10.31.188.1 into the status of this Service: PureLB didn't give it that, leaves it alone and "
        "doesn't announce it; have one controller serve the Service (spec.loadBalancerClass)"
    ]


def test_nothing_is_said_before_the_groups_are_known() -> None:
    made, wanted = foreign("w11", service(VIP, writer="somebody"))
    made.members_are(frozenset({"w11"}))
    wanted.replace_groups([group()])
    made.synced()

    assert made.take() == []
    assert made.count == 0


def test_a_status_that_is_written_again_and_again_is_told_of_when_there_are_others_in_it() -> None:
    made, wanted = foreign("w11")
    made.synced()
    made.members_are(frozenset({"w11"}))
    for address in (NODE, NODE, ip_address("10.31.188.12")):
        wanted.set_service(service(address, writer="k3s"))
        made.look(KEY)

    ((_, text),) = made.take()
    assert "10.31.188.12" in text
    assert made.count == 2


def test_what_is_told_is_what_is_so_by_then() -> None:
    """A status may be another's for a moment, and a group may be heard of, before it is known who the agents are."""
    made, wanted = foreign("w11", service(VIP, NODE, writer="k3s"))
    made.synced()
    wanted.set_group(group())
    made.members_are(frozenset({"w11"}))

    ((_, text),) = made.take()
    assert text.startswith("k3s wrote 10.31.188.1 into the status")


def test_what_is_over_by_then_is_not_told() -> None:
    made, wanted = foreign("w11", service(VIP, writer="k3s"))
    made.synced()
    wanted.set_group(group())
    made.members_are(frozenset({"w11"}))

    assert made.take() == []


def test_when_the_agent_goes_that_was_to_tell_another_one_does() -> None:
    names = [f"w{number}" for number in range(11, 30)]
    speaker = owner(names, str(KEY))
    assert speaker is not None
    others = frozenset(names) - {speaker}
    said = []
    for node in others:
        made, _ = foreign(node, service(NODE, writer="k3s"))
        made.synced()
        for members in (frozenset(names), others, others):
            made.members_are(members)
            said += [text for _, text in made.take()]

    assert len(said) == 1
