"""What on this node may take addresses from an interface, as far as its network namespace shows, and what stops it.

An agent in a pod sees no processes of the node, but it shares the network namespace: there are the sockets by which the
programs that manage interfaces can be told (proc_pid_net(5)). ``read_sockets`` reads, ``likely_managers`` decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_INITIAL_PID_NAMESPACE: Final = "pid:[4026531836]"
_DHCP_CLIENT_PORT: Final = 68


@dataclass(frozen=True, slots=True)
class Manager:
    """A program that manages interfaces, and the setting with which it leaves our addresses alone."""

    name: str
    setting: str
    """``{interface}`` stands for the interface."""


NETWORKD: Final = Manager("systemd-networkd", "KeepConfiguration=yes in the [Network] section of its .network file")
"""``static`` doesn't keep addresses that have a lifetime, as ours have; ``yes`` and ``dhcp`` do (tried with 252)."""
NETWORK_MANAGER: Final = Manager(
    "NetworkManager", "unmanaged-devices=interface-name:{interface} in the [keyfile] section of NetworkManager.conf"
)
DHCPCD: Final = Manager("dhcpcd", "denyinterfaces {interface} in dhcpcd.conf, with a static address for the node")
DHCLIENT: Final = Manager("a DHCP client", "a static address for the node, or a client script that flushes nothing")
_BY_SOCKET: Final = (
    ("/run/systemd/netif/", NETWORKD),
    ("/run/NetworkManager/", NETWORK_MANAGER),
    ("/run/dhcpcd/", DHCPCD),
    ("/run/dhcpcd.", DHCPCD),
)
_BY_PROCESS: Final = {
    "systemd-network": NETWORKD,  # the kernel keeps 15 characters of a name
    "NetworkManager": NETWORK_MANAGER,
    "dhcpcd": DHCPCD,
    "dhclient": DHCLIENT,
    "dhclient-script": DHCLIENT,
    "udhcpc": DHCLIENT,
}


_BY_FOLDER: Final = (
    (Path("/run/systemd/netif/links"), NETWORKD),
    (Path("/run/NetworkManager/devices"), NETWORK_MANAGER),
)
"""Of each link one file, where the agent sees the node's /run: networkd 252 has no socket with a name."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """What the namespace shows."""

    unix: frozenset[str] = frozenset()
    """Paths of Unix sockets."""
    udp_ports: frozenset[int] = frozenset()
    """Local IPv4 ports."""
    managers: tuple[Manager, ...] = ()
    """Those that have files about links in the node's /run."""


def read_sockets(network: Path = _PROC / "net") -> Sockets:
    """The sockets of our network namespace; what can't be read is left out."""
    unix = frozenset(fields[7] for line in _lines(network / "unix") if len(fields := line.split()) > 7)
    local = [line.split()[1].rpartition(":")[2] for line in _lines(network / "udp") if len(line.split()) > 1]
    return Sockets(unix, frozenset(int(port, 16) for port in local), _with_files())


def _with_files() -> tuple[Manager, ...]:
    found = []
    for folder, manager in _BY_FOLDER:
        with suppress(OSError):
            if any(folder.iterdir()):
                found.append(manager)
    return tuple(found)


def read_process(pid: int) -> str | None:
    """The name of a process of the node; None if it's gone, or if this agent doesn't see the node's processes."""
    try:
        if os.readlink(_PROC / "self" / "ns" / "pid") != _INITIAL_PID_NAMESPACE:  # noqa: PTH115
            return None
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()[1:]
    except OSError:
        return []


def likely_managers(sockets: Sockets, by: int, process: Callable[[int], str | None]) -> tuple[str, tuple[Manager, ...]]:
    """The name of the process that did it, empty if it can't be told, and the managers that it is or may be.

    ``by``: the netlink port of who asked the kernel, which is its process id for a program's first socket.
    """
    name = (process(by) if 0 < by < 1 << 22 else None) or ""
    if name in _BY_PROCESS:
        return name, (_BY_PROCESS[name],)
    if name:
        return name, ()
    found = [manager for prefix, manager in _BY_SOCKET if any(path.startswith(prefix) for path in sockets.unix)]
    found += sockets.managers
    if not found and _DHCP_CLIENT_PORT in sockets.udp_ports:
        found += (DHCLIENT, NETWORKD, NETWORK_MANAGER)  # each has a client, and without the node's /run looks the same
    return "", tuple(dict.fromkeys(found))


def advice(interface: str, culprit: str, managers: tuple[Manager, ...]) -> str:
    """One clause that says who takes addresses from ``interface``, and what stops it."""
    settings = " or ".join(f"{one.name}: {one.setting.format(interface=interface)}" for one in managers)
    if culprit and managers:
        return f'it was process "{culprit}"; what stops it is, for {settings}'
    if culprit:
        return f'it was process "{culprit}"; let it leave the addresses of {interface} alone that it did not add'
    if managers:
        which = " or ".join(one.name for one in managers)
        return f"this node runs {which}; what stops it is, for {settings}"
    return (
        "if systemd-networkd manages the interface, KeepConfiguration=yes in its .network file stops that; "
        "else look at NetworkManager and at DHCP client scripts"
    )
