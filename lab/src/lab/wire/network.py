"""The wire: hosts as network namespaces on a bridge per subnet, pods behind their nodes, and cable faults.

Owns the namespaces of a lab, and with `construction` its netlink: nothing else imports pyroute2. Everything here blocks
for some milliseconds: call it through `asyncio.to_thread`. Must know neither Kubernetes nor processes.

The bridges live in a namespace of their own and nothing of them in the root namespace, so that any number of
labs with the same addresses run side by side.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lab.errors import StartFailed
from lab.machine import nft
from lab.machine.namespaces import inside, new_network_namespace, write_sysctls
from lab.wire import sysctls
from lab.wire.construction import NO_DAD, build_bridges, build_host, dead_end, up
from lab.wire.hostroutes import routes_of
from lab.wire.partitions import Blocks, ruleset
from lab.wire.topology import Address, Host, Nic, Subnet, Topology

# A pod's side of its veth: as with Calico or Cilium, the gateway is not on any subnet but a fixed neighbour.
_GATEWAYS = {4: "169.254.1.1", 6: "fe80::1"}
_NODE_SIDE_MAC = "ee:ee:ee:ee:ee:ee"
_ETH_P_ALL = 3  # linux/if_ether.h


@dataclass(frozen=True, slots=True)
class PodWire:
    """The namespace of a pod that does not use its node's network."""

    netns: int
    node: str
    link: str


@dataclass(frozen=True, slots=True)
class Stranger:
    """A host on a subnet that is in no topology."""

    netns: int
    port: str
    subnet: Subnet
    mac: bytes = bytes.fromhex("525400666666")


class Network:
    """All namespaces of one lab, held by file descriptors.

    With `routes_are_learned` the router gets no static routes to the nodes' addresses.
    """

    def __init__(self, topology: Topology, *, routes_are_learned: bool = False) -> None:
        self.topology = topology
        self._routes_are_learned = routes_are_learned
        self._bridge = -1
        self._hosts: dict[str, int] = {}
        self._blocks = Blocks()

    def netns(self, host: Host) -> int:
        """File descriptor of the host's namespace; stays this object's own."""
        return self._hosts[host.name]

    def build(self) -> None:
        """Make the bridges and all hosts, with links, addresses and routes. Raises StartFailed."""
        try:
            self._bridge = new_network_namespace()
            for host in self.topology.hosts:
                self._hosts[host.name] = new_network_namespace()
            inside(self._bridge, partial(build_bridges, self.topology, self._hosts))
            for host in self.topology.hosts:
                routes = routes_of(self.topology, host, routes_are_learned=self._routes_are_learned)
                inside(self._hosts[host.name], partial(build_host, host, routes))
        except StartFailed:
            self.close()
            raise
        except (OSError, NetlinkError) as failure:
            self.close()
            raise StartFailed(f"the lab's network: {failure}") from failure

    def close(self) -> None:
        """Let go of all namespaces; the kernel removes those that no process uses."""
        for fd in (*self._hosts.values(), self._bridge):
            if fd >= 0:
                os.close(fd)
        self._hosts.clear()
        self._bridge = -1

    # --- faults ---

    def cut(self, host: Host) -> None:
        """Pull the host's cables: nothing gets in or out, and its NICs have no carrier."""
        self._set_ports(host, "down")

    def plug(self, host: Host) -> None:
        """Put the cables back in."""
        self._set_ports(host, "up")

    @property
    def blocks(self) -> Blocks:
        """What the bridges don't let pass."""
        return self._blocks

    def block(self, blocks: Blocks) -> None:
        """Let the bridges pass all but this. Raises NftFailed."""
        if blocks != self._blocks:
            nft.load(self._bridge, ruleset(self.topology, blocks))
            self._blocks = blocks

    def _set_ports(self, host: Host, state: str) -> None:
        def work() -> None:
            with IPRoute() as ip:
                for cable in host.cables:
                    (index,) = ip.link_lookup(ifname=cable.port)
                    ip.link("set", index=index, state=state)

        inside(self._bridge, work)

    # --- pods ---

    def add_pod(self, node: Host, addresses: Sequence[Address]) -> PodWire:
        """A namespace behind that node with these addresses on its eth0. Raises StartFailed."""
        own = addresses[0].packed[-4:]  # what sets it apart from the node's other pods
        link = f"lxc{own.hex()}"
        netns = new_network_namespace()

        def node_side() -> None:
            with IPRoute() as ip:
                pod_mac = f"0a:58:{own.hex(':')}"
                peer = {"ifname": "eth0", "net_ns_fd": netns, "address": pod_mac}
                ip.link("add", ifname=link, kind="veth", address=_NODE_SIDE_MAC, peer=peer)
                (index,) = ip.link_lookup(ifname=link)
                ip.link("set", index=index, state="up")
                for address in addresses:
                    ip.route("add", dst=f"{address}/{address.max_prefixlen}", oif=index)
                    ip.neigh("add", dst=str(address), lladdr=pod_mac, ifindex=index, state="permanent")

        def pod_side() -> None:
            write_sysctls(sysctls.of_pod())
            with IPRoute() as ip:
                up(ip, "lo")
                index = up(ip, "eth0")
                for address in addresses:
                    gateway = _GATEWAYS[address.version]
                    ip.addr("add", index=index, address=str(address), prefixlen=address.max_prefixlen)
                    ip.neigh("add", dst=gateway, lladdr=_NODE_SIDE_MAC, ifindex=index, state="permanent")
                    default = "0.0.0.0/0" if address.version == 4 else "::/0"
                    ip.route("add", dst=default, gateway=gateway, oif=index, flags=["onlink"])

        try:
            inside(self.netns(node), node_side)
            inside(netns, pod_side)
        except (OSError, NetlinkError) as failure:
            os.close(netns)
            raise StartFailed(f"the network of pod {addresses[0]} on {node.name}: {failure}") from failure
        return PodWire(netns, node.name, link)

    def remove_pod(self, pod: PodWire) -> None:
        """Delete the pod's wire and let go of its namespace."""

        def work() -> None:
            with IPRoute() as ip:
                for index in ip.link_lookup(ifname=pod.link):
                    try:
                        ip.link("del", index=index)
                    except NetlinkError as failure:
                        # The kernel may have been quicker: it removes the wire of a namespace that nobody uses.
                        if failure.code != errno.ENODEV:
                            raise

        netns = self._hosts.get(pod.node)
        if netns is not None:
            inside(netns, work)
        os.close(pod.netns)

    # --- addresses of others' ---

    def bind(self, host: Host, link: str, addresses: Set[Address]) -> None:
        """Have exactly these on a link of the host's that leads nowhere, made if need be. Raises StartFailed."""

        def work() -> None:
            with IPRoute() as ip:
                index = dead_end(ip, link)
                there = {ip_address(one.get_attr("IFA_ADDRESS")) for one in ip.get_addr(index=index)}
                for address in there - addresses:
                    ip.addr("del", index=index, address=str(address), prefixlen=address.max_prefixlen)
                for address in addresses - there:
                    ip.addr("add", index=index, address=str(address), prefixlen=address.max_prefixlen)

        try:
            inside(self.netns(host), work)
        except (OSError, NetlinkError) as failure:
            raise StartFailed(f"{link} of {host.name}: {failure}") from failure

    # --- strangers ---

    def add_stranger(self, subnet: Subnet) -> Stranger:
        """A host on that subnet that nobody asked for, with no address of its own. Raises StartFailed."""
        stranger = Stranger(new_network_namespace(), f"odd-{subnet.name}"[:15], subnet)

        def switch_side() -> None:
            with IPRoute() as ip:
                (bridge,) = ip.link_lookup(ifname=subnet.name)
                peer = {"ifname": "eth0", "net_ns_fd": stranger.netns, "address": stranger.mac.hex(":")}
                ip.link("add", ifname=stranger.port, kind="veth", peer=peer)
                (port,) = ip.link_lookup(ifname=stranger.port)
                ip.link("set", index=port, master=bridge, state="up")

        def own_side() -> None:
            write_sysctls(sysctls.of_pod())
            with IPRoute() as ip:
                up(ip, "eth0")

        try:
            inside(self._bridge, switch_side)
            inside(stranger.netns, own_side)
        except (OSError, NetlinkError) as failure:
            os.close(stranger.netns)
            raise StartFailed(f"a strange host on {subnet.name}: {failure}") from failure
        return stranger

    def take(self, stranger: Stranger, address: Address) -> None:
        """Give it an address: its kernel answers for it by ARP or NDP, and pings, from now on. Raises StartFailed."""

        def work() -> None:
            with IPRoute() as ip:
                (index,) = ip.link_lookup(ifname="eth0")
                ip.addr("replace", index=index, address=str(address), prefixlen=address.max_prefixlen, flags=NO_DAD)
                for network in stranger.subnet.networks:
                    if address in network:
                        ip.route("replace", dst=str(network), oif=index)

        try:
            inside(stranger.netns, work)
        except NetlinkError as failure:
            raise StartFailed(f"a strange host at {address}: {failure}") from failure

    def remove_stranger(self, stranger: Stranger) -> None:
        """Take it off the wire."""

        def work() -> None:
            with IPRoute() as ip:
                for index in ip.link_lookup(ifname=stranger.port):
                    ip.link("del", index=index)

        inside(self._bridge, work)
        os.close(stranger.netns)

    # --- sockets ---

    def mouth(self, stranger: Stranger) -> socket.socket:
        """Sends whole frames from there (packet(7))."""
        return inside(stranger.netns, lambda: _raw("eth0", 0))

    def mirror(self, nic: Nic) -> socket.socket:
        """Hears all frames that pass a host's switch port, both ways, as a mirror port shows them."""
        return inside(self._bridge, lambda: _raw(nic.ports[0], _ETH_P_ALL))

    def listen(self, host: Host, address: str, port: int) -> socket.socket:
        """A listening TCP socket in the host's namespace; `::` takes both families. Raises StartFailed."""

        def work() -> socket.socket:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return socket.create_server((address, port), family=family, dualstack_ipv6=address == "::", backlog=1024)

        try:
            return inside(self.netns(host), work)
        except OSError as failure:
            raise StartFailed(f"port {port} on {host.name}: {failure}") from failure


def _raw(link: str, protocol: int) -> socket.socket:
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(protocol))
    found.bind((link, protocol))
    return found
