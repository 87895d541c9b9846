"""Dashboard and alerts before a real Prometheus that scrapes a lab: nothing fires until something is wrong.

Those that need BIRD, a bug of ours or minutes of silence fire in tests/test_monitoring.py alone.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Set
from contextlib import ExitStack

import pytest
import yaml

from manifests.build import MONITORING
from manifests.dashboard import panels
from tests.system.agentlab import MASTER, SHORT, WORKER11, WORKER12, AgentLab, service, three_nodes
from tests.system.conftest import eventually
from tests.system.prometheus import Prometheus

pytestmark = pytest.mark.timeout(240)

ALERTS = {
    rule["alert"]
    for group in yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
}
OF_NODES_AND_ADDRESSES = {
    "PureLBServicesWaiting",
    "PureLBPoolAlmostFull",
    "PureLBAddressConflict",
    "PureLBAddressRemoved",
    "PureLBAddressNowhere",
    "PureLBAddressRefused",
    "PureLBNodeNotServing",
    "PureLBDataPlaneLate",
    "PureLBGossipUnsteady",
    "PureLBKernelRefuses",
    "PureLBStrayArp",
    "PureLBForbidden",
    "PureLBFinding",
    "PureLBAddressTwice",
    "PureLBAgentsSeeDifferentNodes",
}
STEALS = "From which node to which: {{from}} to {{to}}"
"""Are written into annotations, to which the agents have no right then."""
FULL = """
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: full, namespace: purelb}
spec:
  local:
    v4pool: {subnet: 10.31.0.0/16, pool: 10.31.189.1/32, aggregation: /32}
"""


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        yield lab


@pytest.fixture(scope="module")
def prometheus(agents: AgentLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(agents.hosts, tmp_path_factory.mktemp("prometheus")) as running:
        yield running


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    """What is undone after a test."""
    with ExitStack() as stack:
        yield stack


def questions() -> dict[str, str]:
    """Every query of the dashboard, by the panel that shows it."""
    return {f"{panel.title}: {query.legend}": query.expr for panel in panels() for query in panel.queries}


def fault(agents: AgentLab, undo: ExitStack, target: str, *kind: str) -> None:
    agents.lab.must("fault", target, *kind)
    undo.callback(agents.lab.run, "heal", target)


def wait_for(prometheus: Prometheus, expected: Set[str], *, seconds: float) -> None:
    """Until each of these alerts has fired; one that comes and goes counts."""
    fired: set[str] = set()

    def look() -> bool:
        fired.update(prometheus.firing())
        return expected <= fired

    assert eventually(look, seconds=seconds, every=0.3), f"never fired: {expected - fired}"


def test_of_a_healthy_cluster_every_question_is_answered_and_no_alert_fires(
    agents: AgentLab, prometheus: Prometheus
) -> None:
    agents.apply(service("web", "wire", ip="10.31.188.70"), service("routed", "routed", ip="10.189.0.1"))
    agents.owner("10.31.188.70")

    assert eventually(lambda: prometheus.loaded() == ALERTS, seconds=30)
    assert eventually(lambda: len(prometheus.query("up == 1")) == 5, seconds=30)
    assert eventually(lambda: not prometheus.firing(), seconds=30), prometheus.firing()
    for question in questions().values():
        prometheus.query(question)
    assert eventually(lambda: shown(prometheus, "Addresses") == 2)
    for title in ("On two nodes", "On no node", "Services waiting", "Nodes that don't serve"):
        assert shown(prometheus, title) == 0, title


def shown(prometheus: Prometheus, title: str) -> float:
    """The value of a panel that has one."""
    (panel,) = (panel for panel in panels() if panel.title == title)
    (sample,) = prometheus.query(panel.queries[0].expr)
    return float(sample["value"][1])


def stutter(pid: int, over: threading.Event) -> None:
    """A process that is stopped for longer than its peers wait for it, again and again."""
    chance = random.Random(1)
    while not over.wait(chance.uniform(0.4, 0.8)):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.7)
        os.kill(pid, signal.SIGCONT)


def test_faults_of_nodes_and_addresses_fire_their_alerts_and_by_then_every_panel_shows_something(
    agents: AgentLab, prometheus: Prometheus, undo: ExitStack
) -> None:
    lab, hosts = agents.lab, agents.hosts
    lab.kubectl("apply", "-f", "-", stdin=FULL)
    hosts.output(MASTER, "sysctl", "-qw", "net.ipv6.conf.kube-lb0.disable_ipv6=1")
    hosts.output(MASTER, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0")
    agents.ip(MASTER, "link", "add", "kube-ipvs0", "type", "bridge")
    undo.callback(agents.ip, MASTER, "link", "del", "kube-ipvs0")
    agents.ip(MASTER, "addr", "add", "10.31.188.74/32", "dev", "kube-ipvs0")
    agents.apply(
        service("full-1", "full"),
        service("full-2", "full"),
        service("wiped", "wire", ip="10.31.188.71"),
        service("taken", "wire", ip="10.31.188.72"),
        service("foreign", "wire", ip="10.31.188.73"),
        service("ipvs", "wire", ip="10.31.188.74"),
        service("nobody", "routed", ip="10.189.0.2", policy="Local"),
        service("six", "routed", ip="fd00:10:189::6"),
    )
    wiped = agents.owner("10.31.188.71")
    lab.kubectl("delete", "clusterrolebinding", "purelb:lbnodeagent")
    fault(agents, undo, "cluster", "servicelb", "default/foreign")
    fault(agents, undo, "wire", "answer", "10.31.188.72")
    for _ in range(13):
        hosts.run(wiped, ["ip", "addr", "del", "10.31.188.71/16", "dev", "eth0"])
        assert eventually(lambda: "10.31.188.71" in agents.addresses(wiped), every=0.02)
    fault(agents, undo, SHORT[WORKER11], "proxy-dead")
    fault(agents, undo, SHORT[WORKER12], "partition")
    over = threading.Event()
    stutters = threading.Thread(target=stutter, args=(agents.agent_pid(WORKER11), over))
    stutters.start()
    undo.callback(stutters.join)
    undo.callback(over.set)

    wait_for(prometheus, OF_NODES_AND_ADDRESSES, seconds=60)
    assert {title for title, question in questions().items() if not prometheus.query(question)} <= {STEALS}


def test_programs_that_fail_fire_their_alerts(agents: AgentLab, prometheus: Prometheus, undo: ExitStack) -> None:
    lab = agents.lab
    lab.kubectl("apply", "-f", str(MONITORING.parent / "base" / "lbnodeagent-rbac.yaml"))
    fault(agents, undo, "all", "deaf")
    agents.patch("lbnodeagent", "default", {"local": {"localInterface": "nosuch0"}}, "purelb")
    fault(agents, undo, "api", "admission")
    wait_for(prometheus, {"PureLBAgentAlone", "PureLBConfigurationWrong", "PureLBUpdatesFail"}, seconds=30)

    lab.kubectl("delete", "lbnodeagent", "-n", "purelb", "--all")
    lab.kubectl("scale", "deployment", "-n", "purelb", "allocator", "--replicas=0")
    wait_for(prometheus, {"PureLBConfigurationRefused", "PureLBNoAllocator", "PureLBTargetDown"}, seconds=30)
