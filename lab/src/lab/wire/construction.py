"""Makes the links of a new lab: bridges and cables, and on each host what is on top of them, addresses and routes.

Each function works on the namespace that its thread is in, and is told what there is to be. `network` owns namespaces.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping
from typing import assert_never

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lab.errors import StartFailed
from lab.machine.namespaces import write_sysctls
from lab.wire import sysctls
from lab.wire.hostroutes import Route
from lab.wire.links import Kind, Layer
from lab.wire.topology import MAIN_TABLE, Host, Topology

NO_DAD = 0x02  # IFA_F_NODAD, linux/if_addr.h: a host's own address was looked after long ago
_AFTER_MAIN = 32767  # of a rule: behind the main table's own, 32766 (ip-rule(8))
_BRIDGE = {"br_forward_delay": 0, "br_stp_state": 0, "br_mcast_snooping": 0}
_ACTIVE_BACKUP = 1  # BOND_MODE_ACTIVEBACKUP, linux/if_bonding.h
_BOND_MONITOR = 100  # milliseconds between looks at the cables' carriers


def build_bridges(topology: Topology, hosts: Mapping[str, int]) -> None:
    """The switches, and cables from them to the hosts, whose namespaces these are. Raises StartFailed."""
    write_sysctls({"net.ipv6.conf.default.disable_ipv6": "1"})
    with IPRoute() as ip:
        bridges = {}
        for subnet in topology.subnets:
            ip.link("add", ifname=subnet.name, kind="bridge", **_BRIDGE)
            bridges[subnet.name] = up(ip, subnet.name)
        for host in topology.hosts:
            for cable in host.cables:
                peer = {"ifname": cable.link, "net_ns_fd": hosts[host.name], "address": cable.mac}
                ip.link("add", ifname=cable.port, kind="veth", peer=peer)
                up(ip, cable.port)
            for nic in host.nics:
                for cable, port in zip(nic.cables, nic.ports, strict=True):
                    if nic.tag is not None:  # the switch takes the tag off: on its subnet frames have none
                        _add_layer(ip, Layer(Kind.VLAN, port, (cable.port,), nic.tag), host)
                    (index,) = ip.link_lookup(ifname=port)
                    ip.link("set", index=index, master=bridges[nic.subnet.name], state="up")


def build_host(host: Host, routes: Iterable[Route]) -> None:
    """All of a host but its cables. Raises StartFailed."""
    write_sysctls(sysctls.of_host(host))
    with IPRoute() as ip:
        up(ip, "lo")
        links = {}
        for nic in host.nics:
            for layer in nic.layers:
                _add_layer(ip, layer, host, nic.mac)
            (index,) = ip.link_lookup(ifname=nic.name)
            for one in nic.addresses:
                more: dict[str, str | int] = {"flags": NO_DAD} if one.version == 6 else {}
                if one.version == 4 and not nic.is_alone:
                    more = {"broadcast": str(one.network.broadcast_address)}
                ip.addr("add", index=index, address=str(one.ip), prefixlen=one.network.prefixlen, **more)
            links[nic.name] = up(ip, nic.name)
        for route in routes:
            _add_route(ip, route, links)
        if host.default_table not in (None, MAIN_TABLE):
            for family in (socket.AF_INET, socket.AF_INET6):
                ip.rule("add", family=family, table=host.default_table, priority=_AFTER_MAIN)


def _add_layer(ip: IPRoute, layer: Layer, host: Host, mac: str | None = None) -> None:
    """Make a link on top of those below, all up then. Raises StartFailed where the kernel has no driver for it."""
    below = [ip.link_lookup(ifname=name)[0] for name in layer.below]
    options: dict[str, str | int] = {"address": mac} if mac is not None else {}
    match layer.kind:
        case Kind.BOND:
            options |= {"bond_mode": _ACTIVE_BACKUP, "bond_miimon": _BOND_MONITOR}
        case Kind.VLAN:
            options |= {"link": below[0], "vlan_id": layer.tag or 0}
        case Kind.BRIDGE:
            options |= _BRIDGE
        case _:
            assert_never(layer.kind)
    try:
        ip.link("add", ifname=layer.name, kind=layer.kind.value, **options)
    except NetlinkError as failure:
        if failure.code != errno.EOPNOTSUPP:
            raise
        raise StartFailed(
            f"{layer.name} of {host.name} is a {layer.kind.value}, and this kernel has no driver for it: "
            f"load {layer.kind.driver}, or run it on a kernel of `make kernels`, which has it"
        ) from failure
    if layer.kind is not Kind.VLAN:
        (index,) = ip.link_lookup(ifname=layer.name)
        for one in below:  # a bond takes no link that is up
            ip.link("set", index=one, state="down")
            ip.link("set", index=one, master=index)
    for name in layer.below:
        up(ip, name)
    up(ip, layer.name)


def _add_route(ip: IPRoute, route: Route, links: dict[str, int]) -> None:
    flags = {"flags": ["onlink"]} if route.is_on_link else {}
    where = {"dst": str(route.destination), "table": route.table, **flags}
    hops = [{"gateway": str(hop.gateway), "oif": links[hop.link]} for hop in route.hops]
    if not hops:
        ip.route("add", **where, type="blackhole")
    elif len(hops) == 1:
        ip.route("add", **where, **hops[0])
    else:
        ip.route("add", **where, multipath=hops)


def dead_end(ip: IPRoute, name: str) -> int:
    """The index of a link that holds addresses and leads nowhere, made if need be; it is down, as kube-proxy's is."""
    for index in ip.link_lookup(ifname=name):
        return int(index)
    try:
        ip.link("add", ifname=name, kind="dummy")
    except NetlinkError as failure:
        if failure.code != errno.EOPNOTSUPP:
            raise
        ip.link("add", ifname=name, kind="ifb")  # looks the same
    (index,) = ip.link_lookup(ifname=name)
    return int(index)


def up(ip: IPRoute, name: str) -> int:
    """Switch a link on; its index."""
    (index,) = ip.link_lookup(ifname=name)
    ip.link("set", index=index, state="up")
    return int(index)
