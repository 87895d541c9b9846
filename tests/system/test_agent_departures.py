"""A node or its agent dies, is stopped, or comes back: who has its addresses, and what is lost meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lbnodeagent.dataplane.planner import LEFT_BEHIND
from purelb.election import ranking
from tests.system.agentlab import MASTER, NODES, SHORT, WORKER11, WORKER12, AgentLab, service, three_nodes
from tests.system.conftest import eventually
from tests.system.recording import recorded

pytestmark = pytest.mark.timeout(120)

VIP = "10.31.188.64"  # worker-188-11, then worker-188-12, by the election's rule
VIP6 = "fd00:10:31::1:64"
ROUTED = "10.189.0.9"
FOREVER = 0xFFFFFFFF  # as `ip` shows it
RETURN = 20  # seconds for which an agent's addresses wait for the next one


@pytest.fixture(scope="module")
def cluster() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        yield lab


@pytest.fixture
def agents(cluster: AgentLab) -> Iterator[AgentLab]:
    """Three healthy nodes without Services."""
    with cluster.at_rest():
        yield cluster


@pytest.mark.parametrize("ip", [VIP, VIP6], ids=["IPv4", "IPv6"])
def test_when_the_owners_cable_is_cut_another_node_answers_within_a_second(agents: AgentLab, ip: str) -> None:
    agents.apply(service("one", "wire", ip=ip))
    node = agents.owner(ip)

    with agents.pinging(ip) as seen:
        agents.lab.must("fault", SHORT[node], "power")
        time.sleep(1.5)

    assert seen[0].longest <= 1000
    assert agents.holders(ip) == [ranking(NODES, ip)[1]]  # a NIC without a cable has let go too

    with agents.pinging(ip) as seen:
        agents.lab.must("heal", SHORT[node])
        assert eventually(lambda: agents.holders(ip) == [node])

    assert seen[0].lost <= 1
    family = "IPv4" if ip == VIP else "IPv6"
    assert eventually(lambda: agents.annotation("one", family) == f"{node},eth0")


def test_an_agent_that_goes_for_good_hands_over_without_a_lost_reply_and_another_takes_back_likewise(
    agents: AgentLab,
) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("two", "routed", ip=ROUTED))
    node = agents.owner(VIP)
    assert eventually(lambda: len(agents.holders(ROUTED, "kube-lb0")) == 3)

    with agents.unwanted(node):
        with agents.pinging(VIP) as seen:
            assert eventually(lambda: agents.holders(VIP) == [WORKER12])
        assert seen[0].lost <= 1
        # Routers need to hear nothing of an agent's end: the routed address stays, though not for ever.
        assert eventually(lambda: 0 < agents.addresses(node, "kube-lb0")[ROUTED]["valid_life_time"] <= LEFT_BEHIND)
        assert eventually(lambda: agents.annotation("one") == f"{WORKER12},eth0")

    with agents.pinging(VIP) as seen:
        assert eventually(lambda: agents.holders(VIP) == [node], seconds=20)
    assert seen[0].lost <= 1
    assert eventually(lambda: agents.annotation("one") == f"{node},eth0")
    assert eventually(lambda: agents.addresses(node, "kube-lb0")[ROUTED]["valid_life_time"] == FOREVER)


def test_a_killed_agents_addresses_are_taken_over_and_expire_and_come_back_once(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("gone", "wire", ip="10.31.188.66"))
    node = agents.owner(VIP)
    assert agents.owner("10.31.188.66") == node == WORKER11

    with agents.pinging(VIP) as seen:
        agents.lab.must("fault", SHORT[node], "agent-kill")
        assert eventually(lambda: WORKER12 in agents.holders(VIP), seconds=3)
        agents.delete("gone")
        time.sleep(2)
        agents.lab.must("heal", SHORT[node])
        assert eventually(lambda: agents.holders(VIP) == [node] and agents.is_settled(), seconds=20)
    assert seen[0].longest <= 1000
    assert eventually(lambda: not agents.holders("10.31.188.66"))


def test_a_killed_agent_finds_its_routed_addresses_without_a_flap_and_sweeps_what_nobody_wants(
    agents: AgentLab,
) -> None:
    swept = "10.189.0.10"
    agents.apply(service("stays", "routed", ip=ROUTED), service("gone", "routed", ip=swept))
    assert eventually(lambda: agents.holders(ROUTED, "kube-lb0") == agents.holders(swept, "kube-lb0") == list(NODES))

    monitor = agents.hosts.spawn(MASTER, "tests.system.monitor")
    try:
        agents.lab.must("fault", SHORT[MASTER], "agent-kill")
        agents.delete("gone")
        assert swept in agents.addresses(MASTER, "kube-lb0")
        agents.lab.must("heal", SHORT[MASTER])
        assert eventually(lambda: swept not in agents.addresses(MASTER, "kube-lb0"), seconds=20)
        assert eventually(agents.is_settled, seconds=30)
    finally:
        monitor.terminate()
        seen = monitor.communicate()[0]

    assert [line for line in seen.splitlines() if f" {ROUTED}/" in line] == []
    assert len([line for line in seen.splitlines() if line.startswith("Deleted") and f" {swept}/" in line]) == 1


def test_an_agent_that_comes_back_without_api_and_peers_gives_up_what_another_node_answers_for(
    agents: AgentLab,
) -> None:
    lasting = {"addressConfig": {"localInterface": {"validLifetime": 300}}}
    agents.patch("lbnodeagent", "default", {"local": lasting}, "purelb")
    try:
        agents.apply(service("one", "wire", ip=VIP))
        assert agents.owner(VIP) == WORKER11
        assert eventually(lambda: agents.addresses(WORKER11)[VIP]["valid_life_time"] > 100)

        agents.lab.must("fault", SHORT[WORKER11], "agent-kill")
        assert eventually(lambda: agents.holders(VIP) == [WORKER11, WORKER12], seconds=3)
        with agents.api_away():
            agents.lab.must("heal", SHORT[WORKER11])
            assert eventually(lambda: agents.holders(VIP) == [WORKER12], seconds=30)
        assert eventually(lambda: agents.holders(VIP) == [WORKER11], seconds=30)
    finally:
        agents.patch("lbnodeagent", "default", {"local": {"addressConfig": None}}, "purelb")


def test_an_agent_that_stays_dead_leaves_no_address_on_its_nic_after_10_seconds(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    assert eventually(lambda: agents.holders(VIP) == [WORKER11])

    agents.lab.must("fault", SHORT[WORKER11], "agent-kill")

    assert eventually(lambda: agents.holders(VIP) == [WORKER12], seconds=15)


def test_a_frozen_agent_has_its_address_for_10_seconds_and_when_it_goes_on_takes_it_by_a_hand_over(
    agents: AgentLab,
) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    assert eventually(lambda: agents.holders(VIP) == [WORKER11])

    pid = agents.agent_pid(WORKER11)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert eventually(lambda: agents.holders(VIP) == [WORKER12], seconds=15)
    finally:
        os.kill(pid, signal.SIGCONT)
    with agents.pinging(VIP) as seen:
        assert eventually(lambda: agents.holders(VIP) == [WORKER11])
    assert seen[0].lost <= 1
    assert agents.events("one", "AddressRemoved") == []


def test_a_rolling_restart_of_all_agents_moves_no_address_and_loses_no_reply(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("six", "wire", ip=VIP6))
    owners = {vip: agents.owner(vip) for vip in (VIP, VIP6)}
    assert eventually(lambda: agents.annotation("one") == f"{owners[VIP]},eth0")
    told = eventually(lambda: agents.events("one", "AnnouncingLocal"))

    with ExitStack() as stack:
        recordings = [
            stack.enter_context(recorded(agents.hosts, node, "tests.system.monitor", end=signal.SIGTERM))
            for node in NODES
        ]
        with agents.pinging(VIP) as seen, agents.pinging(VIP6) as seen6:
            agents.lab.kubectl("rollout", "restart", "daemonset/lbnodeagent", "-n", "purelb")
            agents.lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=50s")
            assert eventually(agents.is_settled, seconds=20)
    changes = [line for recording in recordings for line in recording]

    assert seen[0].lost == seen6[0].lost == 0
    assert {vip: agents.holders(vip) for vip in owners} == {vip: [owner] for vip, owner in owners.items()}
    about = [line for line in changes if f" {VIP}/" in line or f" {VIP6}/" in line]
    assert [line for line in about if line.startswith("Deleted")] == []
    assert agents.events("one", "AnnouncingLocal") == told, "nobody says that it announced it anew"


def test_an_agent_that_is_not_replaced_in_time_has_an_heir_before_its_address_expires(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    node = agents.owner(VIP)

    with agents.pinging(VIP) as seen:
        agents.lab.must("fault", SHORT[node], "agent-stop")
        assert eventually(lambda: 10 < agents.addresses(node)[VIP]["valid_life_time"] <= RETURN + 3)
        assert agents.holders(VIP) == [node]
        assert eventually(lambda: agents.holders(VIP) == [node, WORKER12], seconds=RETURN + 5)
        assert eventually(lambda: agents.holders(VIP) == [WORKER12], seconds=10)
        agents.lab.must("heal", SHORT[node])
        assert eventually(lambda: agents.holders(VIP) == [node], seconds=20)
    assert seen[0].lost <= 1


def test_a_node_that_dies_while_its_agent_is_replaced_is_succeeded_within_a_second(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    node = agents.owner(VIP)
    agents.lab.must("fault", SHORT[node], "agent-stop")
    assert eventually(lambda: agents.addresses(node)[VIP]["valid_life_time"] > 10)
    time.sleep(2.0)

    with agents.pinging(VIP) as seen:
        agents.lab.must("fault", SHORT[node], "power")
        time.sleep(1.5)

    assert seen[0].longest <= 1000
    assert WORKER12 in agents.holders(VIP)


def test_with_the_api_away_every_address_stays_and_failover_works_and_is_told_afterwards(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("two", "routed", ip=ROUTED))
    node = agents.owner(VIP)
    assert eventually(lambda: len(agents.holders(ROUTED, "kube-lb0")) == 3)
    assert eventually(lambda: agents.annotation("one") == f"{node},eth0")

    with agents.api_away(), agents.pinging(VIP) as seen:
        time.sleep(3)
        agents.lab.must("fault", SHORT[node], "power")
        time.sleep(12)  # longer than an address lives that nobody renews
        assert agents.holders(VIP) == [WORKER12]
        assert set(agents.holders(ROUTED, "kube-lb0")) >= {MASTER, WORKER12}

    assert seen[0].longest <= 1000
    assert eventually(lambda: agents.annotation("one") == f"{WORKER12},eth0", seconds=5)
    text = f"Node {WORKER12} announcing {VIP} on interface eth0"
    assert eventually(lambda: text in agents.events("one", "AnnouncingLocal"), seconds=5)
