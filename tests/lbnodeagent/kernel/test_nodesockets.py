"""What the tables of sockets of a network namespace say, and whose netlink port a number is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lbnodeagent.kernel.nodesockets import Sockets, read_process, read_sockets

# As /proc/net shows them on Debian 12.
UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 16003 /run/systemd/netif/io.systemd.Network
0000000000000000: 00000003 00000000 00000000 0001 03 19771
0000000000000000: 00000002 00000000 00000000 0002 01 16011 /run/systemd/notify
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  512: {local} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19223 2 0000000000000000 0
"""
NETLINK = """\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
0000000063b9ba7d 0   33         800405dd 0        0        0     2        0        5183248
000000004f2236d9 0   0          00000000 0        0        0     2        0        5183770
0000000060834d74 0   3945906329 00000000 0        0        0     2        0        5177072
0000000054745a75 16  33         00000000 0        0        0     2        0        5183249
"""
IS_AMONG_ALL_PROCESSES = os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"  # noqa: PTH115


def test_the_sockets_of_the_network_namespace_are_read(tmp_path: Path) -> None:
    (tmp_path / "unix").write_text(UNIX)
    (tmp_path / "udp").write_text(UDP.format(local="00000000:0044"))
    (tmp_path / "netlink").write_text(NETLINK)

    found = read_sockets(tmp_path)

    assert found.unix == {"/run/systemd/netif/io.systemd.Network", "/run/systemd/notify"}
    assert found.has_open_dhcp_client
    assert found.listeners == {33: 0x800405DD, 0: 0, 3945906329: 0}


def test_a_dhcp_client_that_waits_at_the_address_it_has_is_not_an_open_one(tmp_path: Path) -> None:
    (tmp_path / "udp").write_text(UDP.format(local="0BBC1F0A:0044"))

    assert not read_sockets(tmp_path).has_open_dhcp_client


def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    assert read_sockets(tmp_path / "none") == Sockets()


def test_our_own_namespace_can_be_read(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with (
        socket.socket(socket.AF_UNIX) as listening,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink,
    ):
        listening.bind(path)
        netlink.bind((0, 1 << 4))
        port = netlink.getsockname()[0]
        found = read_sockets()

    assert path in found.unix
    assert found.listeners[port] == 1 << 4


@pytest.mark.skipif(not IS_AMONG_ALL_PROCESSES, reason="an agent that doesn't see the node's processes")
def test_a_process_of_this_network_is_named() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as beside:
        assert beside.stdout is not None
        beside.stdout.readline()  # before that it may still have the name of who started it

        assert (read_process(beside.pid) or "").startswith("python")

    assert read_process(beside.pid) is None


@pytest.mark.skipif(not IS_AMONG_ALL_PROCESSES, reason="an agent that doesn't see the node's processes")
def test_a_process_may_call_itself_what_is_no_text() -> None:
    renames = "open('/proc/self/comm', 'wb').write(b'\\xff\\xfe'); print(flush=True); input()"
    command = [sys.executable, "-c", renames]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as beside:
        assert beside.stdout is not None
        beside.stdout.readline()

        assert read_process(beside.pid) == "\ufffd\ufffd"


def test_a_port_of_a_process_of_another_network_names_nobody() -> None:
    command = ["unshare", "--user", "--net", sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as elsewhere:
        assert elsewhere.stdout is not None
        elsewhere.stdout.readline()

        assert read_process(elsewhere.pid) is None


def test_a_port_of_a_process_that_counts_in_a_pid_namespace_of_its_own_names_nobody() -> None:
    command = [
        "unshare",
        "--user",
        "--pid",
        "--fork",
        "--kill-child",
        sys.executable,
        "-c",
        "print(flush=True); input()",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as container:
        assert container.stdout is not None
        container.stdout.readline()
        (inside,) = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()

        assert read_process(int(inside)) is None
