"""Real programs that manage a node's NIC take a VIP away: the agent puts it back, and says who it was.

They run in a PID namespace of their own, so that the agent sees of them what it sees in a pod.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from lbnodeagent.kernel.addressmanagers import DHCLIENT, NETWORK_MANAGER, NETWORKD
from purelb.election import ranking
from tests.system.agentlab import NODES, WORKER11, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(120)

OWN = "10.31.188.11"
VIP = next(vip for n in range(64, 250) if ranking(list(NODES), vip := f"10.31.188.{n}")[0] == WORKER11)
VIP6 = next(vip for n in range(64, 99) if ranking(list(NODES), vip := f"fd00:10:31::1:{n}")[0] == WORKER11)
SECONDS = 5.0
"""Where an address is missed only by the look at all of them it takes up to a minute."""
UNNAMED = "else look at NetworkManager and at DHCP client scripts"
"""What is said when the program was gone by the time the agent looked."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[AgentLab]:
    with three_nodes() as lab, dhcp_server(lab):
        yield lab


@pytest.fixture
def agents(cluster: AgentLab) -> Iterator[AgentLab]:
    """Healthy nodes without Services, whose addresses and routes are the lab's again afterwards."""
    with cluster.at_rest():
        addresses = cluster.addresses(WORKER11)
        routes = {family: cluster.ip(WORKER11, family, "route", "show") for family in ("-4", "-6")}
        yield cluster
        for address in addresses.values():
            lifetimes = ("valid_lft", "forever", "preferred_lft", "forever")
            cluster.ip(
                WORKER11, "addr", "replace", f"{address['local']}/{address['prefixlen']}", "dev", "eth0", *lifetimes
            )
        for family, lines in routes.items():
            for line in lines.splitlines():
                if "proto static" in line:
                    cluster.ip(WORKER11, family, "route", "replace", *line.split())


@contextmanager
def dhcp_server(agents: AgentLab) -> Iterator[None]:
    """The client's host gives the node the address that it has."""
    mac = agents.ip(WORKER11, "-br", "link", "show", "eth0").split()[2]
    server = agents.hosts.spawn("client", "tests.system.nodesoftware", "serve.sh", mac, "eth0", OWN)
    try:
        yield
    finally:
        server.kill()  # unshare waits for its child when it is terminated
        server.communicate()


def gaps(monitored: str, vip: str) -> list[float]:
    """For how many seconds ``vip`` was gone, each time, from the lines of ``ip -tshort monitor``."""
    found, gone = [], None
    for at, line in re.findall(r"^\[(\S+)\] (.*)$", monitored, re.MULTILINE):
        if f" {vip}/" not in line:
            continue
        now = datetime.fromisoformat(at)
        if line.startswith("Deleted"):
            gone = gone or now
        elif gone is not None:
            found.append((now - gone).total_seconds())
            gone = None
    return found


@pytest.mark.parametrize(
    ("program", "operation", "vips", "told"),
    [
        # It takes the node's own address away as well, upon which the agent withdraws the IPv4 VIP by itself.
        (
            "networkd",
            "reconfigure",
            (VIP, VIP6),
            {OWN: f"it was {NETWORKD.name}", VIP6: f"this node runs {NETWORKD.name}"},
        ),
        (
            "networkmanager",
            "reapply",
            (VIP, VIP6),
            # The kernel doesn't say who took an IPv6 address away.
            {VIP: f"it was {NETWORK_MANAGER.name}", VIP6: f"this node runs {NETWORK_MANAGER.name}"},
        ),
        # What releases a lease is over at once: a busy agent may find nobody there any more.
        ("dhclient", "release", (VIP,), {VIP: f"this node runs {DHCLIENT.name}|{UNNAMED}"}),
    ],
)
def test_a_vip_is_back_at_once_and_the_program_that_took_it_is_named(
    agents: AgentLab, tmp_path: Path, program: str, operation: str, vips: tuple[str, ...], told: dict[str, str]
) -> None:
    services = {vip: f"{program}-{number}" for number, vip in enumerate(vips)}
    agents.apply(*(service(name, "wire", ip=vip) for vip, name in services.items()))
    assert {agents.owner(vip) for vip in vips} == {WORKER11}

    # What the agent withdrew before the program took it away doesn't count: it goes on until the agent says something.
    stop = tmp_path / "stop"
    taking = agents.hosts.spawn(
        WORKER11, "tests.system.nodesoftware", "innode.sh", program, operation, str(stop), OWN, *vips
    )
    try:
        messages = {
            vip: eventually(
                partial(agents.events, services.get(vip, WORKER11), "AddressRemoved"), seconds=60, every=0.5
            )
            for vip in told
        }
    finally:
        stop.touch()
        said = taking.communicate()[0]

    assert "gave up" not in said, said
    away = {vip: gaps(said, vip) for vip in vips}
    assert all(len(times) >= 3 for times in away.values()), said
    assert max(max(times) for times in away.values()) < SECONDS, f"seconds that {program} took them away for: {away}"
    for vip, sentence in told.items():
        (message,) = (one for one in messages[vip] if f" removed {vip} " in one or f" removed {vip}, " in one)
        what = "the node's own address, .*" if vip == OWN else ".* and PureLB put it back"
        assert re.search(f" removed {vip}.* {what}: .*({sentence})", message)
