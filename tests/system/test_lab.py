"""A lab is a cluster: its wire, and its faults as its own commands make them.

The programs in it are stand-ins (standin.yaml); PureLB itself is the walkthrough's business.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from lab.settings import FAULTS_FILE
from tests.system.conftest import LabUnderTest, eventually
from tests.system.standins import (
    MASTER,
    WORKER11,
    WORKER12,
    agent_on,
    all_ready,
    curl,
    is_ready,
    pods,
    reaches,
    standins,
)

pytestmark = pytest.mark.timeout(180)

UNREACHABLE = "node.kubernetes.io/unreachable"


@pytest.fixture(scope="module")
def lab() -> Iterator[LabUnderTest]:
    with standins() as lab:
        yield lab


# --- the wire ---


def test_nodes_have_the_articles_names_and_addresses(lab: LabUnderTest) -> None:
    found = lab.hosts.get("nodes")["items"]

    internal = {
        node["metadata"]["name"]: [one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP"]
        for node in found
    }
    assert internal == {
        MASTER: ["10.31.188.1", "fd00:10:31::188:1"],
        WORKER11: ["10.31.188.11", "fd00:10:31::188:11"],
        WORKER12: ["10.31.188.12", "fd00:10:31::188:12"],
    }
    assert all(is_ready(node) for node in found)
    shown = lab.must("exec", "worker-188-11", "--", "ip", "addr", "show", "eth0")
    assert "52:54:00:3c:88:cb" in shown
    assert "inet 10.31.188.11/16 brd 10.31.255.255" in shown


def test_every_node_has_a_default_route_of_both_families(lab: LabUnderTest) -> None:
    for node in ("master", "worker-188-11", "worker-188-12"):
        assert "default via 10.31.254.251 dev eth0" in lab.hosts.output(node, "ip", "route")
        assert "default via fd00:10:31::254:251 dev eth0" in lab.hosts.output(node, "ip", "-6", "route")


@pytest.mark.parametrize("vip", ["10.189.7.7", "fd00:10:189::7:7"])
def test_the_router_spreads_routed_addresses_over_the_workers(lab: LabUnderTest, vip: str) -> None:
    url = f"http://[{vip}]/" if ":" in vip else f"http://{vip}/"
    status = {"status": {"loadBalancer": {"ingress": [{"ip": vip}]}}}
    patch = ("patch", "service", "routed", "-n", "purelb", "--subresource=status", "--type=merge", "-p")
    lab.kubectl(*patch, json.dumps(status))
    try:
        workers = {"[fd00:10:31::188:11]", "[fd00:10:31::188:12]"} if ":" in vip else {"10.31.188.11", "10.31.188.12"}

        def takers() -> set[str]:
            """The pods see the node that took the request: it has no other way back. Each worker hears by itself."""
            answers = (curl(lab, "client", url) for _ in range(30))
            return {answer.split(" ")[1].rpartition(":")[0] for answer in answers if answer}

        assert eventually(lambda: takers() == workers, seconds=40)
    finally:
        lab.kubectl(*patch, '{"status": {"loadBalancer": null}}')


def test_nodes_answer_arp_for_their_own_interface_only(lab: LabUnderTest) -> None:
    """What strictARP sees to: a VIP on another link of the node is not told to the wire."""
    lab.hosts.output("worker-188-11", "ip", "addr", "add", "10.31.188.78/32", "dev", "lo")
    try:
        done = lab.hosts.run("client", ["ping", "-c", "1", "-W", "1", "10.31.188.78"])
        assert done.returncode != 0
    finally:
        lab.hosts.output("worker-188-11", "ip", "addr", "del", "10.31.188.78/32", "dev", "lo")


# --- faults ---


def _node(lab: LabUnderTest, name: str) -> dict[str, Any]:
    node: dict[str, Any] = lab.hosts.get("node", name)
    return node


def test_a_node_without_power_is_gone_and_comes_back(lab: LabUnderTest) -> None:
    lab.must("fault", "worker-188-12", "power")
    try:
        assert lab.hosts.run("client", ["ping", "-c", "1", "-W", "1", "10.31.188.12"]).returncode != 0
        assert eventually(lambda: not is_ready(_node(lab, WORKER12)))
        assert eventually(lambda: UNREACHABLE in {one["key"] for one in _node(lab, WORKER12)["spec"].get("taints", ())})
        assert not is_ready(agent_on(lab, WORKER12))
        assert "power" in lab.must("status")
    finally:
        assert "power healed" in lab.must("heal", "worker-188-12")
    assert eventually(
        lambda: lab.hosts.run("client", ["ping", "-c", "1", "-W", "2", "10.31.188.12"]).returncode == 0
    )  # neighbours may remember it as gone for a moment
    assert eventually(lambda: is_ready(_node(lab, WORKER12)) and not _node(lab, WORKER12)["spec"].get("taints"))
    assert eventually(lambda: all_ready(lab, "agent", 3))


@pytest.mark.parametrize("kind", ["agent-kill", "agent-stop"])
def test_an_agent_that_a_fault_ended_stays_away_until_healed(lab: LabUnderTest, kind: str) -> None:
    other = agent_on(lab, WORKER12)["status"]["containerStatuses"][0]["restartCount"]
    lab.must("fault", "worker-188-11", kind)
    try:
        assert eventually(lambda: not is_ready(agent_on(lab, WORKER11)))
        assert "CrashLoopBackOff" in str(eventually(lambda: agent_on(lab, WORKER11)["status"]["containerStatuses"]))
        assert agent_on(lab, WORKER12)["status"]["containerStatuses"][0]["restartCount"] == other
    finally:
        lab.must("heal", "worker-188-11")
    assert eventually(lambda: is_ready(agent_on(lab, WORKER11)))


def test_a_partitioned_node_reaches_the_client_but_no_node(lab: LabUnderTest) -> None:
    def reaches(host: str, address: str) -> bool:
        return lab.hosts.run(host, ["ping", "-c", "1", "-W", "1", address]).returncode == 0

    lab.must("fault", "worker-188-11", "partition")
    try:
        assert reaches("client", "10.31.188.11")
        assert not reaches("worker-188-12", "10.31.188.11")
        assert reaches("worker-188-12", "10.31.188.1")
        assert is_ready(_node(lab, WORKER11))
    finally:
        lab.must("heal", "worker-188-11")
    # A neighbour that didn't answer is asked again once a second.
    assert eventually(lambda: reaches("worker-188-12", "10.31.188.11"))


def test_drain_moves_pods_and_leaves_the_agent(lab: LabUnderTest) -> None:
    lab.must("fault", "worker-188-12", "drain")
    try:
        assert _node(lab, WORKER12)["spec"]["unschedulable"]
        assert eventually(lambda: all_ready(lab, "web", 4))
        assert {pod["spec"]["nodeName"] for pod in pods(lab, "web")} == {WORKER11}
        assert is_ready(agent_on(lab, WORKER12))
    finally:
        lab.must("heal", "worker-188-12")
    assert not _node(lab, WORKER12)["spec"].get("unschedulable")


def test_a_noexecute_taint_drives_pods_away_until_it_is_gone(lab: LabUnderTest) -> None:
    lab.kubectl("taint", "node", WORKER11, "maintenance=now:NoExecute")
    try:
        assert eventually(lambda: WORKER11 not in {pod["spec"].get("nodeName") for pod in pods(lab, "agent")})
        assert eventually(lambda: WORKER11 not in {pod["spec"].get("nodeName") for pod in pods(lab, "web")})
    finally:
        lab.kubectl("taint", "node", WORKER11, "maintenance=now:NoExecute-")
    assert eventually(lambda: all_ready(lab, "agent", 3) and all_ready(lab, "web", 4))


def test_the_lab_outlives_an_api_server_that_is_down(lab: LabUnderTest) -> None:
    url = (lab.folder / FAULTS_FILE).read_text().strip() + "/faults"
    request = urllib.request.Request(url, data=b'{"kind": "down"}', method="POST")
    with urllib.request.urlopen(request):
        assert lab.hosts.kubectl("get", "nodes", "--request-timeout=1s").returncode != 0
        assert reaches(lab, "10.31.188.11")
        time.sleep(2)  # long enough that every heartbeat, watch and status write meets the fault
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE")):
        pass

    lab.kubectl("delete", "pod", "-n", "purelb", agent_on(lab, WORKER11)["metadata"]["name"])
    assert eventually(lambda: all_ready(lab, "agent", 3))
    assert eventually(lambda: all(is_ready(node) for node in lab.hosts.get("nodes")["items"]))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fault", "client", "power"), "tiny-centos7-100-2 is no node"),
        (("fault", "worker-99", "power"), "no host 'worker-99'"),
        (("fault", "worker-188-11", "flood"), "no fault 'flood' of a node; there are: power"),
        (("fault", "api", "flood"), "no fault 'flood' of the API server; there are: a code (429), read-only"),
        (("fault", "api", "restart", "--verb", "list"), "restart befalls the API server as a whole"),
        (("exec", "worker-188-11", "--", "no-such-program"), "no-such-program: No such file or directory"),
        (("logs", "no-such-program"), "no log of 'no-such-program'"),
        (("up", "--bare"), "a lab runs in"),
        (("vtysh", "-c", "show version"), "has no FRR: start it with --ecmp"),
        (("birdc", "worker-188-11"), "no BIRD runs on tiny-cilium-worker-188-11.k8s.tcinternal"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(lab: LabUnderTest, arguments: tuple[str, ...], sentence: str) -> None:
    done = lab.run(*arguments)

    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
