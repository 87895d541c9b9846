"""Which program of this node may take addresses from an interface, by its sockets, and the setting that stops it. Pure.

The kernel says with each removal which netlink socket asked for it. The programs that manage interfaces ask by the
socket by which they listen, each to groups of its own; what asks by a socket that listens to nothing, and is gone soon,
is a command, as the scripts of DHCP clients run it. Each sign and each setting was tried with the program itself
(tests/system/test_node_software.py, test_address_advice.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lbnodeagent.kernel.nodesockets import Sockets

# Multicast groups of rtnetlink, as the bits of linux/rtnetlink.h.
_NOTIFY: Final = 1 << 1
_NEIGHBOURS: Final = 1 << 2
_ADDRESSES: Final = 1 << 4 | 1 << 8
_MULTICAST_ROUTES: Final = 1 << 5 | 1 << 9
_RULES: Final = 1 << 7 | 1 << 18
_TELLING: Final = _NOTIFY | _NEIGHBOURS | _ADDRESSES | _MULTICAST_ROUTES | _RULES
"""Those that tell them apart: all listen to links and routes, and the rest differs from version to version."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A program that manages interfaces, and the setting with which it leaves our addresses alone."""

    name: str
    setting: str
    """``{interface}`` stands for the interface."""


NETWORKD: Final = Manager("systemd-networkd", "KeepConfiguration=yes in the [Network] section of its .network file")
"""``static`` doesn't keep addresses that have a lifetime, as ours have (tried with 252)."""
NETWORK_MANAGER: Final = Manager(
    "NetworkManager",
    "unmanaged-devices=interface-name:{interface} in the [keyfile] section of NetworkManager.conf, once something else"
    " gives the node its own address",
)
DHCPCD: Final = Manager(
    "dhcpcd", "denyinterfaces {interface} in dhcpcd.conf, once something else gives the node its own address"
)
DHCLIENT: Final = Manager(
    "a DHCP client with scripts, as dhclient",
    "a static address for the node, or the hook of PureLB's docs/failover.md that flushes nothing",
)
_BY_GROUPS: Final = {
    _NEIGHBOURS | _ADDRESSES | _RULES: NETWORKD,
    _ADDRESSES | _RULES: NETWORK_MANAGER,
    _NEIGHBOURS | _ADDRESSES: DHCPCD,
}
_BY_PATH: Final = (("/run/systemd/netif/", NETWORKD), ("/run/NetworkManager/", NETWORK_MANAGER))
_BY_PROCESS: Final = {
    "systemd-network": NETWORKD,  # the kernel keeps 15 characters of a name
    "NetworkManager": NETWORK_MANAGER,
    "dhcpcd": DHCPCD,
    "dhclient": DHCLIENT,
    "dhclient-script": DHCLIENT,
    "udhcpc": DHCLIENT,
}


@dataclass(frozen=True, slots=True)
class Suspects:
    """Who it was, or may have been."""

    process: str = ""
    """The name of the process that did it; empty if it can't be told."""
    managers: tuple[Manager, ...] = ()
    """What it is or, if ``is_certain`` is false, what may have done it, as it manages interfaces on this node."""
    is_certain: bool = False


def runs(manager: Manager, sockets: Sockets) -> bool:
    """Whether a program listens as this one does."""
    return any(_BY_GROUPS.get(bits & _TELLING) is manager for bits in sockets.listeners.values())


def suspects(sockets: Sockets, by: int, process: Callable[[int], str | None]) -> Suspects:
    """Who took an address away. ``by``: the netlink port of who asked the kernel; 0: the kernel itself, or unknown."""
    name = (process(by) if 0 < by < 1 << 22 else None) or ""
    if name:
        managers = (_BY_PROCESS[name],) if name in _BY_PROCESS else ()
        return Suspects(name, managers, is_certain=True)
    asked = _BY_GROUPS.get(sockets.listeners.get(by, 0) & _TELLING)
    if asked is not None:
        return Suspects(managers=(asked,), is_certain=True)
    if by and not sockets.listeners.get(by) and sockets.has_open_dhcp_client:
        return Suspects(managers=(DHCLIENT,))
    found = [manager for prefix, manager in _BY_PATH if any(path.startswith(prefix) for path in sockets.unix)]
    groups = {bits & _TELLING for bits in sockets.listeners.values()}
    # dhcpcd takes away what it added, and nothing else: it is named when it asked, not because it is there.
    found += [manager for bits, manager in _BY_GROUPS.items() if bits in groups and manager != DHCPCD]
    if sockets.has_open_dhcp_client:
        found.append(DHCLIENT)
    return Suspects(managers=tuple(dict.fromkeys(found)))


def advice(interface: str, found: Suspects) -> str:
    """One clause that says who takes addresses from ``interface``, and what stops it."""
    settings = " or ".join(f"{one.name}: {one.setting.format(interface=interface)}" for one in found.managers)
    which = " or ".join(one.name for one in found.managers)
    match found:
        case Suspects(process="", managers=()):
            return (
                "if systemd-networkd manages the interface, KeepConfiguration=yes in its .network file stops that; "
                "else look at NetworkManager and at DHCP client scripts"
            )
        case Suspects(process="", is_certain=True):
            return f"it was {which}; what stops it is, for {settings}"
        case Suspects(process=""):
            return f"this node runs {which}; what stops it is, for {settings}"
        case Suspects(process, ()):
            return f'it was process "{process}"; let it leave the addresses of {interface} alone that it did not add'
        case Suspects(process):
            return f'it was process "{process}"; what stops it is, for {settings}'
