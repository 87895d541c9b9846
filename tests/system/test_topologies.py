"""Networks of topology files on this kernel: routers, NICs and routes are as the file says. No cluster runs in them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lab.machine.namespaces import inside
from lab.machine.processes import REPOSITORY
from lab.wire.network import Network
from lab.wire.partitions import Blocks
from lab.wire.topology import topology
from lab.wire.topologyfile import load
from tests.system.conftest import LabUnderTest, eventually

SAMPLES = REPOSITORY / "lab" / "topologies"


class Wire:
    """One network, and commands on its hosts."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def run(self, host: str, *command: str) -> subprocess.CompletedProcess[str]:
        netns = self.network.netns(self.network.topology.find(host))
        return inside(netns, partial(subprocess.run, command, text=True, capture_output=True, check=False))

    def says(self, host: str, *command: str) -> str:
        done = self.run(host, *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def reaches(self, host: str, address: str, *options: str) -> bool:
        # Three: on a busy machine the first one's ARP or NDP takes longer than it lives.
        return self.run(host, "ping", "-c", "3", "-i", "0.2", "-W", "1", *options, address).returncode == 0


@pytest.fixture
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    network = Network(load(SAMPLES / f"{request.param}.yaml"))
    network.build()
    yield Wire(network)
    network.close()


@pytest.mark.parametrize("wire", ["two-subnets", "purelb", "odd-hosts", "families", "ipv6-only"], indirect=True)
def test_every_node_reaches_every_other_by_each_family_that_both_have(wire: Wire) -> None:
    nodes = wire.network.topology.nodes

    for one in (*nodes, wire.network.topology.client):
        for other in nodes:
            for address in (str(ip) for ip in other.ips if ip.version in one.versions):
                # A link-local address is tentative for a moment where the file wants duplicate address detection.
                assert eventually(lambda: wire.reaches(one.name, address), seconds=5), f"{one.name} to {address}"  # noqa: B023


@pytest.mark.parametrize("wire", ["two-subnets"], indirect=True)
def test_between_subnets_is_a_router_and_no_arp(wire: Wire) -> None:
    assert wire.reaches("left-1", "198.51.100.11")

    way = wire.says("left-1", "ip", "route", "get", "198.51.100.11")
    assert "via 192.0.2.254" in way
    assert "198.51.100.11" not in wire.says("left-1", "ip", "neigh")
    assert not wire.reaches("left-1", "198.51.100.11", "-t", "1"), "the router counts the hop limit down"


@pytest.mark.parametrize("wire", ["two-subnets"], indirect=True)
def test_a_partition_cuts_a_node_off_across_the_router_too(wire: Wire) -> None:
    network = wire.network

    network.block(Blocks(partitioned=frozenset(("right-1",))))
    assert not wire.reaches("left-1", "198.51.100.11")
    assert not wire.reaches("right-1", "fd00:192:0:2::11")
    assert not wire.reaches("right-2", "198.51.100.11")
    assert wire.reaches("client", "198.51.100.11")
    assert wire.reaches("left-1", "198.51.100.12")

    network.block(Blocks())
    assert wire.reaches("left-1", "198.51.100.11")


@pytest.mark.parametrize("wire", ["purelb"], indirect=True)
def test_a_dual_homed_node_has_a_nic_on_each_subnet_and_loses_both(wire: Wire) -> None:
    assert "172.30.255.12/24" in wire.says("purelb4", "ip", "addr", "show", "eth0")
    assert "172.30.250.13/24" in wire.says("purelb4", "ip", "addr", "show", "eth1")

    wire.network.cut(wire.network.topology.find("purelb4"))
    assert not wire.reaches("purelb1", "172.30.250.13")
    assert not wire.reaches("purelb3", "172.30.255.12")
    assert "NO-CARRIER" in wire.says("purelb4", "ip", "link", "show", "eth1")

    wire.network.plug(wire.network.topology.find("purelb4"))
    assert eventually(lambda: wire.reaches("purelb1", "172.30.250.13"), seconds=3)


@pytest.mark.parametrize("wire", ["purelb"], indirect=True)
def test_an_address_that_comes_later_is_checked_for_duplicates_where_the_file_says_so(wire: Wire) -> None:
    wire.says("purelb1", "ip", "addr", "add", "2001:db8:b8f3:250::99/64", "dev", "eth0")
    assert "tentative" in wire.says("purelb1", "ip", "addr", "show", "dev", "eth0")
    assert eventually(lambda: "tentative" not in wire.says("purelb1", "ip", "addr", "show", "dev", "eth0"), seconds=5)

    wire.says("purelb2", "ip", "addr", "add", "2001:db8:b8f3:250::99/64", "dev", "eth0")
    assert eventually(lambda: "dadfailed" in wire.says("purelb2", "ip", "addr", "show", "dev", "eth0"), seconds=5)


@pytest.mark.parametrize("wire", ["odd-hosts"], indirect=True)
def test_odd_hosts_are_odd(wire: Wire) -> None:
    assert "inet 203.0.113.12/32" in wire.says("alone", "ip", "addr", "show", "eth0")
    assert "onlink" in wire.says("alone", "ip", "route", "show", "default")
    assert "via 203.0.113.254" in wire.says("alone", "ip", "route", "get", "203.0.113.11")

    assert wire.says("inland", "ip", "route", "show", "default") == ""
    assert not wire.reaches("inland", "192.0.2.1")

    assert wire.says("policy", "ip", "route", "show", "default") == ""
    assert "via 203.0.113.254" in wire.says("policy", "ip", "route", "show", "table", "100")

    for name, value in (("arp_ignore", 0), ("rp_filter", 1)):
        assert wire.says("weak", "sysctl", "-n", f"net.ipv4.conf.all.{name}").strip() == str(value)
    assert wire.says("weak", "sysctl", "-n", "net.ipv6.conf.eth1.dad_transmits").strip() == "1"
    # Its address on another NIC is told to whoever asks: what strictARP prevents.
    weak = wire.network.topology.find("weak")
    wire.says("client", "ip", "route", "add", f"{weak.nics[1].ip(4)}/32", "dev", "eth0")
    assert wire.reaches("client", str(weak.nics[1].ip(4)))


def test_the_articles_nodes_are_neighbours_of_each_others_pods() -> None:
    network = Network(topology(3))
    network.build()
    try:
        node = network.topology.nodes[2]
        pod = network.add_pod(node, node.pod_ips(40))
        wire = Wire(network)
        assert wire.reaches("master", "10.0.2.40", "-t", "2")
        assert wire.reaches("worker-188-11", "fd00:10:0:2::40")
        assert wire.reaches("client", "10.0.2.40")
        network.remove_pod(pod)
        assert not wire.reaches("master", "10.0.2.40")
    finally:
        network.close()


@pytest.mark.timeout(180)
def test_a_cluster_of_two_subnets_comes_up_with_purelb(tmp_path: Path) -> None:
    lab = LabUnderTest(tmp_path)
    try:
        lab.must("up", "--topology", str(SAMPLES / "purelb.yaml"))
        assert "purelb4" in lab.must("status")
        pods = lab.hosts.get("pods", "-n", "purelb", "-l", "component=lbnodeagent")["items"]
        assert {pod["status"]["podIP"] for pod in pods} == {
            "172.30.250.11",
            "172.30.250.12",
            "172.30.255.11",
            "172.30.255.12",
        }
    finally:
        lab.down()


def test_a_file_that_describes_no_lab_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("subnets: {}\nnodes: []\n")

    done = LabUnderTest(tmp_path / "lab").run("up", "--bare", "--topology", str(file))

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "bad.yaml: `subnets` names none" in done.stderr
