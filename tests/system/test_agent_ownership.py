"""On a kernel that keeps no marks, real or believed, an agent knows its own addresses and touches nobody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.agentlab import NODES, SHORT, WORKER11, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(300)

VIP, VIP6 = "10.31.188.64", "fd00:10:31::1:67"
ROUTED, ROUTED6 = "10.189.0.9", "fd00:10:189::9"
AS_BEFORE_V017 = {"addressConfig": {"localInterface": {"validLifetime": 0, "noPrefixRoute": False}}}
"""Nothing by which an address could be told."""
LOOKALIKE = ("valid_lft", "600", "preferred_lft", "0", "noprefixroute")


@pytest.fixture(scope="module")
def cluster() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        lab.lab.kubectl("set", "env", "daemonset/lbnodeagent", "-n", "purelb", "PURELB_OWNERSHIP=ledger")
        lab.lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=80s")
        yield lab


@pytest.fixture
def agents(cluster: AgentLab) -> Iterator[AgentLab]:
    with cluster.at_rest():
        yield cluster


def on(agents: AgentLab, node: str) -> set[str]:
    """The addresses of both interfaces."""
    return {*agents.addresses(node), *agents.addresses(node, "kube-lb0")}


def test_a_killed_agent_knows_its_permanent_addresses_and_takes_away_what_nobody_wants(agents: AgentLab) -> None:
    ours = {"one": VIP, "six": VIP6, "routed": ROUTED, "routed6": ROUTED6}
    agents.patch("lbnodeagent", "default", {"local": AS_BEFORE_V017}, "purelb")
    try:
        agents.apply(*(service(name, "wire", ip=ours[name]) for name in ("one", "six")))
        agents.apply(*(service(name, "routed", ip=ours[name]) for name in ("routed", "routed6")))
        node, node6 = agents.owner(VIP), agents.owner(VIP6)
        for each in NODES:  # as an admin's, or one that a killed PureLB in Go left behind
            agents.ip(each, "link", "set", "kube-lb0", "alias", "")
            assert eventually(lambda each=each: {ROUTED, ROUTED6} <= on(agents, each))  # type: ignore[misc]

        for each in NODES:
            agents.lab.must("fault", SHORT[each], "agent-kill")
        for name in ours:
            agents.delete(name)
        assert VIP in on(agents, node)
        assert VIP6 in on(agents, node6)
        for each in NODES:
            agents.lab.must("heal", SHORT[each])

        for each in NODES:
            assert eventually(lambda each=each: not on(agents, each) & set(ours.values()), seconds=40)  # type: ignore[misc]
    finally:
        agents.patch("lbnodeagent", "default", {"local": {"addressConfig": None}}, "purelb")


def test_an_agent_of_a_new_pod_goes_on_with_what_the_one_before_it_placed(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("routed6", "routed", ip=ROUTED6))
    assert agents.owner(VIP) == WORKER11
    assert eventually(lambda: len(agents.holders(ROUTED6, "kube-lb0")) == 3)

    agents.lab.kubectl("rollout", "restart", "daemonset/lbnodeagent", "-n", "purelb")
    agents.lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=120s")

    assert eventually(lambda: agents.holders(VIP) == [WORKER11], seconds=30)
    assert agents.holders(ROUTED6, "kube-lb0") == list(NODES)
    agents.delete("routed6")
    assert eventually(lambda: not agents.holders(ROUTED6, "kube-lb0"), seconds=20)


def test_what_only_looks_like_ours_is_left_alone(agents: AgentLab) -> None:
    theirs = {"10.31.188.201/16": "eth0", "fd00:10:31::2:1/64": "eth0", "10.189.0.77/32": "kube-lb0"}
    for address, link in theirs.items():
        agents.ip(WORKER11, "addr", "add", address, "dev", link, *(LOOKALIKE if link == "eth0" else ()))
    try:
        agents.lab.must("fault", SHORT[WORKER11], "agent-kill")
        agents.lab.must("heal", SHORT[WORKER11])
        assert eventually(agents.is_settled, seconds=60)
        agents.apply(service("one", "wire", ip=VIP))
        assert agents.owner(VIP) == WORKER11
        agents.delete("one")
        assert eventually(lambda: VIP not in on(agents, WORKER11))

        assert {address.partition("/")[0] for address in theirs} <= on(agents, WORKER11)
    finally:
        for address, link in theirs.items():
            agents.hosts.run(WORKER11, ["ip", "addr", "del", address, "dev", link])


def test_an_ipv4_address_says_by_its_label_whose_it_is(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    node = agents.owner(VIP)

    assert agents.addresses(node)[VIP]["label"] == "eth0:purelb"
