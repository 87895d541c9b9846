"""Looks at the node: settings and tables below /proc, a NIC's own values. Owns reading; finds nothing wrong.

What can't be read counts as the kernel's harmless value. A look is a few dozen small files and blocks; it's run in a
thread of its own.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Set
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Final, NamedTuple

from lbnodeagent.checkup import networkd
from lbnodeagent.checkup.facts import Expected, Facts, Nic
from lbnodeagent.checkup.ports import Protocol, waiting
from lbnodeagent.checkup.ways import SIOCGIFHWADDR, SIOCGIFMTU, ask_of_interface, drops_far
from lbnodeagent.kernel.addressmanagers import NETWORKD, runs
from lbnodeagent.kernel.nodesockets import read_sockets
from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress, IPNetwork, parse_address
from purelb.errors import AddressError

_PROC: Final = Path("/proc")
_MOST: Final = 4096
"""Lines of a table that are read: a wire can be large."""
_COMPLETE: Final = 0x2
"""ATF_COM of /proc/net/arp: the host has answered."""
_UP, _VIA_GATEWAY = 0x1, 0x2
"""RTF_UP, RTF_GATEWAY."""


class Route(NamedTuple):
    """A line of the main table."""

    interface: str
    network: IPNetwork
    gateway: IPv4Address | None


def look(expected: Expected, proc: Path = _PROC, sockets: Callable[[Protocol, int], Set[int]] = waiting) -> Facts:
    """What the node shows now, but for what is to be asked of others; ``sockets``: those that wait at a port."""
    routes = list(_routes(proc / "net/route"))
    on: dict[str, list[IPNetwork]] = {}
    for route in routes:
        if route.gateway is None and route.network in expected.subnets:
            on.setdefault(route.interface, []).append(route.network)
    on6: dict[str, list[IPNetwork]] = {}
    wanted = {(int(one.network_address), one.prefixlen): one for one in expected.subnets if one.version == 6}
    for name, network in _routes6(proc / "net/ipv6_route") if wanted else ():
        if network in wanted:
            on6.setdefault(name, []).append(wanted[network])
    defaults = frozenset(route.interface for route in routes if route.network.prefixlen == 0)
    filters = proc / "sys/net/netfilter"
    return Facts(
        nics=tuple(
            _nic(name, on.get(name, ()), on6.get(name, ()), defaults, proc) for name in dict.fromkeys((*on, *on6))
        ),
        gateways=frozenset(
            route.gateway for route in routes if route.gateway is not None and route.network.prefixlen == 0
        ),
        tracked=_number(filters / "nf_conntrack_count", 0),
        most_tracked=_number(filters / "nf_conntrack_max", 0),
        neighbours=dict(_neighbours(proc / "net/arp")),
        kernel=os.uname().release,
        is_ledger_lost=expected.ledger is not None and _is_of_container(expected.ledger, proc / "self/mountinfo"),
        interfaces=frozenset(line.split(":")[0].strip() for line in _lines(proc / "net/dev")[2:]),
        taken=tuple(_taken(expected, proc, sockets)),
    )


def _nic(name: str, subnets: Iterable[IPNetwork], subnets6: Iterable[IPNetwork], defaults: Set[str], proc: Path) -> Nic:
    ipv4, ipv6 = proc / "sys/net/ipv4/conf", proc / "sys/net/ipv6/conf"

    def greater(setting: str) -> int:
        """The kernel goes by the greater one of ``all`` and the interface's."""
        return max(_number(ipv4 / of / setting, 0) for of in ("all", name))

    return Nic(
        name,
        tuple(subnets),
        tuple(subnets6),
        mtu=_mtu(name),
        mac=_mac(name),
        arp_ignore=greater("arp_ignore"),
        arp_announce=greater("arp_announce"),
        proxies_arp=greater("proxy_arp") > 0,
        forwards=_number(ipv4 / name / "forwarding", 1) > 0,
        has_ipv6=_number(ipv6 / name / "disable_ipv6", 0) == 0,
        drops_far=greater("rp_filter") == 1 and drops_far(name),
        harmful_file=_harmful_file(name, proc),
        has_default=not defaults or name in defaults,
    )


def _routes(file: Path) -> Iterator[Route]:
    """Of proc_pid_net(5): numbers in hexadecimal, as this machine has them in memory."""
    for line in _lines(file)[1:]:
        fields = line.split()
        if len(fields) < 8 or not int(fields[3], 16) & _UP:
            continue
        destination, gateway, mask = (IPv4Address(struct.pack("=I", int(fields[at], 16))) for at in (1, 2, 7))
        network = ip_network(f"{destination}/{mask}", strict=False)
        yield Route(fields[0], network, gateway if int(fields[3], 16) & _VIA_GATEWAY else None)


def _harmful_file(name: str, proc: Path) -> str:
    """Where systemd-networkd runs here: the files of a machine say nothing of a namespace in which it doesn't."""
    try:
        index = socket.if_nametoindex(name)
    except OSError:
        return ""
    is_noted = networkd.state_of(index).exists()
    return networkd.harmful_file(index) if is_noted and runs(NETWORKD, read_sockets(proc / "net")) else ""


def _routes6(file: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """The networks on the wires, each by its interface; of proc_pid_net(5). Each address is one too: there are many."""
    for line in _lines(file):
        fields = line.split()
        if len(fields) < 10 or int(fields[8], 16) & (_UP | _VIA_GATEWAY) != _UP:
            continue
        yield fields[9], (int(fields[0], 16), int(fields[1], 16))


def _neighbours(file: Path) -> Iterator[tuple[IPAddress, str]]:
    for line in _lines(file)[1:]:
        fields = line.split()
        if len(fields) >= 4 and int(fields[2], 16) & _COMPLETE:
            try:
                yield parse_address(fields[0]), fields[3]
            except AddressError:
                continue


def _is_of_container(folder: Path, mounts: Path) -> bool:
    """Whether a folder is on a container's own file system (proc_pid_mountinfo(5)), and no volume's."""
    found, kind = Path(), ""
    for line in _lines(mounts):
        before, _, after = line.partition(" - ")
        fields, of = before.split(), after.split()
        if len(fields) > 4 and of and folder.is_relative_to(fields[4]) and len(fields[4]) >= len(str(found)):
            found, kind = Path(fields[4]), of[0]
    return str(found) == "/" and kind == "overlay"


def _taken(expected: Expected, proc: Path, sockets: Callable[[Protocol, int], Set[int]]) -> Iterator[str]:
    """Our ports at which sockets of other programs listen."""
    own = {link for file in (proc / "self/fd").glob("*") if (link := _link(file)).startswith("socket:")}
    ours: tuple[tuple[Protocol, int], ...] = (
        ("TCP", expected.gossip_port),
        ("UDP", expected.gossip_port),
        ("TCP", expected.metrics_port),
    )
    for protocol, port in ours:
        if any(f"socket:[{inode}]" not in own for inode in sockets(protocol, port)):
            yield f"{protocol} {port}"


def _link(file: Path) -> str:
    try:
        return os.readlink(file)  # noqa: PTH115 - it's no path
    except OSError:
        return ""


def _mtu(name: str) -> int | None:
    answer = ask_of_interface(name, SIOCGIFMTU)
    mtu: int | None = struct.unpack_from("=i", answer, 16)[0] if answer else None
    return mtu


def _mac(name: str) -> Mac | None:
    answer = ask_of_interface(name, SIOCGIFHWADDR)
    return Mac(answer[18:24]) if answer and any(answer[18:24]) else None


def has(address: IPAddress) -> bool:
    """Whether an address is this node's own, on whichever interface."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            asking.bind((str(address), 0))
        except OSError:
            return False
    return True


def _number(file: Path, otherwise: int) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return otherwise


def _lines(file: Path) -> list[str]:
    try:
        with file.open(errors="replace") as text:
            return [line for _, line in zip(range(_MOST), text, strict=False)]
    except OSError:
        return []
