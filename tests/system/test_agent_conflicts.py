"""Others who have or take our addresses: duplicates found by detection or later, and programs that wipe."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from purelb.election import owner, ranking
from tests.system.agentlab import NODES, SHORT, AgentLab, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(120)

VIP = "10.31.188.64"
VIP6 = "fd00:10:31::1:64"
RESTORED = "purelb_lbnodeagent_address_restorations_total"
ROGUE = "tiny-openwrt-plus"


@pytest.fixture(scope="module")
def cluster() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        yield lab


@pytest.fixture
def agents(cluster: AgentLab) -> Iterator[AgentLab]:
    """Three healthy nodes without Services."""
    with cluster.at_rest():
        yield cluster


@contextmanager
def detecting_duplicates(agents: AgentLab) -> Iterator[None]:
    """The kernel's default, which the lab turns off."""

    def turn(detection: int) -> None:
        for node in NODES:
            for key in ("accept_dad", "dad_transmits"):
                agents.hosts.output(node, "sysctl", "-qw", f"net.ipv6.conf.eth0.{key}={detection}")

    turn(1)
    try:
        yield
    finally:
        turn(0)


def mac_of(agents: AgentLab, host: str) -> str:
    return agents.ip(host, "-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]


def test_a_new_ipv6_address_is_looked_for_on_the_wire_first_and_one_that_moves_is_not(agents: AgentLab) -> None:
    node, heir = ranking(NODES, VIP6)[:2]
    with detecting_duplicates(agents):
        agents.apply(service("six", "wire", ip=VIP6))

        first = eventually(lambda: agents.addresses(node).get(VIP6), every=0.02)
        assert first
        assert first.get("tentative")
        assert not first.get("nodad")
        assert not agents.annotation("six", "IPv6")  # it doesn't answer yet
        assert eventually(lambda: not agents.addresses(node)[VIP6].get("tentative"), seconds=5)
        assert agents.hosts.run("client", ["ping", "-6", "-c", "1", "-W", "1", VIP6]).returncode == 0
        assert eventually(lambda: agents.annotation("six", "IPv6"))

        with agents.pinging(VIP6) as seen:
            agents.lab.must("fault", SHORT[node], "power")
            there = eventually(lambda: agents.addresses(heir).get(VIP6), seconds=3, every=0.02)
            time.sleep(0.5)
        assert there
        assert there.get("nodad")
        assert not there.get("tentative")
        assert seen[0].longest <= 1000


def test_a_group_may_skip_the_detection(agents: AgentLab) -> None:
    group = {
        "apiVersion": "purelb.io/v2",
        "kind": "ServiceGroup",
        "metadata": {"name": "quick", "namespace": "purelb"},
        "spec": {
            "local": {
                "skipIPv6DAD": True,
                "v6pool": {"subnet": "fd00:10:31::/64", "pool": "fd00:10:31::2:0-fd00:10:31::2:ff"},
            }
        },
    }
    vip = "fd00:10:31::2:7"
    agents.apply(group)
    with detecting_duplicates(agents):
        agents.apply(service("quick", "quick", ip=vip))

        there = eventually(lambda: agents.addresses(owner(NODES, vip) or "").get(vip), every=0.02)

        assert there
        assert there.get("nodad")
        assert not there.get("tentative")


@pytest.mark.parametrize("lifetime", [20, 0], ids=["finite", "permanent"])
def test_an_ipv6_address_that_another_host_has_is_left_to_it_and_taken_when_it_goes(
    agents: AgentLab, lifetime: int
) -> None:
    """The kernel deletes a duplicate of finite lifetime, and marks a permanent one."""
    node, name = owner(NODES, VIP6), f"twice-{lifetime}"
    agents.patch("lbnodeagent", "default", addressing(lifetime), "purelb")
    agents.ip(ROGUE, "addr", "add", f"{VIP6}/128", "dev", "eth0", "nodad")
    try:
        with detecting_duplicates(agents):
            agents.apply(service(name, "wire", ip=VIP6))
            see_it_left_to_the_other(agents, name, VIP6, node)
            assert not agents.annotation(name, "IPv6")

            agents.ip(ROGUE, "addr", "del", f"{VIP6}/128", "dev", "eth0")
            assert eventually(lambda: agents.annotation(name, "IPv6"), seconds=25)
            assert agents.holders(VIP6) == [node]
    finally:
        agents.hosts.run(ROGUE, ["ip", "addr", "del", f"{VIP6}/128", "dev", "eth0"])
        agents.patch("lbnodeagent", "default", {"local": {"addressConfig": None}}, "purelb")


def test_an_ipv4_address_that_another_host_has_is_left_to_it_and_its_neighbours_believe_it_throughout(
    agents: AgentLab,
) -> None:
    """The LAN's resolver, say, in a pool that is too wide."""
    node, name = owner(NODES, VIP), "taken"
    agents.ip(ROGUE, "addr", "add", f"{VIP}/32", "dev", "eth0")
    try:
        agents.hosts.run("client", ["ping", "-c", "1", "-W", "1", VIP])
        with agents.pinging(VIP) as seen:
            agents.apply(service(name, "wire", ip=VIP))
            see_it_left_to_the_other(agents, name, VIP, node)
            time.sleep(12)  # a question later
            assert not agents.holders(VIP)
        assert seen[0].longest <= 1000
        assert mac_of(agents, ROGUE) in agents.ip("client", "neigh", "show", VIP)
        assert not agents.annotation(name, "IPv4")

        agents.ip(ROGUE, "addr", "del", f"{VIP}/32", "dev", "eth0")
        assert eventually(lambda: agents.annotation(name, "IPv4"), seconds=35)
        assert agents.holders(VIP) == [node]
    finally:
        agents.hosts.run(ROGUE, ["ip", "addr", "del", f"{VIP}/32", "dev", "eth0"])


def see_it_left_to_the_other(agents: AgentLab, name: str, ip: str, node: str | None) -> None:
    """The Service's node doesn't have the address, and the Service's events say who does."""
    text = f"Another host, {mac_of(agents, ROGUE)}, answers for {ip}, which node {node}"
    assert eventually(lambda: any(one.startswith(text) for one in agents.events(name, "AddressConflict")))
    assert eventually(lambda: agents.events(name, "AnnouncementFailed")) == [
        f"Node {node} could not announce {ip} on interface eth0: "
        "duplicate address detection found another host that has the address"
    ]
    assert eventually(lambda: not agents.holders(ip))


def addressing(lifetime: int) -> dict[str, object]:
    """The part of an LBNodeAgent's spec that sets the lifetime of addresses on a NIC, in seconds."""
    return {"local": {"addressConfig": {"localInterface": {"validLifetime": lifetime}}}}


@pytest.mark.parametrize("is_told", [True, False], ids=["announced", "unannounced"])
def test_another_host_that_answers_for_an_ipv6_address_later_is_named_in_an_event(
    agents: AgentLab, is_told: bool
) -> None:
    """Also when nothing else than that answer happens on the node, as where announcements are turned off."""
    name = "announced" if is_told else "unannounced"
    agents.patch("lbnodeagent", "default", {"local": {"garpConfig": {"enabled": is_told}}}, "purelb")
    agents.ip(ROGUE, "addr", "add", f"{VIP6}/128", "dev", "eth0", "nodad")
    try:
        agents.apply(service(name, "wire", ip=VIP6))  # the lab's kernels detect nothing

        node = agents.owner(VIP6)
        (message,) = eventually(lambda: agents.events(name, "AddressConflict"))
        assert message.startswith(f"Another host, {mac_of(agents, ROGUE)}, answers for {VIP6}, which node {node}")
        assert metric(agents, node, "purelb_lbnodeagent_address_conflicts_total") >= 1
    finally:
        agents.ip(ROGUE, "addr", "del", f"{VIP6}/128", "dev", "eth0")
        agents.patch("lbnodeagent", "default", {"local": {"garpConfig": None}}, "purelb")


def metric(agents: AgentLab, node: str, name: str) -> float:
    """Of a node's agent; without labels."""
    address = agents.hosts.output(node, "ip", "-4", "-br", "addr", "show", "eth0").split()[2].split("/")[0]
    page = agents.hosts.run("client", ["curl", "-s", f"http://{address}:7472/metrics"]).stdout
    found = re.search(rf"^{name} ([\d.]+)", page, re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("promotes", [0, 1])
def test_what_the_agent_withdraws_itself_was_removed_by_nobody_else(agents: AgentLab, promotes: int) -> None:
    """The kernel removes the other addresses of a subnet with its first one, unless it promotes one of them."""
    vips = [f"10.190.7.{number}" for number in range(1, 4)]
    pool = {"subnet": "10.190.7.0/24", "pool": "10.190.7.1-10.190.7.9", "aggregation": "/24"}
    group = {
        "apiVersion": "purelb.io/v1",
        "kind": "ServiceGroup",
        "metadata": {"name": "together", "namespace": "purelb"},
        "spec": {"local": {"v4pool": pool}},
    }
    agents.apply(group)
    for node in NODES:
        agents.hosts.output(node, "sysctl", "-qw", f"net.ipv4.conf.kube-lb0.promote_secondaries={promotes}")
    before = [metric(agents, node, RESTORED) for node in NODES]
    agents.apply(*(service(f"together-{vip[-1]}-{promotes}", "together", ip=vip) for vip in vips))
    assert eventually(lambda: all(len(agents.holders(vip, "kube-lb0")) == 3 for vip in vips))

    agents.lab.kubectl("delete", "service", *(f"together-{vip[-1]}-{promotes}" for vip in vips))

    assert eventually(lambda: not any(agents.holders(vip, "kube-lb0") for vip in vips))
    time.sleep(1.5)
    assert [metric(agents, node, RESTORED) for node in NODES] == before


def test_kube_proxy_in_mode_ipvs_without_strict_arp_is_told_on_the_node(agents: AgentLab) -> None:
    node, gauge = NODES[1], "purelb_lbnodeagent_stray_arp_interfaces"
    agents.ip(node, "link", "add", "kube-ipvs0", "type", "bridge")
    try:
        agents.hosts.output(node, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0")  # the lab's is 1
        agents.ip(node, "addr", "add", f"{VIP}/32", "dev", "kube-ipvs0")
        (message,) = eventually(lambda: agents.events(node, "StrictARPOff"), seconds=20)
        assert "strictARP: true" in message
        assert metric(agents, node, gauge) == 1

        agents.hosts.output(node, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
        assert eventually(lambda: metric(agents, node, gauge) == 0, seconds=20)
    finally:
        agents.hosts.output(node, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
        agents.ip(node, "link", "del", "kube-ipvs0")


def test_who_keeps_removing_an_address_is_named_with_the_setting_that_stops_it(agents: AgentLab) -> None:
    agents.apply(service("wiped", "wire", ip=VIP))
    node = agents.owner(VIP)
    index = agents.ip(node, "-o", "link", "show", "eth0").split(":")[0]

    wiper = agents.hosts.spawn(node, "tests.system.wiper", index, VIP, "16", "3")
    try:
        (message,) = eventually(lambda: agents.events("wiped", "AddressRemoved"))
    finally:
        output = wiper.communicate(timeout=20)[0]

    assert output.splitlines() == ["[(0, 0)]", "[(1, 0)]", "[(2, 0)]"]
    assert message.startswith(f"Something on node {node} removed {VIP} from interface eth0 3 times in a minute")
    assert "systemd-network" in message
    assert "KeepConfiguration=yes" in message
    assert agents.holders(VIP) == [node]
