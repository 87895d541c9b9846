"""kubectl purelb doctor in a lab: nothing on a healthy one, and each planted fault, by what its node's kernel shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from lab.command.kubectl import kubectl_environment
from purelb.election import owner
from tests.system.agentlab import MASTER, NODES, WORKER11, WORKER12, AgentLab, service, three_nodes
from tests.system.conftest import eventually
from tests.system.recording import recorded_command

Plant: TypeAlias = Callable[[AgentLab], object]

pytestmark = pytest.mark.timeout(240)

STRANGER, FAR = "10.31.188.200", "198.51.100.7"


def owned(addresses: str) -> Iterator[str]:
    """Of these addresses those that WORKER11 owns by the hash rule, by which labs place."""
    for number in range(100, 200):
        address = ip_address(addresses.format(number))
        if owner(NODES, address) == WORKER11:
            yield str(address)


VIP, VIP6 = next(owned("10.31.188.{}")), tuple(islice(owned("fd00:10:31::1:{}"), 2))
HALF_OPEN = "table inet half { chain in { type filter hook input priority 0; tcp dport 7934 drop; }; }"
MUTE = f"""table inet mute {{ chain in {{ type filter hook input priority 0;
icmpv6 type nd-neighbor-solicit @th,64,128 {int(ip_address(VIP6[0])):#x} drop; }}; }}"""
"""Whoever asks for the first one isn't answered: a solicitation has its target from the eighth byte on (RFC 4861)."""
LISTENER = "import socket, time; at = socket.create_server(('127.0.0.1', 7472)); time.sleep(600)"


def group(name: str, pool: str, subnet: str = "10.31.0.0/16", version: str = "v1") -> dict[str, Any]:
    return {
        "apiVersion": f"purelb.io/{version}",
        "kind": "ServiceGroup",
        "metadata": {"name": name, "namespace": "purelb"},
        "spec": {"local": {"v4pool": {"subnet": subnet, "pool": pool, "aggregation": "/32"}}},
    }


def workload(kind: str, name: str, image: str, **labels: str) -> dict[str, Any]:
    """One that no pod is made of: no node has the label that it asks for."""
    pod = {
        "metadata": {"labels": {"is": name}},
        "spec": {"nodeSelector": {"none": "at-all"}, "containers": [{"name": "program", "image": image}]},
    }
    spec: dict[str, Any] = {"selector": {"matchLabels": {"is": name}}, "template": pod}
    spec |= {"replicas": 0} if kind == "Deployment" else {}
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def first_of(agents: AgentLab, what: str) -> str:
    """An address of a ClusterIP's or of the pods' network."""
    if what == "pods":
        network = ip_network(agents.hosts.get("node", MASTER)["spec"]["podCIDR"])
        return str(network[9])
    address: str = agents.service("near")["spec"]["clusterIP"]
    return address


def add_link(agents: AgentLab, node: str, name: str) -> None:
    """Of kind dummy, or, where the kernel has none, of one that does as well."""
    if agents.hosts.run(node, ["ip", "link", "add", name, "type", "dummy"]).returncode:
        agents.ip(node, "link", "add", name, "type", "ifb")
    agents.ip(node, "link", "set", name, "up")


def set_kernel(agents: AgentLab, node: str, *settings: str) -> None:
    agents.hosts.output(node, "sysctl", "-qw", *(f"net.{setting}" for setting in settings))


# --- faults ----------------------------------------------------------------------------------------------------------


def drop_far_clients(agents: AgentLab) -> None:
    set_kernel(agents, MASTER, "ipv4.conf.eth0.rp_filter=1")
    agents.ip(MASTER, "route", "add", "198.51.100.0/24", "dev", "lo")  # so that clients there come in by the wrong NIC


def answer_far_clients_elsewhere(agents: AgentLab) -> None:
    add_link(agents, WORKER11, "stray")
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        agents.ip(WORKER11, "route", "add", half, "via", "10.31.254.251", "dev", "eth0")
    agents.ip(WORKER11, "route", "add", "198.51.100.0/24", "dev", "stray")
    agents.ip(WORKER11, "route", "replace", "default", "dev", "stray")
    agents.ip("client", "addr", "add", f"{FAR}/32", "dev", "lo")


def ask_by_vips(agents: AgentLab) -> None:
    add_link(agents, MASTER, "kube-ipvs0")
    set_kernel(agents, MASTER, "ipv4.conf.all.arp_announce=0", "ipv4.conf.eth0.arp_announce=0")


def join_the_wire_twice(agents: AgentLab) -> None:
    agents.ip(WORKER12, "link", "add", "second", "type", "veth", "peer", "name", "nowhere")
    agents.ip(WORKER12, "link", "set", "second", "up")
    agents.ip(WORKER12, "link", "set", "nowhere", "up")
    agents.ip(WORKER12, "addr", "add", "10.31.7.7/16", "dev", "second", "noprefixroute")
    agents.ip(WORKER12, "route", "add", "10.31.0.0/16", "dev", "second", "metric", "900")
    set_kernel(agents, WORKER12, "ipv4.conf.all.arp_ignore=0", "ipv4.conf.eth0.arp_ignore=0")


def take_away(agents: AgentLab) -> None:
    for _ in range(3):
        prefix = agents.addresses(WORKER11)[VIP]["prefixlen"]
        agents.ip(WORKER11, "addr", "del", f"{VIP}/{prefix}", "dev", "eth0")
        assert eventually(lambda: VIP in agents.addresses(WORKER11))


def take_for_its_own(agents: AgentLab) -> None:
    """As a CNI that chose its node's address wrongly."""
    agents.lab.kubectl("annotate", "node", MASTER, f"projectcalico.org/IPv4Address={VIP}/16")


def agent_for_no_node(agents: AgentLab) -> None:
    spec = {"nodeSelector": {"matchLabels": {"none": "at-all"}}, "local": {}}
    metadata = {"name": "nobodys", "namespace": "purelb"}
    agents.apply({"apiVersion": "purelb.io/v2", "kind": "LBNodeAgent", "metadata": metadata, "spec": spec})


def pool(name: str, addresses: str, subnet: str = "10.31.0.0/16", version: str = "v1") -> Plant:
    return lambda agents: agents.apply(group(name, addresses, subnet, version))


def pool_around(name: str) -> Plant:
    def plant(agents: AgentLab) -> None:
        first = first_of(agents, name)
        agents.apply(group(name, f"{first}-{first}", str(ip_network(f"{first}/24", strict=False))))

    return plant


FAULTS: tuple[tuple[str, str, Plant], ...] = (
    ("proxy-arp", f"node {MASTER}", lambda agents: set_kernel(agents, MASTER, "ipv4.conf.eth0.proxy_arp=1")),
    ("rp-filter", f"node {MASTER}", drop_far_clients),
    # Of the node where no pod is behind it.
    ("forwarding", f"node {MASTER}", lambda agents: set_kernel(agents, MASTER, "ipv4.conf.eth0.forwarding=0")),
    ("ipv6-off", f"node {MASTER}", lambda agents: set_kernel(agents, MASTER, "ipv6.conf.eth0.disable_ipv6=1")),
    ("arp-announce", f"node {MASTER}", ask_by_vips),
    ("mtu-differs", "nodes", lambda agents: agents.ip(WORKER11, "link", "set", "eth0", "mtu", "1400")),
    ("way-back", f"node {WORKER11}", answer_far_clients_elsewhere),
    ("address-removed", f"node {WORKER11}", take_away),
    ("no-answer", f"node {WORKER12}", lambda agents: agents.hosts.output(WORKER11, "nft", MUTE)),
    ("gossip-tcp", f"nodes {MASTER}, {WORKER11}", lambda agents: agents.hosts.output(WORKER12, "nft", HALF_OPEN)),
    ("pool-neighbour", f"node {WORKER12}", lambda agents: agents.lab.must("fault", "wire", "answer", STRANGER)),
    ("arp-flux", f"node {WORKER12}", join_the_wire_twice),
    ("port-taken", f"node {WORKER12}", lambda _: None),  # by LISTENER, which is to be ended
    ("vip-is-node-address", f"node {MASTER}", take_for_its_own),
    ("pool-node-address", "pool wide", pool("wide", "10.31.188.2-10.31.188.20")),
    ("pool-gateway", "pool top", pool("top", "10.31.254.250-10.31.254.252")),
    ("pool-refused", "pool twin", pool("twin", "10.31.188.70-10.31.188.80")),
    ("pool-unreachable", "pool lost", pool("lost", "10.77.0.1-10.77.0.9", "10.77.0.0/16", "v2")),
    ("pool-pods", "pool pods", pool_around("pods")),
    ("pool-cluster-ips", "pool ips", pool_around("ips")),
    ("agent-config", "LBNodeAgent nobodys", agent_for_no_node),
    (
        "other-controller",
        "cluster",
        lambda agents: agents.apply(workload("Deployment", "controller", "quay.io/metallb/controller:v0.15.2")),
    ),
    (
        "second-purelb",
        "PureLB",
        lambda agents: agents.apply(
            workload("DaemonSet", "old", "purelb/agent:v0.6", app="purelb", component="lbnodeagent")
        ),
    ),
)
"""Each check, whom it is said of, and how its fault is planted."""


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


def test_each_of_twenty_planted_faults_is_found_where_it_is_and_nothing_else(agents: AgentLab) -> None:
    """All at once: what one of them hides, or has found elsewhere too, would show."""
    agents.patch("lbnodeagent", "default", {"local": {"localInterface": "^eth0$"}}, namespace="purelb")
    agents.apply(*(service(f"on-{at}", "wire", ip=ip) for at, ip in enumerate((VIP, *VIP6))))
    for ip in (VIP, *VIP6):
        assert eventually(lambda ip=ip: agents.holders(ip) == [WORKER11], seconds=30.0)  # type: ignore[misc]
    for _, _, plant in FAULTS:
        plant(agents)
    planted = {(check, about) for check, about, _ in FAULTS}
    assert len(planted) >= 20

    def found() -> set[tuple[str, str]]:
        agents.hosts.run(WORKER12, ["ping", "-c1", "-W1", STRANGER])
        return {(one["check"], one["about"]) for one in asked(agents)["findings"]}

    listening = recorded_command(agents.hosts, WORKER12, [sys.executable, "-c", LISTENER])
    coming = recorded_command(agents.hosts, "client", ["ping", "-q", "-i", "0.2", "-I", FAR, VIP])
    with listening, coming:
        assert eventually(lambda: found() == planted, seconds=120.0), (found() ^ planted, asked(agents))
    membership = agents.hosts.get("membership", "purelb", "-n", "purelb")["status"]
    conditions = {one["type"]: one["status"] for one in membership["conditions"]}
    assert (conditions["NodesWell"], conditions["ProxyARP"]) == ("False", "True")
    assert "proxy-arp" in next(one["findings"] for one in membership["nodes"] if one["name"] == MASTER)
    (event,) = agents.events(MASTER, "ProxyARP")
    assert "interface eth0 answers ARP for other hosts' addresses" in event
    page = agents.hosts.output(MASTER, "curl", "-s", "http://10.31.188.1:7472/metrics")
    assert 'purelb_lbnodeagent_findings{check="forwarding"} 1.0' in page
