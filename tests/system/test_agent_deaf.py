"""Nodes that don't hear each other, by a closed port or a dead one: it is said, by name, and no address is on two."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from purelb.election import owner
from tests.system.agentlab import NODES, SHORT, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(240)

VIP = "10.31.188.77"
OTHER = "10.31.188.78"


@pytest.fixture(scope="module")
def agents() -> Iterator[AgentLab]:
    with three_nodes() as lab, lab.at_rest():
        yield lab


@contextmanager
def closed(agents: AgentLab) -> Iterator[None]:
    """No node hears the gossip."""
    done = agents.lab.run("fault", "all", "deaf")
    if "nft refuses the rules" in done.stderr:
        pytest.skip("this kernel's nftables know no bridges")
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        agents.lab.must("heal", "all", "deaf")


def versions(agents: AgentLab, name: str, seconds: int) -> int:
    """How often a Service changes within that time."""
    seen = set()
    for _ in range(seconds):
        seen.add(agents.service(name)["metadata"]["resourceVersion"])
        time.sleep(1.0)
    return len(seen) - 1


def at_home(agents: AgentLab, vip: str) -> str:
    """The node that is first by the hash rule, once it alone has the address: then all nodes hear each other again."""
    first = owner(NODES, vip)
    assert first
    assert eventually(lambda: agents.holders(vip) == [first], seconds=30), agents.holders(vip)
    return first


def settled(agents: AgentLab, vip: str) -> str:
    """The one node that has an address, which it is within a few seconds."""
    assert eventually(lambda: len(agents.holders(vip)) == 1, seconds=30)
    (holder,) = agents.holders(vip)
    return holder


def watched(agents: AgentLab, vip: str, seconds: float) -> list[set[str]]:
    """Who has an address, looked at for so long."""
    seen: list[set[str]] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        seen.append(set(agents.holders(vip)))
        time.sleep(0.2)
    return seen


def test_agents_that_never_heard_each_other_say_so_with_port_and_names_and_share_no_address(agents: AgentLab) -> None:
    with closed(agents):
        for node in NODES:
            agents.lab.must("fault", SHORT[node], "agent-kill")
        time.sleep(1.0)
        for node in NODES:
            agents.lab.must("heal", SHORT[node], "agent-kill")
        agents.apply(service("deaf", "wire", ip=VIP))
        holder = settled(agents, VIP)

        for node in NODES:
            (message, *_) = eventually(lambda node=node: agents.events(node, "AgentsUnheard"), seconds=60)  # type: ignore[misc]
            assert "port 7934, UDP and TCP" in message
            assert all(other in message for other in NODES if other != node)
        assert versions(agents, "deaf", 10) <= 3
        assert agents.holders(VIP) == [holder]

    at_home(agents, VIP)
    assert eventually(lambda: agents.annotation("deaf") == f"{owner(NODES, VIP)},eth0")


def test_with_the_port_closed_everything_stays_where_it_is(agents: AgentLab) -> None:
    agents.apply(service("stays", "wire", ip=OTHER))
    holder = at_home(agents, OTHER)

    with closed(agents):
        seen = watched(agents, OTHER, 12.0)

    assert all(holder in holders for holders in seen)
    assert [holders for holders in seen if len(holders) > 1][3:] == []


@pytest.mark.parametrize("fault", ["deaf", "mute"])
def test_what_a_node_had_that_others_do_not_hear_is_soon_on_one_of_them_alone(agents: AgentLab, fault: str) -> None:
    agents.apply(service("moves", "wire", ip=OTHER))
    first = at_home(agents, OTHER)

    agents.lab.must("fault", SHORT[first], fault)
    try:
        assert eventually(lambda: first not in agents.holders(OTHER), seconds=10)
        seen = watched(agents, OTHER, 8.0)
    finally:
        agents.lab.must("heal", SHORT[first], fault)

    assert all(len(holders) == 1 and first not in holders for holders in seen)
    assert at_home(agents, OTHER) == first


def test_a_node_behind_a_dead_port_takes_nothing(agents: AgentLab) -> None:
    agents.apply(service("elsewhere", "wire", ip=OTHER))
    holder = at_home(agents, OTHER)
    lonely = next(node for node in NODES if node != holder)

    agents.lab.must("fault", SHORT[lonely], "port-dead")
    try:
        seen = watched(agents, OTHER, 8.0)
    finally:
        agents.lab.must("heal", SHORT[lonely], "port-dead")

    assert [holders for holders in seen if holders != {holder}] == []
