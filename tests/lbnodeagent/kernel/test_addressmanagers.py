"""Who may have taken an address away, from what a node shows, and the setting that stops it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lbnodeagent.kernel.addressmanagers import (
    DHCLIENT,
    NETWORK_MANAGER,
    NETWORKD,
    Manager,
    Sockets,
    advice,
    likely_managers,
    read_sockets,
)

# As /proc/net shows them on Debian 12.
UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 16003 /run/systemd/netif/io.systemd.Network
0000000000000000: 00000003 00000000 00000000 0001 03 19771
0000000000000000: 00000002 00000000 00000000 0002 01 16011 /run/systemd/notify
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  512: 0BBC1F0A:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19223 2 0000000000000000 0
"""


def nobody(_: int) -> str | None:
    return None


def test_the_sockets_of_the_network_namespace_are_read(tmp_path: Path) -> None:
    (tmp_path / "unix").write_text(UNIX)
    (tmp_path / "udp").write_text(UDP)

    found = read_sockets(tmp_path)

    assert found.unix == {"/run/systemd/netif/io.systemd.Network", "/run/systemd/notify"}
    assert found.udp_ports == {68}


def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    assert read_sockets(tmp_path / "none") == Sockets()


def test_our_own_namespace_can_be_read(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)

        assert path in read_sockets().unix


@pytest.mark.parametrize(
    ("name", "managers"),
    [("systemd-network", (NETWORKD,)), ("NetworkManager", (NETWORK_MANAGER,)), ("dhclient", (DHCLIENT,)), ("ip", ())],
)
def test_a_process_that_can_be_seen_is_named(name: str, managers: tuple[Manager, ...]) -> None:
    assert likely_managers(Sockets(), 4711, lambda pid: name if pid == 4711 else None) == (name, managers)


@pytest.mark.parametrize(
    ("sockets", "managers"),
    [
        (Sockets(unix=frozenset({"/run/systemd/netif/io.systemd.Network"})), (NETWORKD,)),
        (Sockets(unix=frozenset({"/run/NetworkManager/private-dhcp"})), (NETWORK_MANAGER,)),
        (Sockets(udp_ports=frozenset({68})), (DHCLIENT, NETWORKD, NETWORK_MANAGER)),
        # networkd 252 has no socket with a name, but files in the node's /run.
        (Sockets(udp_ports=frozenset({68}), managers=(NETWORKD,)), (NETWORKD,)),
        # networkd and NetworkManager bring a DHCP client of their own.
        (Sockets(frozenset({"/run/systemd/netif/io.systemd.Network"}), frozenset({68})), (NETWORKD,)),
        (Sockets(unix=frozenset({"/run/systemd/notify"}), udp_ports=frozenset({53})), ()),
    ],
)
def test_else_it_is_what_manages_interfaces_here(sockets: Sockets, managers: tuple[Manager, ...]) -> None:
    assert likely_managers(sockets, 0, nobody) == ("", managers)


def test_a_port_that_is_no_process_id_is_not_looked_up() -> None:
    assert likely_managers(Sockets(), 0xF2B1C0DE, lambda _: "dhclient") == ("", ())


def test_the_advice_names_the_setting() -> None:
    assert advice("eth0", "systemd-network", (NETWORKD,)) == (
        'it was process "systemd-network"; what stops it is, for systemd-networkd: '
        "KeepConfiguration=yes in the [Network] section of its .network file"
    )
    assert advice("eth0", "", (NETWORK_MANAGER,)) == (
        "this node runs NetworkManager; what stops it is, for NetworkManager: "
        "unmanaged-devices=interface-name:eth0 in the [keyfile] section of NetworkManager.conf"
    )
    assert 'process "ip"' in advice("eth0", "ip", ())
    assert "KeepConfiguration" in advice("eth0", "", ())
