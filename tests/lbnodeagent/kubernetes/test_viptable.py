"""From API objects to wanted VIPs."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from types import FrameType

import pytest

from lbnodeagent.kubernetes.viptable import WantedTable
from purelb.endpoints import EndpointSlice, endpoint_slice
from purelb.servicegroups import ServiceGroup, parse_service_group
from purelb.services import ServiceKey, ServiceView, view_service

VIP = ip_address("10.189.0.0")


def service(
    name: str = "web",
    *,
    ips: tuple[str, ...] = ("10.189.0.0",),
    kind: str = "LoadBalancer",
    policy: str = "Cluster",
    **annotations: str,
) -> ServiceView:
    notes = {f"purelb.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return view_service(
        {
            "metadata": {
                "namespace": "test",
                "name": name,
                "annotations": {"purelb.io/allocated-by": "PureLB", **notes},
            },
            "spec": {"type": kind, "externalTrafficPolicy": policy},
            "status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}},
        }
    )


def group(name: str, aggregation: str, pool: str = "10.189.0.0-10.189.0.255") -> ServiceGroup:
    pools = {"pool": pool, "subnet": "10.189.0.0/16", "aggregation": aggregation}
    return parse_service_group(
        {"metadata": {"name": name, "namespace": "purelb"}, "spec": {"local": {"v4pool": pools}}}
    )


def test_an_announcing_annotation_that_somebody_changes_changes_no_vip() -> None:
    table = WantedTable()
    table.set_service(service())

    assert table.set_service(service(announcing_IPv4="w99,eth0", announcing_IPv6="nonsense")) == {}


def endpoints(name: str, *nodes: tuple[str, dict[str, bool]], slice_name: str = "web-1") -> EndpointSlice:
    body = {
        "metadata": {
            "namespace": "test",
            "name": slice_name,
            "labels": {"kubernetes.io/service-name": name},
        },
        "endpoints": [{"nodeName": node, "conditions": conditions} for node, conditions in nodes],
    }
    found = endpoint_slice(body)
    assert found is not None
    return found


READY = {"ready": True}


def test_a_service_wants_each_of_its_addresses() -> None:
    changes = WantedTable().set_service(service(ips=("10.189.0.0", "fd00::1")))

    assert changes.keys() == {VIP, ip_address("fd00::1")}
    assert all(wanted and wanted.services == (ServiceKey("test", "web"),) for wanted in changes.values())


def test_nothing_is_told_twice() -> None:
    table = WantedTable()
    table.set_service(service())

    assert table.set_service(service()) == {}


def test_a_service_that_another_controller_serves_wants_nothing() -> None:
    assert WantedTable().set_service(service(allocated_by="somebody")) == {}
    unbranded = view_service(
        {
            "metadata": {"namespace": "test", "name": "web"},
            "spec": {"type": "LoadBalancer"},
            "status": {"loadBalancer": {"ingress": [{"ip": "10.189.0.0"}]}},
        }
    )
    assert WantedTable().set_service(unbranded) == {}


def test_a_service_whose_type_changes_wants_nothing_any_more() -> None:
    table = WantedTable()
    table.set_service(service())

    assert table.set_service(service(kind="ClusterIP")) == {VIP: None}


def test_a_deleted_service_wants_nothing_any_more() -> None:
    table = WantedTable()
    table.set_service(service())

    assert table.drop_service(ServiceKey("test", "web")) == {VIP: None}
    assert table.drop_service(ServiceKey("test", "web")) == {}


def test_a_shared_address_is_wanted_until_the_last_service_goes() -> None:
    table = WantedTable()
    table.set_service(service("a"))

    shared = table.set_service(service("b"))[VIP]
    assert shared is not None
    assert [key.name for key in shared.services] == ["a", "b"]

    left = table.drop_service(ServiceKey("test", "a"))[VIP]
    assert left is not None
    assert [key.name for key in left.services] == ["b"]
    assert table.drop_service(ServiceKey("test", "b")) == {VIP: None}


def test_the_pool_of_the_address_gives_its_aggregation() -> None:
    table = WantedTable()
    table.set_service(service())

    learned = table.set_group(group("bgp", "/24"))[VIP]
    changed = table.set_group(group("bgp", "/32"))[VIP]
    gone = table.drop_group("purelb", "bgp")[VIP]

    assert [one.aggregation for one in (learned, changed, gone) if one is not None] == [24, 32, None]


def test_the_group_that_the_service_names_wins_over_another_that_holds_the_address() -> None:
    table = WantedTable()
    table.set_group(group("a", "/24"))
    table.set_group(group("b", "/32"))

    wanted = table.set_service(service(allocated_from="b"))[VIP]

    assert wanted is not None
    assert wanted.aggregation == 32


def test_with_policy_local_the_nodes_with_ready_endpoints_are_known() -> None:
    table = WantedTable()
    first = table.set_service(service(policy="Local"))[VIP]
    assert first is not None
    assert first.endpoints == frozenset()

    changed = table.set_slice(
        endpoints(
            "web",
            ("n1", READY),
            ("n2", {"ready": False}),
            ("n3", {"ready": True, "terminating": True}),
            ("n4", {}),
        )
    )[VIP]

    assert changed is not None
    assert changed.endpoints == frozenset({"n1", "n4"})


def test_endpoints_of_several_slices_count_together_and_go_with_their_slice() -> None:
    table = WantedTable()
    table.set_service(service(policy="Local"))
    table.set_slice(endpoints("web", ("n1", READY), slice_name="one"))
    table.set_slice(endpoints("web", ("n2", READY), slice_name="two"))

    left = table.drop_slice("test", "one")[VIP]

    assert left is not None
    assert left.endpoints == frozenset({"n2"})


def test_with_policy_cluster_endpoints_do_not_matter() -> None:
    table = WantedTable()
    table.set_service(service())

    assert table.set_slice(endpoints("web", ("n1", READY))) == {}


def test_a_shared_address_had_better_be_where_all_its_local_services_have_endpoints() -> None:
    table = WantedTable()
    table.set_service(service("a", policy="Local"))
    table.set_service(service("b", policy="Local"))
    table.set_slice(endpoints("a", ("n1", READY), ("n2", READY), slice_name="a"))

    both = table.set_slice(endpoints("b", ("n2", READY), ("n3", READY), slice_name="b"))[VIP]

    assert both is not None
    assert (both.endpoints, both.preferred) == (frozenset({"n1", "n2"}), frozenset({"n2"}))


@pytest.mark.parametrize("nodes", [(), (("n9", READY),)])
def test_who_takes_policy_local_later_takes_the_address_from_no_node_where_another_needs_it(
    nodes: tuple[tuple[str, dict[str, bool]], ...],
) -> None:
    table = WantedTable()
    table.set_service(service("victim"))
    table.set_service(service("a"))
    table.set_slice(endpoints("a", *nodes))

    table.set_service(service("a", policy="Local"))

    wanted = table.table[VIP]
    assert wanted.endpoints is None
    assert wanted.preferred == (frozenset({"n9"}) if nodes else None)


def test_of_several_with_policy_local_the_oldest_that_has_endpoints_is_served() -> None:
    table = WantedTable()
    old = replace(service("victim", policy="Local"), created=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    new = replace(service("a", policy="Local"), created=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))
    table.set_service(new)
    table.set_service(old)
    table.set_slice(endpoints("a", ("n9", READY), slice_name="a"))
    assert table.table[VIP].endpoints == frozenset({"n9"})

    table.set_slice(endpoints("victim", ("n1", READY), slice_name="v"))
    assert (table.table[VIP].endpoints, table.table[VIP].preferred) == (frozenset({"n1"}), None)

    table.set_slice(endpoints("a", slice_name="a"))
    assert table.table[VIP].endpoints == frozenset({"n1"})


@pytest.mark.parametrize(
    ("keeps_local", "asks", "electorate"),
    [(True, False, frozenset()), (False, False, None), (False, True, frozenset())],
)
def test_policy_local_holds_on_a_nic_or_only_with_the_users_word(
    keeps_local: bool, asks: bool, electorate: frozenset[str] | None
) -> None:
    local = service(policy="Local", allow_local="false") if asks else service(policy="Local")
    wanted = WantedTable(keeps_local=keeps_local).set_service(local)[VIP]

    assert wanted is not None
    assert wanted.electorate == electorate


SERVING = {"ready": False, "serving": True, "terminating": True}


def test_while_no_endpoint_is_ready_one_that_terminates_and_serves_keeps_the_address() -> None:
    table = WantedTable()
    table.set_service(service(policy="Local"))
    table.set_slice(endpoints("web", ("n1", READY), ("n2", SERVING)))
    assert table.table[VIP].endpoints == frozenset({"n1"})

    table.set_slice(endpoints("web", ("n1", SERVING), ("n2", {"ready": False, "terminating": True})))
    assert table.table[VIP].endpoints == frozenset({"n1"})

    moved = table.set_slice(endpoints("web", ("n1", SERVING), ("n3", READY)))[VIP]
    assert moved is not None
    assert moved.endpoints == frozenset({"n3"})


def test_node_affinity_prefers_the_nodes_with_an_endpoint_but_asks_for_none() -> None:
    table = WantedTable()
    table.set_slice(endpoints("web", ("n1", READY)))
    wanted = table.set_service(service(node_affinity="service-endpoints"))[VIP]

    assert wanted is not None
    assert (wanted.preferred, wanted.endpoints, wanted.electorate) == (frozenset({"n1"}), None, None)
    assert table.needs_endpoints


def test_node_affinity_of_another_value_or_of_a_shared_address_is_ignored() -> None:
    other = WantedTable().set_service(service(node_affinity="yes"))[VIP]
    table = WantedTable()
    table.set_service(service("a", node_affinity="service-endpoints"))
    shared = table.set_service(service("b", node_affinity="service-endpoints"))[VIP]

    assert other is not None
    assert other.preferred is None
    assert shared is not None
    assert shared.preferred is None


def test_a_list_of_slices_replaces_all_that_were_known() -> None:
    table = WantedTable()
    table.set_service(service(policy="Local"))
    table.replace_slices([endpoints("web", ("n1", READY), slice_name="one"), endpoints("web", ("n2", READY))])

    left = table.replace_slices([endpoints("web", ("n2", READY))])[VIP]

    assert left is not None
    assert left.endpoints == frozenset({"n2"})
    gone = table.replace_slices([])[VIP]
    assert gone is not None
    assert gone.endpoints == frozenset()


def test_a_slice_that_is_given_to_another_service_leaves_the_first() -> None:
    table = WantedTable()
    table.set_service(service(policy="Local"))
    table.set_slice(endpoints("web", ("n1", READY)))

    moved = table.set_slice(endpoints("other", ("n1", READY)))[VIP]

    assert moved is not None
    assert moved.endpoints == frozenset()


def test_a_list_of_groups_replaces_all_that_were_known() -> None:
    table = WantedTable()
    table.set_service(service())
    table.replace_groups([group("a", "/24")])

    changed = table.replace_groups([])[VIP]

    assert changed is not None
    assert changed.aggregation is None


def calls(act: Callable[[], object]) -> int:
    """Function calls that it takes."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def test_a_group_whose_status_changes_with_each_allocation_costs_nothing_for_each_vip() -> None:
    table = WantedTable()
    groups = [group("default", "/24"), group("other", "/24", "10.189.1.0-10.189.1.255")]
    table.replace_groups(groups)
    for number in range(200):
        table.set_service(service(f"web-{number}", ips=(f"10.189.0.{number}",), allocated_from="default"))

    again = [group("other", "/24", "10.189.1.0-10.189.1.255"), group("default", "/24")]
    assert calls(lambda: table.set_group(again[1])) < 100
    assert calls(lambda: table.replace_groups(again)) < 100
    assert len(table.set_group(group("default", "/16"))) == 200


def test_a_named_group_is_found_without_a_look_at_the_others() -> None:
    def cost(others: int) -> int:
        table = WantedTable()
        table.replace_groups([group("default", "/24"), *(group(f"other-{number}", "/16") for number in range(others))])
        view = service(allocated_from="default")
        cost = calls(lambda: table.set_service(view))
        assert table.table[VIP].aggregation == 24
        return cost

    assert cost(100) == cost(1)


def test_groups_of_one_name_and_groups_that_nobody_names_are_looked_at_in_the_order_of_their_names() -> None:
    table = WantedTable()
    one, other = group("b", "/24"), group("a", "/16")
    table.replace_groups([one, other, replace(group("b", "/20"), namespace="elsewhere")])

    table.set_service(service())
    assert table.table[VIP].aggregation == 20  # elsewhere/b, purelb/a, purelb/b
    table.drop_group("elsewhere", "b")
    assert table.table[VIP].aggregation == 16
    table.drop_group("purelb", "a")
    assert table.table[VIP].aggregation == 24
    table.drop_group("purelb", "a")
    table.drop_group("purelb", "b")
    assert table.table[VIP].aggregation is None
