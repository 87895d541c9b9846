"""The wire: hosts as network namespaces on one bridge, pods behind their nodes, and cable faults.

Owns the lab's netlink; the only file of the lab that imports pyroute2. Everything here blocks for some
milliseconds: call it through `asyncio.to_thread`. Must know neither Kubernetes nor processes.

The bridge lives in a namespace of its own and nothing of it in the root namespace, so that any number of
labs with the same addresses run side by side.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lab.errors import FaultRefused, StartFailed
from lab.machine.namespaces import inside, new_network_namespace, write_sysctls
from lab.wire.topology import ROUTED4, ROUTED6, UPSTREAM, Host, Role, Topology

_BRIDGE = "wire"
_LOCAL_TABLE = 255
# A pod's side of its veth: as with Calico or Cilium, the gateway is not on any subnet but a fixed neighbour.
_GATEWAY4, _GATEWAY6 = "169.254.1.1", "fe80::1"
_NODE_SIDE_MAC = "ee:ee:ee:ee:ee:ee"

_COMMON = {
    # Addresses serve at once: duplicates are the agents' business, and a lab has to start fast.
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
    "net.ipv6.conf.default.dad_transmits": "0",
    "net.ipv6.conf.all.accept_ra": "0",
    "net.ipv6.conf.default.accept_ra": "0",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    # Client, router and nodes share a subnet: redirects would teach the client a way past the router.
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.default.accept_redirects": "0",
    "net.ipv6.conf.all.accept_redirects": "0",
    "net.ipv6.conf.default.accept_redirects": "0",
}
_FORWARDING = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    # Layer 4 hash, as routers that balance by ECMP use; a next hop whose ARP fails is left out.
    "net.ipv4.fib_multipath_hash_policy": "1",
    "net.ipv6.fib_multipath_hash_policy": "1",
    "net.ipv4.fib_multipath_use_neigh": "1",
}
# What kube-proxy's strictARP sets.
_STRICT_ARP = {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}


@dataclass(frozen=True, slots=True)
class PodWire:
    """The namespace of a pod that does not use its node's network."""

    netns: int
    node: str
    link: str


class Network:
    """All namespaces of one lab, held by file descriptors.

    With `routes_are_learned` the router gets no static routes to the nodes' addresses, and each node answers for all of
    them, whether or not they are on an interface: that is kube-proxy's part, and lets a route go before its traffic.
    """

    def __init__(self, topology: Topology, *, routes_are_learned: bool = False) -> None:
        self.topology = topology
        self._routes_are_learned = routes_are_learned
        self._bridge = -1
        self._hosts: dict[str, int] = {}
        self._cut: set[str] = set()
        self._partitioned: set[str] = set()

    def netns(self, host: Host) -> int:
        """File descriptor of the host's namespace; stays this object's own."""
        return self._hosts[host.name]

    def build(self) -> None:
        """Make the bridge and all hosts, with addresses and routes. Raises StartFailed."""
        try:
            self._bridge = new_network_namespace()
            for host in self.topology.hosts:
                self._hosts[host.name] = new_network_namespace()
            inside(self._bridge, self._build_bridge)
            for host in self.topology.hosts:
                inside(self._hosts[host.name], lambda host=host: self._build_host(host))  # type: ignore[misc]
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

    def is_cut(self, host: Host) -> bool:
        return host.name in self._cut

    def is_partitioned(self, host: Host) -> bool:
        return host.name in self._partitioned

    def cut(self, host: Host) -> None:
        """Pull the host's cable: nothing gets in or out, and its eth0 has no carrier."""
        self._set_port(host, "down")
        self._cut.add(host.name)

    def plug(self, host: Host) -> None:
        """Put the cable back in."""
        self._set_port(host, "up")
        self._cut.discard(host.name)

    def partition(self, host: Host) -> None:
        """Drop all frames between this node and the other nodes; client, router and API still reach it.

        Raises FaultRefused where `nft` is missing or refuses.
        """
        self._apply_partitions(self._partitioned | {host.name})

    def rejoin(self, host: Host) -> None:
        """End the partition of this node."""
        if host.name in self._partitioned:
            self._apply_partitions(self._partitioned - {host.name})

    def _set_port(self, host: Host, state: str) -> None:
        def work() -> None:
            with IPRoute() as ip:
                (index,) = ip.link_lookup(ifname=host.port)
                ip.link("set", index=index, state=state)

        inside(self._bridge, work)

    def _apply_partitions(self, names: set[str]) -> None:
        nft = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
        if nft is None:
            raise FaultRefused("the fault `partition` needs the program nft (Debian package nftables)")
        rules = []
        for node in self.topology.nodes:
            others = ", ".join(f'"{other.port}"' for other in self.topology.nodes if other is not node)
            if node.name in names and others:
                rules.append(f'iifname "{node.port}" oifname {{ {others} }} drop')
                rules.append(f'iifname {{ {others} }} oifname "{node.port}" drop')
        # One transaction: there is no moment without the rules that stay.
        chain = "\n".join(["type filter hook forward priority 0;", *rules])
        table = f"table bridge lab {{\nchain forward {{\n{chain}\n}}\n}}\n"
        script = f"table bridge lab\ndelete table bridge lab\n{table}"
        command = [nft, "-f", "-"]
        done = inside(
            self._bridge,
            lambda: subprocess.run(command, input=script, text=True, capture_output=True, check=False),
        )
        if done.returncode != 0:
            raise FaultRefused(f"nft refuses the partition: {done.stderr.strip()}")
        self._partitioned = names

    # --- pods ---

    def add_pod(self, node: Host, ipv4: IPv4Address, ipv6: IPv6Address) -> PodWire:
        """A namespace behind that node with these addresses on its eth0. Raises StartFailed."""
        link = f"lxc{int(ipv4):08x}"
        netns = new_network_namespace()

        def node_side() -> None:
            with IPRoute() as ip:
                pod_mac = f"0a:58:{ipv4.packed.hex(':')}"
                peer = {"ifname": "eth0", "net_ns_fd": netns, "address": pod_mac}
                ip.link("add", ifname=link, kind="veth", address=_NODE_SIDE_MAC, peer=peer)
                (index,) = ip.link_lookup(ifname=link)
                ip.link("set", index=index, state="up")
                for address in (ipv4, ipv6):
                    ip.route("add", dst=f"{address}/{address.max_prefixlen}", oif=index)
                    ip.neigh("add", dst=str(address), lladdr=pod_mac, ifindex=index, state="permanent")

        def pod_side() -> None:
            _write_host_sysctls()
            with IPRoute() as ip:
                _up(ip, "lo")
                index = _up(ip, "eth0")
                for address, gateway in ((ipv4, _GATEWAY4), (ipv6, _GATEWAY6)):
                    ip.addr("add", index=index, address=str(address), prefixlen=address.max_prefixlen)
                    ip.neigh("add", dst=gateway, lladdr=_NODE_SIDE_MAC, ifindex=index, state="permanent")
                    default = "0.0.0.0/0" if address.version == 4 else "::/0"
                    ip.route("add", dst=default, gateway=gateway, oif=index, flags=["onlink"])

        try:
            inside(self.netns(node), node_side)
            inside(netns, pod_side)
        except (OSError, NetlinkError) as failure:
            os.close(netns)
            raise StartFailed(f"the network of pod {ipv4} on {node.name}: {failure}") from failure
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

    # --- sockets ---

    def listen(self, host: Host, address: str, port: int) -> socket.socket:
        """A listening TCP socket in the host's namespace; `::` takes both families. Raises StartFailed."""

        def work() -> socket.socket:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return socket.create_server((address, port), family=family, dualstack_ipv6=address == "::", backlog=1024)

        try:
            return inside(self.netns(host), work)
        except OSError as failure:
            raise StartFailed(f"port {port} on {host.name}: {failure}") from failure

    # --- construction ---

    def _build_bridge(self) -> None:
        write_sysctls({"net.ipv6.conf.default.disable_ipv6": "1"})
        with IPRoute() as ip:
            ip.link("add", ifname=_BRIDGE, kind="bridge", br_forward_delay=0, br_stp_state=0, br_mcast_snooping=0)
            bridge = _up(ip, _BRIDGE)
            for host in self.topology.hosts:
                peer = {"ifname": "eth0", "net_ns_fd": self._hosts[host.name], "address": host.mac}
                ip.link("add", ifname=host.port, kind="veth", peer=peer)
                (port,) = ip.link_lookup(ifname=host.port)
                ip.link("set", index=port, master=bridge, state="up")

    def _build_host(self, host: Host) -> None:
        _write_host_sysctls()
        if host.is_node or host.role is Role.ROUTER:
            write_sysctls(_FORWARDING)
        if host.is_node:
            write_sysctls(_STRICT_ARP)
        with IPRoute() as ip:
            _up(ip, "lo")
            (eth0,) = ip.link_lookup(ifname="eth0")
            broadcast = str(host.ipv4.network.broadcast_address)
            ip.addr(
                "add",
                index=eth0,
                address=str(host.ipv4.ip),
                prefixlen=host.ipv4.network.prefixlen,
                broadcast=broadcast,
            )
            ip.addr("add", index=eth0, address=str(host.ipv6.ip), prefixlen=host.ipv6.network.prefixlen)
            _up(ip, "eth0")
            self._add_routes(ip, host, eth0)

    def _add_routes(self, ip: IPRoute, host: Host, eth0: int) -> None:
        router = self.topology.router
        if host is router:
            ip.route("add", dst="0.0.0.0/0", gateway=str(UPSTREAM), oif=eth0)
        if host is router and not self._routes_are_learned:
            self._add_multipath(ip, ROUTED4, [str(node.ipv4.ip) for node in self.topology.routed_nodes], eth0)
            self._add_multipath(ip, ROUTED6, [str(node.ipv6.ip) for node in self.topology.routed_nodes], eth0)
        if host is not router:
            ip.route("add", dst="0.0.0.0/0", gateway=str(router.ipv4.ip), oif=eth0)
            ip.route("add", dst="::/0", gateway=str(router.ipv6.ip), oif=eth0)
        if host.is_node and self._routes_are_learned:
            (lo,) = ip.link_lookup(ifname="lo")
            ip.route("add", dst=str(ROUTED4), oif=lo, type="local", scope="host", table=_LOCAL_TABLE)
            ip.route("add", dst=str(ROUTED6), oif=lo, type="local", table=_LOCAL_TABLE)
        if host.role in (Role.ROUTER, Role.API):
            for node in self.topology.nodes:
                ip.route("add", dst=str(node.pods4), gateway=str(node.ipv4.ip), oif=eth0)
                ip.route("add", dst=str(node.pods6), gateway=str(node.ipv6.ip), oif=eth0)

    @staticmethod
    def _add_multipath(ip: IPRoute, dst: IPv4Network | IPv6Network, hops: list[str], oif: int) -> None:
        if len(hops) == 1:
            ip.route("add", dst=str(dst), gateway=hops[0], oif=oif)
        else:
            ip.route("add", dst=str(dst), multipath=[{"gateway": hop, "oif": oif} for hop in hops])


def _write_host_sysctls() -> None:
    """Settings of every namespace; eth0 is there already, so what it copied from `default` is set again."""
    write_sysctls(_COMMON)
    write_sysctls({key.replace(".default.", ".eth0."): value for key, value in _COMMON.items()})


def _up(ip: IPRoute, name: str) -> int:
    (index,) = ip.link_lookup(ifname=name)
    ip.link("set", index=index, state="up")
    return int(index)
