"""kube-proxy's mode ipvs: who answers for a VIP that every node has, and what PureLB says about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.kubeproxy.real import VARIABLE
from tests.system.agentlab import GROUPS, NODES, AgentLab, service
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(180)

LINK, VIP, REASON = "kube-ipvs0", "10.31.188.64", "StrictARPOff"
WEB = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "echo"}]},
}


@pytest.fixture
def agents(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AgentLab]:
    monkeypatch.delenv(VARIABLE, raising=False)  # the real one wants ip_vs of the kernel
    lab = LabUnderTest(tmp_path)
    try:
        lab.must("up", "--proxy-mode", request.param)
        lab.kubectl("apply", "-f", "-", stdin=GROUPS)
        made = AgentLab(lab)
        made.apply(service("web", "wire", ip=VIP, selector={"app": "web"}), WEB)
        assert eventually(lambda: is_served(made))
        assert eventually(lambda: all(VIP in made.addresses(node, LINK) for node in NODES))
        yield made
    finally:
        lab.down()


def is_served(agents: AgentLab) -> bool:
    return agents.hosts.run("client", ["curl", "-sS", "--max-time", "1", f"http://{VIP}/"]).returncode == 0


def answerers(agents: AgentLab) -> set[str]:
    """The MACs that answer when the client asks the wire who has the VIP."""
    told = agents.hosts.run("client", ["arping", "-c", "3", "-w", "3", "-I", "eth0", VIP]).stdout
    return {mac.lower() for mac in re.findall(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", told)}


def macs(agents: AgentLab) -> dict[str, str]:
    nodes = {host["name"]: host["mac"] for host in json.loads(agents.lab.must("status", "--json"))["hosts"]}
    return {node: nodes[node] for node in NODES}


@pytest.mark.parametrize("agents", ["ipvs"], indirect=True)
def test_without_strict_arp_every_node_answers_and_its_agent_says_so(agents: AgentLab) -> None:
    assert eventually(lambda: answerers(agents) == set(macs(agents).values())), answerers(agents)
    for node in NODES:
        (message,) = eventually(lambda: agents.events(node, REASON), seconds=20)  # noqa: B023
        assert "eth0" in message
        assert "strictARP: true" in message
    assert is_served(agents), "whoever answers, kube-proxy there serves it"


@pytest.mark.parametrize("agents", ["ipvs-strict-arp"], indirect=True)
def test_with_strict_arp_the_owner_alone_answers_and_nobody_complains(agents: AgentLab) -> None:
    owner = agents.owner(VIP)

    assert eventually(lambda: answerers(agents) == {macs(agents)[owner]}), answerers(agents)
    assert not any(agents.events(node, REASON) for node in NODES)

    agents.delete("web")
    assert eventually(lambda: not any(VIP in agents.addresses(node, LINK) for node in NODES))
