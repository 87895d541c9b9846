"""The router that BIRD's pod finds for its node, with the pod's own script on the hosts of a topology file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from lab.machine.namespaces import inside
from lab.machine.processes import REPOSITORY
from lab.wire.network import Network
from lab.wire.topologyfile import load

DAEMONSET = REPOSITORY / "manifests" / "bird" / "bird.yml"
LEFT, RIGHT = "192.0.2.254", "198.51.100.254"
LEFT6, RIGHT6 = "fd00:192:0:2::254", "fd00:198:51:100::254"


class Hosts:
    """A network, and BIRD's pod on its hosts, which ends where BIRD would begin."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network = network
        self._folder = folder
        (pod,) = yaml.safe_load(DAEMONSET.read_text())["spec"]["template"]["spec"]["containers"]
        script = pod["args"][0].replace("/run/bird", str(folder))
        head, _, _ = script.partition("exec bird")
        self._script = head + f"exec cat {folder}/node.conf"

    def run(self, host: str, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        netns = self._network.netns(self._network.topology.find(host))
        call = partial(subprocess.run, command, text=True, capture_output=True, check=False, timeout=3)
        if environment:
            path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
            call = partial(call, env=path | environment)
        return inside(netns, call)

    def router(self, host: str, uplink: str) -> tuple[str, str]:
        """The router that a node takes, and its own address towards it."""
        node = self._network.topology.find(host)
        done = self.run(
            host,
            "sh",
            "-euc",
            self._script,
            UPLINK=uplink,
            NODE_AS="64515",
            INTERFACE="kube-lb0",
            BFD_SECONDS="0",
            NODE_IPS=",".join(map(str, node.ips)),
        )
        assert done.returncode == 0, done.stderr
        said = dict(line.removeprefix("define ").rstrip(";").split(" = ") for line in done.stdout.splitlines())
        return said["uplink"], said["k8sipaddr"]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    network = Network(load(REPOSITORY / "lab" / "topologies" / "two-subnets.yaml"))
    network.build()
    yield Hosts(network, tmp_path_factory.mktemp("bird"))
    network.close()


@pytest.mark.parametrize("uplink", [f"{LEFT},{RIGHT}", f"{RIGHT}, {LEFT}", "gateway", f"10.9.9.9,gateway,{LEFT}"])
def test_each_node_finds_the_router_of_its_own_subnet(hosts: Hosts, uplink: str) -> None:
    assert hosts.router("left-1", uplink) == (LEFT, "192.0.2.11")
    assert hosts.router("right-1", uplink) == (RIGHT, "198.51.100.11")


def test_so_it_does_by_ipv6(hosts: Hosts) -> None:
    assert hosts.router("left-1", f"{LEFT6},{RIGHT6}") == (LEFT6, "fd00:192:0:2::11")
    assert hosts.router("right-1", f"{LEFT6},{RIGHT6}") == (RIGHT6, "fd00:198:51:100::11")


def test_one_router_is_every_nodes_wherever_it_is(hosts: Hosts) -> None:
    assert hosts.router("right-1", LEFT)[0] == LEFT


def test_a_node_without_an_ipv4_gateway_takes_that_of_ipv6(hosts: Hosts) -> None:
    hosts.run("left-2", "ip", "-4", "route", "del", "default")

    assert hosts.router("left-2", "gateway")[0] == LEFT6


def test_who_finds_none_waits_and_says_so(hosts: Hosts) -> None:
    with pytest.raises(subprocess.TimeoutExpired) as waiting:
        hosts.router("right-2", f"{LEFT},10.9.9.9")

    assert waiting.value.stderr is not None
    assert "names no router on a subnet of this node" in bytes(waiting.value.stderr).decode()
