"""Which plan a VIP has, by the annotations of those who have it."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.kubernetes.plans import Plans
from lbnodeagent.kubernetes.viptable import WantedTable
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
