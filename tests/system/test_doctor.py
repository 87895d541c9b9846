"""kubectl purelb doctor in a lab: nothing on a healthy one, and each planted fault, by what its node's kernel shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.command.kubectl import kubectl_environment
from tests.system.agentlab import MASTER, WORKER11, WORKER12, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(180)

STRANGER = "10.31.188.200"
CLOSED = "table inet half { chain in { type filter hook input priority 0; tcp dport 7934 drop; }; }"
WITH_NODES = {
    "apiVersion": "purelb.io/v1",
    "kind": "ServiceGroup",
    "metadata": {"name": "wide", "namespace": "purelb"},
    "spec": {"local": {"v4pool": {"subnet": "10.31.0.0/16", "pool": "10.31.188.2-10.31.188.20", "aggregation": "/32"}}},
}


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        yield lab


def asked(agents: AgentLab) -> Any:
    """The doctor's document; kubectl with its plugin, as an operator has them on the PATH."""
    environment = kubectl_environment(agents.lab.folder)
    programs = Path(sys.executable).parent
    environment["PATH"] = f"{programs}{os.pathsep}{environment.get('PATH', '')}"
    command = [str(programs / "kubectl"), "purelb", "doctor", "-o", "json"]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["healthy"] else 1)
    return document


def test_on_a_healthy_lab_with_services_it_finds_nothing(agents: AgentLab) -> None:
    agents.apply(service("near", "wire"), service("far", "routed"))

    def is_well() -> bool:
        found = asked(agents)
        return bool(found["healthy"] and found["nodes"] == 3)

    assert eventually(is_well, seconds=60.0), asked(agents)


def test_each_planted_fault_is_found_on_its_node_and_nothing_else(agents: AgentLab) -> None:
    run = agents.hosts.output
    run(MASTER, "sysctl", "-qw", "net.ipv4.conf.eth0.proxy_arp=1")
    run(MASTER, "sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1")
    run(MASTER, "ip", "route", "add", "198.51.100.0/24", "dev", "lo")  # so that clients there come in by the wrong NIC
    run(WORKER11, "ip", "link", "set", "eth0", "mtu", "1400")
    run(MASTER, "sysctl", "-qw", "net.ipv4.conf.eth0.forwarding=0")  # where no pod is behind it
    run(WORKER12, "nft", CLOSED)
    agents.apply(WITH_NODES)
    agents.lab.must("fault", "wire", "answer", STRANGER)
    planted = {
        ("proxy-arp", f"node {MASTER}"),
        ("rp-filter", f"node {MASTER}"),
        ("forwarding", f"node {MASTER}"),
        ("mtu-differs", "nodes"),
        ("gossip-tcp", f"nodes {MASTER}, {WORKER11}"),
        ("pool-neighbour", f"node {WORKER12}"),
        ("pool-node-address", "pool wide"),
    }

    def found() -> set[tuple[str, str]]:
        agents.hosts.run(WORKER12, ["ping", "-c1", "-W1", STRANGER])
        return {(one["check"], one["about"]) for one in asked(agents)["findings"]}

    assert eventually(lambda: found() == planted, seconds=90.0), (found() ^ planted, asked(agents))
    membership = agents.hosts.get("membership", "purelb", "-n", "purelb")["status"]
    conditions = {one["type"]: one["status"] for one in membership["conditions"]}
    assert (conditions["NodesWell"], conditions["ProxyARP"]) == ("False", "True")
    assert "proxy-arp" in next(one["findings"] for one in membership["nodes"] if one["name"] == MASTER)
    (event,) = agents.events(MASTER, "ProxyARP")
    assert "interface eth0 answers ARP for other hosts' addresses" in event
    page = run(MASTER, "curl", "-s", "http://10.31.188.1:7472/metrics")
    assert 'purelb_lbnodeagent_findings{check="forwarding"} 1.0' in page
