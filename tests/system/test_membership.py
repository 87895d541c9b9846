"""The object that says who is there follows what happens to the nodes, and so does what is said of VIPs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from purelb.membership import MemberNode, Standing, parse_membership
from tests.system.agentlab import MASTER, NODES, WORKER11, WORKER12, AgentLab, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(240)

OBJECT = ("memberships.purelb.io", "purelb", "-n", "purelb")


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        assert eventually(lambda: serving(lab) == set(NODES), seconds=60), lab.lab.kubectl("get", *OBJECT, "-o", "yaml")
        yield lab


def nodes(agents: AgentLab) -> dict[str, MemberNode]:
    return parse_membership(agents.hosts.get(*OBJECT))


def serving(agents: AgentLab) -> set[str]:
    done = agents.hosts.kubectl("get", *OBJECT, "-o", "name")
    return {node.name for node in nodes(agents).values() if node.standing is Standing.SERVING} if done.stdout else set()


def version(agents: AgentLab) -> str:
    text: str = agents.hosts.get(*OBJECT)["metadata"]["resourceVersion"]
    return text


def test_one_line_says_that_all_are_there(agents: AgentLab) -> None:
    header, line = agents.lab.kubectl("get", "plbm", "-n", "purelb").splitlines()

    assert header.split() == ["NAME", "SERVING", "VIPS", "NOT", "SERVING", "SPOKESMAN", "OBSERVED", "AGE"]
    assert line.split()[:3] == ["purelb", "3/3", "0"]
    assert MASTER in line
    assert {str(subnet) for node in nodes(agents).values() for subnet in node.subnets} >= {"10.31.0.0/16"}
    assert all(node.speaks and node.version for node in nodes(agents).values())


def test_at_rest_nobody_writes_it(agents: AgentLab) -> None:
    before = version(agents)
    time.sleep(8.0)

    assert version(agents) == before


def test_it_follows_a_cordon(agents: AgentLab) -> None:
    agents.lab.must("fault", WORKER11, "cordon")
    try:
        assert eventually(lambda: nodes(agents)[WORKER11].standing is Standing.EXCLUDED)
        assert "cordoned" in agents.lab.kubectl("get", "plbm", "-n", "purelb")
    finally:
        agents.lab.must("heal", WORKER11)
    assert eventually(lambda: serving(agents) == set(NODES))


def test_it_follows_a_kube_proxy_that_does_not_answer(agents: AgentLab) -> None:
    agents.lab.must("fault", WORKER12, "proxy-frozen")
    try:
        assert eventually(lambda: nodes(agents)[WORKER12].standing is Standing.FAILING, seconds=30)
        assert nodes(agents)[WORKER12].reason == "its kube-proxy doesn't answer"
    finally:
        agents.lab.must("heal", WORKER12)
    assert eventually(lambda: serving(agents) == set(NODES), seconds=30)


def test_a_node_that_dies_is_gone_from_it_also_the_one_that_wrote_it(agents: AgentLab) -> None:
    agents.lab.must("fault", MASTER, "power")
    try:
        assert eventually(lambda: set(nodes(agents)) == {WORKER11, WORKER12}, seconds=10, every=0.05)
        assert agents.hosts.get(*OBJECT)["status"]["spokesman"] == WORKER11
    finally:
        agents.lab.must("heal", MASTER)
    assert eventually(lambda: serving(agents) == set(NODES), seconds=30), agents.hosts.get(*OBJECT)["status"]
    assert eventually(lambda: agents.hosts.get(*OBJECT)["status"]["spokesman"] == MASTER)


def test_an_agent_that_is_restarted_starts_and_comes_back(agents: AgentLab) -> None:
    agents.lab.must("fault", WORKER11, "agent-stop")
    try:
        reason = "its agent is replaced by the next one"
        assert eventually(lambda: nodes(agents)[WORKER11].reason == reason, every=0.05)
    finally:
        agents.lab.must("heal", WORKER11)
    assert eventually(lambda: serving(agents) == set(NODES), seconds=30)


def test_one_that_goes_for_good_leaves(agents: AgentLab) -> None:
    with agents.unwanted(WORKER11):
        assert eventually(lambda: WORKER11 not in nodes(agents), every=0.05)
    assert eventually(lambda: serving(agents) == set(NODES), seconds=30)
