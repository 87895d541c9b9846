"""NICs that come, go, lose their cable, their name or their address, on nodes with two of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from bench.conversations import talkers
from purelb.election import ranking
from tests.system.agentlab import MASTER, NODES, WORKER11, WORKER12, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(120)

LAN = {WORKER11: "172.30.0.11/24", WORKER12: "172.30.0.12/24"}
VIP = "172.30.0.64"
OWNER, HEIR = ranking(list(LAN), VIP)
OF_PODS = "172.30.0.70"
"""Of the same owner."""
ROUTER, CLIENT = "172.30.0.254", "198.51.100.2"
CONNECT = f"import socket; socket.create_connection(('{OF_PODS}', 80), 1.0, ('{CLIENT}', 0))"
GROUP = {
    "apiVersion": "purelb.io/v1",
    "kind": "ServiceGroup",
    "metadata": {"name": "lan", "namespace": "purelb"},
    "spec": {"local": {"v4pool": {"subnet": "172.30.0.0/24", "pool": "172.30.0.64-172.30.0.99", "aggregation": "/32"}}},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        lab.apply(GROUP)
        lab.patch("lbnodeagent", "default", {"local": {"localint": "eth0|^lan"}}, "purelb")
        yield lab


@pytest.fixture
def agents(cluster: AgentLab) -> Iterator[AgentLab]:
    """Three healthy nodes without Services."""
    with cluster.at_rest():
        yield cluster


def plug_in(agents: AgentLab, node: str) -> None:
    """A second NIC; the other end of its cable is a link on the same host."""
    agents.ip(node, "link", "add", "lan1", "type", "veth", "peer", "name", "far-end")
    agents.ip(node, "addr", "add", LAN[node], "brd", "+", "dev", "lan1")
    agents.ip(node, "link", "set", "far-end", "up")
    agents.ip(node, "link", "set", "lan1", "up")


@contextmanager
def dual_homed(agents: AgentLab) -> Iterator[None]:
    """Both workers have a second NIC, and a Service has an address there."""
    try:
        for node in LAN:
            plug_in(agents, node)
        time.sleep(0.5)  # both say so to the others
        agents.apply(service("lan", "lan", ip=VIP))
        assert eventually(lambda: everywhere(agents) == {(OWNER, "lan1")}), everywhere(agents)
        yield
    finally:
        for node in LAN:
            agents.hosts.run(node, ["ip", "link", "del", "far-end"])


def everywhere(agents: AgentLab) -> set[tuple[str, str]]:
    """The nodes and interfaces that have the VIP."""
    links = ("eth0", "lan1", "lan9", "kube-lb0")
    return {(node, link) for node in NODES for link in links if VIP in agents.addresses(node, link)}


def test_an_address_is_routed_until_a_nic_of_its_subnet_appears(agents: AgentLab) -> None:
    agents.apply(service("lan", "lan", ip=VIP))
    assert eventually(lambda: everywhere(agents) == {(node, "kube-lb0") for node in NODES}), everywhere(agents)

    plug_in(agents, WORKER12)
    try:
        assert eventually(lambda: everywhere(agents) == {(WORKER12, "lan1")}), everywhere(agents)
        assert eventually(lambda: (agents.annotation("lan") or "").startswith(f"{WORKER12},lan1"))
    finally:
        agents.ip(WORKER12, "link", "del", "far-end")


def test_an_address_of_a_v2_local_pool_waits_for_such_a_nic_and_says_so(agents: AgentLab) -> None:
    group = {
        "apiVersion": "purelb.io/v2",
        "kind": "ServiceGroup",
        "metadata": {"name": "strict", "namespace": "purelb"},
        "spec": {"local": {"v4pool": {"subnet": "172.30.0.0/24", "pool": "172.30.0.200-172.30.0.220"}}},
    }
    vip = "172.30.0.200"
    agents.apply(group)
    agents.apply(service("strict", "strict", ip=vip))

    (message,) = eventually(lambda: agents.events("strict", "AnnouncementFailed"))
    assert message == (
        f"Node {min(NODES)} could not announce {vip} on interface eth0|^lan: no node has an interface on a subnet that "
        "holds it, as an address of a local pool needs; one of a remote pool would be routed"
    )
    assert all(vip not in agents.addresses(node, "kube-lb0") for node in NODES)

    plug_in(agents, WORKER12)
    try:
        assert eventually(lambda: vip in agents.addresses(WORKER12, "lan1"))
    finally:
        agents.ip(WORKER12, "link", "del", "far-end")


def test_a_nic_that_has_no_cable_gives_its_address_away_and_gets_it_back(agents: AgentLab) -> None:
    with dual_homed(agents):
        agents.ip(OWNER, "link", "set", "far-end", "down")
        assert eventually(lambda: everywhere(agents) == {(HEIR, "lan1")}, seconds=3), everywhere(agents)

        agents.ip(OWNER, "link", "set", "far-end", "up")
        assert eventually(lambda: everywhere(agents) == {(OWNER, "lan1")}, seconds=5), everywhere(agents)


def test_a_nic_that_goes_takes_its_address_to_the_other_node(agents: AgentLab) -> None:
    with dual_homed(agents):
        agents.ip(OWNER, "link", "del", "far-end")

        assert eventually(lambda: everywhere(agents) == {(HEIR, "lan1")}, seconds=3), everywhere(agents)
        assert MASTER not in {node for node, _ in everywhere(agents)}


def test_a_renamed_nic_keeps_the_address_and_the_annotation_follows(agents: AgentLab) -> None:
    with dual_homed(agents):
        agents.ip(OWNER, "link", "set", "lan1", "down")
        agents.ip(OWNER, "link", "set", "lan1", "name", "lan9")
        agents.ip(OWNER, "link", "set", "lan9", "up")

        assert eventually(lambda: everywhere(agents) == {(OWNER, "lan9")}, seconds=5), everywhere(agents)
        assert eventually(lambda: (agents.annotation("lan") or "").startswith(f"{OWNER},lan9"))


def test_a_nic_whose_new_name_is_not_chosen_is_left(agents: AgentLab) -> None:
    with dual_homed(agents):
        agents.ip(OWNER, "link", "set", "lan1", "down")
        agents.ip(OWNER, "link", "set", "lan1", "name", "storage")
        agents.ip(OWNER, "link", "set", "storage", "up")

        assert eventually(lambda: everywhere(agents) == {(HEIR, "lan1")}, seconds=5), everywhere(agents)
        assert VIP not in agents.addresses(OWNER, "storage")


class FarClient:
    """A client that the lab's router knows nothing of, behind another one on the owner's second NIC."""

    def __init__(self, agents: AgentLab, inside: tuple[str, ...]) -> None:
        self._agents = agents
        self._inside = inside
        agents.ip(OWNER, "link", "set", "far-end", "netns", inside[-1])
        for command in (
            f"ip link set lo up; ip addr add {CLIENT}/32 dev lo",
            f"ip link set far-end up; ip addr add {ROUTER}/24 dev far-end",
        ):
            self.run("sh", "-c", command)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._inside, *command], capture_output=True, text=True, check=False)

    def is_answered(self, *, pods: bool) -> bool:
        if not pods:
            return self.run("ping", "-c", "1", "-W", "1", "-I", CLIENT, VIP).returncode == 0
        return self.run(sys.executable, "-c", CONNECT).returncode == 0


@contextmanager
def far_client(agents: AgentLab) -> Iterator[FarClient]:
    holder = [sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(600)"]
    with subprocess.Popen(["unshare", "--net", *holder], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield FarClient(agents, ("nsenter", "--net", "--target", str(process.pid)))
        finally:
            process.kill()


def test_answers_leave_by_the_nic_of_their_address_when_it_is_said(agents: AgentLab) -> None:
    ports = [{"port": 80, "targetPort": 8080}]
    say = partial(agents.patch, "lbnodeagent", "default", namespace="purelb")
    with dual_homed(agents), far_client(agents) as client:
        agents.apply(talkers(2), service("pods", "lan", ip=OF_PODS, selector={"app": "talk"}, ports=ports))
        assert eventually(lambda: OF_PODS in agents.addresses(OWNER, "lan1"))
        agents.lab.kubectl("rollout", "status", "deployment/talk", "--timeout=30s")
        assert not any(client.is_answered(pods=pods) for pods in (False, True)), "they leave by eth0"

        try:
            say({"local": {"returnPath": {"enabled": True}}})
            events = partial(agents.events, "default", "ConfigError", "purelb")
            assert eventually(lambda: any("no router of 172.30.0.0/24 on lan1 is known" in said for said in events()))
            assert "7934:" not in agents.ip(OWNER, "rule")

            say({"local": {"returnPath": {"gateways": [ROUTER]}}})
            for pods in (False, True):
                assert eventually(partial(client.is_answered, pods=pods)), agents.ip(OWNER, "rule")
            assert "purelb-returns" in agents.hosts.output(OWNER, "nft", "list", "tables")
        finally:
            say({"local": {"returnPath": None}})
            agents.lab.kubectl("delete", "deployment", "talk")
        assert eventually(lambda: "7934:" not in agents.ip(OWNER, "rule"))
        assert eventually(lambda: "purelb-returns" not in agents.hosts.output(OWNER, "nft", "list", "tables"))
        assert not client.is_answered(pods=False)
