"""Which plan a VIP has, by the annotations of those who have it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from lbnodeagent.kubernetes.plans import Plans
from lbnodeagent.kubernetes.viptable import WantedTable
from lbnodeagent.tables import WantedVip
from purelb import names
from purelb.services import ServiceKey, ServiceView, view_service
from tests.lbnodeagent.stage.api import service

VIP = ip_address("192.168.1.5")
A, B = ServiceKey("default", "a"), ServiceKey("default", "b")


def view(key: ServiceKey, placement: str | None) -> ServiceView:
    body = service(VIP, 1, "Cluster", {} if placement is None else {names.PLACEMENT: placement})
    body["metadata"]["name"] = key.name
    return view_service(body)


def test_the_plan_is_the_services() -> None:
    plans = Plans()
    plans.set_service(view(A, f"{VIP}=w11,w12"))

    assert plans.of(VIP, [A]) == ("w11", "w12")
    assert plans.of(VIP, [B]) == ()

    plans.set_service(view(A, None))
    assert plans.of(VIP, [A]) == ()


def test_of_sharers_that_contradict_each_other_the_first_speaks() -> None:
    plans = Plans()
    plans.set_service(view(A, f"{VIP}=w11"))
    plans.set_service(view(B, f"{VIP}=w12"))

    assert plans.of(VIP, [A, B]) == ("w11",)
    plans.drop_service(A)
    assert plans.of(VIP, [A, B]) == ("w12",)


def test_a_plan_for_an_address_that_the_service_does_not_have_is_none() -> None:
    plans = Plans()
    plans.set_service(view(A, "192.168.1.6=w11"))

    assert plans.of(ip_address("192.168.1.6"), [A]) == ()


def test_an_address_is_confined_to_the_nodes_of_its_group_and_with_policy_local_to_those_with_endpoints() -> None:
    chosen = frozenset({"w11", "w12"})
    one = WantedVip(VIP, (A,), announcers=chosen)

    assert one.electorate == chosen
    assert WantedVip(VIP, (A,)).electorate is None
    assert replace(one, endpoints=frozenset({"w12", "w13"}), allow_local=True).electorate == frozenset({"w12"})
    assert replace(one, endpoints=frozenset({"w12", "w13"})).electorate == chosen


def test_the_table_tells_of_a_plan_when_it_changes() -> None:
    table = WantedTable()
    key = view(A, None).key
    table.set_service(view(key, f"{VIP}=w11,w12"))
    assert table.table[VIP].plan == ("w11", "w12")

    assert table.set_service(view(key, f"{VIP}=w11,w12")) == {}
    changed = table.set_service(view(key, f"{VIP}=w12"))[VIP]
    assert changed is not None
    assert changed.plan == ("w12",)
    assert table.drop_service(key) == {VIP: None}
