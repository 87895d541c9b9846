"""The gossip's port is closed between the nodes: it is said, by name, and nobody fights; opened, all is well."""

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


def test_agents_that_never_heard_each_other_say_so_with_port_and_names_and_do_not_fight(agents: AgentLab) -> None:
    with closed(agents):
        for node in NODES:
            agents.lab.must("fault", SHORT[node], "agent-kill")
        time.sleep(1.0)
        for node in NODES:
            agents.lab.must("heal", SHORT[node], "agent-kill")
        agents.apply(service("deaf", "wire", ip=VIP))
        assert eventually(lambda: len(agents.holders(VIP)) == 3, seconds=30)

        for node in NODES:
            (message, *_) = eventually(lambda node=node: agents.events(node, "AgentsUnheard"), seconds=60)  # type: ignore[misc]
            assert "port 7934, UDP and TCP" in message
            assert all(other in message for other in NODES if other != node)
        conflicts = eventually(lambda: agents.events("deaf", "AddressConflict"), seconds=30)
        assert any(node in one for one in conflicts for node in NODES)
        assert all("Another PureLB node, " in one and "port 7934, UDP and TCP" in one for one in conflicts), conflicts
        time.sleep(5.0)
        assert versions(agents, "deaf", 10) <= 3
        assert agents.annotation("deaf") == f"{owner(NODES, VIP)},eth0"

    assert agents.owner(VIP, seconds=30.0) == owner(NODES, VIP)
    assert eventually(lambda: agents.annotation("deaf") == f"{owner(NODES, VIP)},eth0")
