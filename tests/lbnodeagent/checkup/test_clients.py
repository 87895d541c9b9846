"""Who comes from far is remembered for some looks, and no longer than the VIP is there."""

from __future__ import annotations

from ipaddress import IPv4Address

from lbnodeagent.checkup.clients import KEPT, Client, Detour, FarClients, detour_of

VIP = IPv4Address("10.31.188.64")
FIRST = Client(IPv4Address("192.168.9.9"), VIP)
OTHER = Client(IPv4Address("192.168.9.10"), VIP)


def test_of_a_nic_the_first_one_stays_while_any_come() -> None:
    clients = FarClients()

    assert clients.seen({"eth1": FIRST}, [VIP]) == {"eth1": FIRST}
    for _ in range(2 * KEPT):
        assert clients.seen({"eth1": OTHER}, [VIP]) == {"eth1": FIRST}


def test_one_that_comes_no_more_is_forgotten_after_some_looks() -> None:
    clients = FarClients()
    clients.seen({"eth1": FIRST}, [VIP])

    kept = [bool(clients.seen({}, [VIP])) for _ in range(KEPT + 1)]

    assert kept == [True] * (KEPT - 1) + [False, False]


def test_without_its_vip_nobody_is_remembered() -> None:
    clients = FarClients()
    clients.seen({"eth1": FIRST}, [VIP])

    assert clients.seen({}, []) == {}
    assert clients.seen({}, [VIP]) == {}


def test_what_leaves_by_another_nic_is_a_detour_unless_answers_are_led_by_a_mark() -> None:
    assert detour_of(FIRST, "eth1", "eth0", []) == Detour(FIRST, "eth1", "eth0")
    assert detour_of(FIRST, "eth1", "eth0", ["eth0", "eth2"]) == Detour(FIRST, "eth1", "eth0")
    assert detour_of(FIRST, "eth1", "eth0", ["eth0", "eth1"]) is None
    assert detour_of(FIRST, "eth1", "eth1", []) is None
    assert detour_of(FIRST, "eth1", None, []) is None, "it can't be told"
