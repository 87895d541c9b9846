"""Who may have taken an address away, from what a node shows, and the setting that stops it."""

from __future__ import annotations

import pytest

from lbnodeagent.kernel.addressmanagers import (
    DHCLIENT,
    DHCPCD,
    NETWORK_MANAGER,
    NETWORKD,
    Manager,
    Suspects,
    advice,
    suspects,
)
from lbnodeagent.kernel.nodesockets import Sockets

# The groups to which Debian 12's programs listen, as /proc/net/netlink showed them: 252, 1.42.4, 9.4.1.
LISTENERS = {33: 0x800405DD, 32: 0x405D1, 31: 0x555, 2664450184: 0}
BUSY = Sockets(LISTENERS)


def nobody(_: int) -> str | None:
    return None


@pytest.mark.parametrize(
    ("name", "managers"),
    [("systemd-network", (NETWORKD,)), ("NetworkManager", (NETWORK_MANAGER,)), ("dhclient", (DHCLIENT,)), ("ip", ())],
)
def test_a_process_that_can_be_seen_is_named(name: str, managers: tuple[Manager, ...]) -> None:
    found = suspects(BUSY, 4711, lambda pid: name if pid == 4711 else None)

    assert found == Suspects(name, managers, is_certain=True)


@pytest.mark.parametrize(("by", "manager"), [(33, NETWORKD), (32, NETWORK_MANAGER), (31, DHCPCD)])
def test_else_the_program_that_asked_is_known_by_what_it_listens_to(by: int, manager: Manager) -> None:
    assert suspects(BUSY, by, nobody) == Suspects(managers=(manager,), is_certain=True)


@pytest.mark.parametrize("by", [4711, 2664450184])
def test_a_command_beside_an_open_dhcp_client_is_one_of_its_scripts(by: int) -> None:
    assert suspects(Sockets(LISTENERS, has_open_dhcp_client=True), by, nobody) == Suspects(managers=(DHCLIENT,))


@pytest.mark.parametrize(
    ("sockets", "managers"),
    [
        (Sockets({33: 0x800405DD}), (NETWORKD,)),
        (Sockets({32: 0x405D1}), (NETWORK_MANAGER,)),
        (Sockets({31: 0x555}), ()),  # dhcpcd takes nothing away but its own
        (Sockets(unix=frozenset({"/run/systemd/netif/io.systemd.Network"})), (NETWORKD,)),
        (Sockets({33: 0x800405DD}, frozenset({"/run/systemd/netif/io.systemd.Network"})), (NETWORKD,)),
        (Sockets(unix=frozenset({"/run/NetworkManager/private-dhcp"})), (NETWORK_MANAGER,)),
        (Sockets(unix=frozenset({"/run/systemd/notify"})), ()),
        (Sockets({5: 0x800406FD}), ()),  # a routing daemon listens to multicast routes too
        (Sockets({5: 0x111}), ()),
    ],
)
def test_else_it_may_be_what_manages_interfaces_here(sockets: Sockets, managers: tuple[Manager, ...]) -> None:
    assert suspects(sockets, 4711, nobody) == Suspects(managers=managers)


def test_a_removal_of_the_kernels_own_may_have_been_caused_by_any_of_them() -> None:
    found = suspects(Sockets({0: 0, 32: 0x405D1}, has_open_dhcp_client=True), 0, nobody)

    assert found == Suspects(managers=(NETWORK_MANAGER, DHCLIENT))


def test_a_port_that_is_no_process_id_is_not_looked_up() -> None:
    assert suspects(Sockets(), 0xF2B1C0DE, lambda _: "dhclient") == Suspects()


def test_the_advice_names_the_setting() -> None:
    assert advice("eth0", Suspects("systemd-network", (NETWORKD,), is_certain=True)) == (
        'it was process "systemd-network"; what stops it is, for systemd-networkd: '
        "KeepConfiguration=yes in the [Network] section of its .network file"
    )
    assert advice("eth0", Suspects(managers=(NETWORK_MANAGER,), is_certain=True)).startswith(
        "it was NetworkManager; what stops it is, for NetworkManager: "
        "unmanaged-devices=interface-name:eth0 in the [keyfile] section of NetworkManager.conf"
    )
    assert advice("eth0", Suspects(managers=(NETWORKD, DHCLIENT))).startswith(
        "this node runs systemd-networkd or a DHCP client with scripts, as dhclient; what stops it is, for systemd-"
    )
    assert 'process "ip"' in advice("eth0", Suspects("ip", is_certain=True))
    assert "KeepConfiguration" in advice("eth0", Suspects())
