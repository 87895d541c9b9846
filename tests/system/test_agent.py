"""The node agent in a cluster of three nodes: what kernels, wire and API show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address

import pytest

from lbnodeagent.errors import FrameError
from lbnodeagent.wire.frames import BROADCAST, Arp, NeighbourAdvertisement, decode_advertisement, decode_arp
from purelb.election import owner
from tests.system.agentlab import MASTER, NODES, WORKER11, WORKER12, AgentLab, endpoint_slice, service, three_nodes
from tests.system.conftest import eventually

pytestmark = pytest.mark.timeout(120)

VIP = "10.31.188.64"  # worker-188-11, then worker-188-12, by the election's rule
VIP6 = "fd00:10:31::1:64"
ROUTED = "10.189.0.9"


@pytest.fixture(scope="module")
def cluster() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        yield lab


@pytest.fixture
def agents(cluster: AgentLab) -> Iterator[AgentLab]:
    """Three healthy nodes without Services."""
    with cluster.at_rest():
        yield cluster


def frames_about(frames: list[bytes], ip: str) -> list[tuple[bytes, Arp | NeighbourAdvertisement]]:
    """The announcements of an address among captured frames, each with the frame."""
    found: list[tuple[bytes, Arp | NeighbourAdvertisement]] = []
    for frame in frames:
        with suppress(FrameError):
            arp = decode_arp(frame)
            if str(arp.sender) == ip == str(arp.target):
                found.append((frame, arp))
        with suppress(FrameError):
            advertisement = decode_advertisement(frame)
            if advertisement.target == ip_address(ip):
                found.append((frame, advertisement))
    return found


# --- placing ---------------------------------------------------------------------------------------------------------


def test_the_dummy_interface_is_there_before_any_service(agents: AgentLab) -> None:
    for node in NODES:
        shown = agents.ip(node, "addr", "show", "kube-lb0")
        assert "<BROADCAST,NOARP,UP,LOWER_UP> mtu 1500" in shown
        assert [line.split()[1][:4] for line in shown.splitlines() if "inet" in line] == ["fe80"]


def test_an_address_of_the_wire_is_on_eth0_of_its_owner_alone_as_the_article_shows_it(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))

    node = agents.owner(VIP)

    assert node == owner(NODES, VIP) == WORKER11
    shown = agents.ip(node, "addr", "show", "eth0")
    assert f"inet {VIP}/16 brd 10.31.255.255 scope global secondary" in shown
    lifetime = agents.addresses(node)[VIP]["valid_life_time"]
    assert 0 < lifetime <= 10
    assert all(VIP not in agents.addresses(other, "kube-lb0") for other in NODES)
    assert agents.hosts.run("client", ["ping", "-c", "1", "-W", "1", VIP]).returncode == 0


def test_the_owner_says_so_in_an_event_and_an_annotation(agents: AgentLab) -> None:
    agents.apply(service("told", "wire", ip=VIP))

    assert eventually(lambda: agents.annotation("told")) == f"{WORKER11},eth0"
    assert eventually(lambda: agents.events("told", "AnnouncingLocal")) == [
        f"Node {WORKER11} announcing {VIP} on interface eth0"
    ]


def test_an_ipv6_address_answers_at_once_and_is_not_used_by_the_node_itself(agents: AgentLab) -> None:
    agents.apply(service("six", "wire", ip=VIP6))

    node = agents.owner(VIP6)

    assert node == owner(NODES, VIP6)
    there = agents.addresses(node)[VIP6]
    assert there["prefixlen"] == 64
    assert "tentative" not in there
    assert there["deprecated"]  # no source of the node's own connections (RFC 6724)
    assert agents.hosts.run("client", ["ping", "-6", "-c", "1", "-W", "1", VIP6]).returncode == 0
    assert eventually(lambda: agents.annotation("six", "IPv6")) == f"{node},eth0"


def test_a_routed_address_is_on_kube_lb0_of_every_node_with_its_aggregation(agents: AgentLab) -> None:
    agents.apply(service("routed", "routed", ip=ROUTED), service("routed6", "routed", ip="fd00:10:189::9"))

    assert eventually(lambda: agents.holders(ROUTED, "kube-lb0") == list(NODES))
    assert eventually(lambda: agents.holders("fd00:10:189::9", "kube-lb0") == list(NODES))
    for node in NODES:
        there = agents.addresses(node, "kube-lb0")
        assert (there[ROUTED]["prefixlen"], there["fd00:10:189::9"]["prefixlen"]) == (32, 64)
        assert there[ROUTED]["valid_life_time"] == 2**32 - 1
    expected = {f"Announcing {ROUTED} from node {node} interface kube-lb0" for node in NODES}
    assert eventually(lambda: set(agents.events("routed", "AnnouncingNonLocal")) == expected)
    assert agents.annotation("routed") is None


def test_a_changed_aggregation_changes_the_address_on_kube_lb0(agents: AgentLab) -> None:
    agents.apply(service("routed", "routed", ip=ROUTED))
    assert eventually(lambda: agents.holders(ROUTED, "kube-lb0") == list(NODES))

    agents.patch("servicegroup", "routed", {"local": {"v4pool": {"aggregation": "/24"}}}, "purelb")
    try:
        assert eventually(lambda: all(agents.addresses(node, "kube-lb0")[ROUTED]["prefixlen"] == 24 for node in NODES))
    finally:
        agents.patch("servicegroup", "routed", {"local": {"v4pool": {"aggregation": "/32"}}}, "purelb")


def test_taking_an_address_is_told_the_neighbours_in_both_forms_of_arp(agents: AgentLab) -> None:
    with agents.capturing("client") as frames:
        agents.apply(service("loud", "wire", ip=VIP))
        node = agents.owner(VIP)
        time.sleep(1.4)  # the repeats: after 0.1, 0.6 and 1.1 s

    mac = agents.ip(node, "-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
    told = frames_about(frames, VIP)
    arps = [arp for _, arp in told if isinstance(arp, Arp)]
    assert [arp.operation for arp in arps] == ["request", "reply"] * 4
    assert {arp.sender_mac.hex(":") for arp in arps} == {mac}
    assert {frame[:6] for frame, _ in told} == {BROADCAST}


def test_taking_an_ipv6_address_is_told_with_the_override_flag(agents: AgentLab) -> None:
    with agents.capturing("client") as frames:
        agents.apply(service("loud6", "wire", ip=VIP6))
        agents.owner(VIP6)
        time.sleep(1.4)

    told = [(frame, seen) for frame, seen in frames_about(frames, VIP6) if isinstance(seen, NeighbourAdvertisement)]
    assert len(told) == 4
    assert all(seen.is_override and not seen.is_solicited for _, seen in told)
    assert {IPv6Address(frame[38:54]) for frame, _ in told} == {IPv6Address("ff02::1")}


# --- withdrawing -----------------------------------------------------------------------------------------------------


def test_a_deleted_services_addresses_are_gone_from_every_node(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("two", "routed", ip=ROUTED))
    agents.owner(VIP)
    assert eventually(lambda: len(agents.holders(ROUTED, "kube-lb0")) == 3)

    agents.delete("one")
    agents.delete("two")

    assert eventually(lambda: not agents.holders(VIP))
    assert eventually(lambda: not agents.holders(ROUTED, "kube-lb0"))


def test_a_service_that_is_no_load_balancer_any_more_loses_address_and_annotation(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    assert eventually(lambda: agents.annotation("one"))

    dropped = ("loadBalancerIP", "externalTrafficPolicy", "allocateLoadBalancerNodePorts")
    agents.patch("service", "one", {"type": "ClusterIP", **dict.fromkeys(dropped)})

    assert eventually(lambda: not agents.holders(VIP))
    assert eventually(lambda: agents.annotation("one") is None)


# --- the node's own --------------------------------------------------------------------------------------------------


def test_an_address_that_somebody_removes_is_back_within_200_ms(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("two", "routed", ip=ROUTED))
    node = agents.owner(VIP)
    assert eventually(lambda: len(agents.holders(ROUTED, "kube-lb0")) == 3)

    agents.ip(node, "addr", "del", f"{VIP}/16", "dev", "eth0")
    agents.ip(node, "addr", "del", f"{ROUTED}/32", "dev", "kube-lb0")
    time.sleep(0.2)

    assert VIP in agents.addresses(node)
    assert ROUTED in agents.addresses(node, "kube-lb0")


def test_kube_lb0_is_made_again_with_its_addresses_when_somebody_deletes_it(agents: AgentLab) -> None:
    agents.apply(service("two", "routed", ip=ROUTED))
    assert eventually(lambda: len(agents.holders(ROUTED, "kube-lb0")) == 3)

    agents.ip(MASTER, "link", "del", "kube-lb0")

    assert eventually(lambda: ROUTED in agents.addresses(MASTER, "kube-lb0"), seconds=2)


def test_an_operators_addresses_are_never_touched(agents: AgentLab) -> None:
    for node in NODES:
        agents.ip(node, "addr", "add", f"{VIP}/32", "dev", "lo")
        agents.ip(node, "addr", "add", "10.31.188.200/16", "dev", "eth0")
    try:
        agents.apply(service("one", "wire", ip=VIP), service("taken", "wire", ip="10.31.188.200"))
        holder = agents.owner(VIP)
        refused = eventually(lambda: agents.events("taken", "AnnouncementFailed"))
        agents.delete("one")
        agents.delete("taken")
        assert eventually(lambda: not agents.holders(VIP))

        assert holder == WORKER11
        assert refused == [
            f"Node {owner(NODES, '10.31.188.200')} could not announce 10.31.188.200 on interface eth0: "
            "the address is on the interface already and was not put there by PureLB"
        ]
        for node in NODES:
            assert VIP in agents.addresses(node, "lo")
            assert agents.addresses(node)["10.31.188.200"]["valid_life_time"] == 2**32 - 1
    finally:
        for node in NODES:
            agents.ip(node, "addr", "del", f"{VIP}/32", "dev", "lo")
            agents.ip(node, "addr", "del", "10.31.188.200/16", "dev", "eth0")


@pytest.mark.parametrize("promote", [0, 1], ids=["kernel's default", "systemd's default"])
def test_a_node_whose_own_address_is_renewed_keeps_it_its_route_and_the_vip(agents: AgentLab, promote: int) -> None:
    """A DHCP client may take the node's address away and add it again.

    The kernel takes the VIPs, its secondaries, away with it, or with promote_secondaries makes one of them the first.
    """
    agents.apply(service("one", "wire", ip=VIP))
    node = agents.owner(VIP)
    agents.hosts.output(node, "sysctl", "-qw", f"net.ipv4.conf.eth0.promote_secondaries={promote}")
    gateway = agents.ip(node, "route", "show", "default").split()[2]

    agents.ip(node, "addr", "del", "10.31.188.11/16", "dev", "eth0")
    agents.ip(node, "addr", "add", "10.31.188.11/16", "brd", "+", "dev", "eth0")
    if promote:
        assert eventually(lambda: not agents.addresses(node)["10.31.188.11"].get("secondary"), seconds=1)
    agents.ip(node, "route", "replace", "default", "via", gateway)

    assert eventually(lambda: agents.holders(VIP) == [node])
    assert eventually(lambda: agents.addresses(node)[VIP].get("secondary"))
    assert not agents.addresses(node)["10.31.188.11"].get("secondary")
    assert "src 10.31.188.11" in agents.ip(node, "route", "show", "10.31.0.0/16")

    agents.delete("one")
    assert eventually(lambda: not agents.holders(VIP))
    assert "10.31.188.11" in agents.addresses(node)


# --- configuration ---------------------------------------------------------------------------------------------------


def test_policy_local_holds_on_a_nic_and_nobody_writes_to_the_spec(agents: AgentLab) -> None:
    agents.apply(service("local", "wire", ip=VIP, policy="Local"), endpoint_slice("local", WORKER12))

    assert agents.owner(VIP) == WORKER12

    (told,) = eventually(lambda: agents.events("local", "LocalOverride"))
    assert told.startswith("ExternalTrafficPolicy Local holds: one of the nodes with a ready endpoint announces")
    assert agents.service("local")["spec"]["externalTrafficPolicy"] == "Local"


def test_an_interface_that_the_node_does_not_have_is_told_on_the_configuration(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    node = agents.owner(VIP)
    try:
        agents.patch("lbnodeagent", "default", {"local": {"interfaces": ["bond0"]}}, "purelb")

        text = f'node {node} has no interface that "bond0" stands for'
        assert eventually(lambda: text in agents.events("default", "ConfigError", namespace="purelb"))
        assert agents.holders(VIP) == [node]
    finally:
        agents.patch("lbnodeagent", "default", {"local": {"interfaces": None}}, "purelb")


def test_another_host_that_takes_the_address_later_is_named_in_an_event_and_does_not_get_it(agents: AgentLab) -> None:
    rogue = "tiny-openwrt-plus"
    mac = agents.ip(rogue, "-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
    agents.apply(service("clash", "wire", ip=VIP))
    node = agents.owner(VIP)
    time.sleep(1.0)  # who comes later had it not first
    agents.ip(rogue, "addr", "add", f"{VIP}/32", "dev", "eth0")
    try:
        asks = ["arping", "-c", "2", "-i", "eth0", "-S", VIP, "10.31.100.2"]  # by which it says that it has it
        agents.hosts.run(rogue, asks)

        (message,) = eventually(lambda: agents.events("clash", "AddressConflict"))
        assert message.startswith(
            f"Another host, {mac}, answers for {VIP}, which node {node} announces on interface eth0"
        )
        assert agents.holders(VIP) == [node]
    finally:
        agents.ip(rogue, "addr", "del", f"{VIP}/32", "dev", "eth0")


def test_metrics_and_health_are_served(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    node = agents.owner(VIP)

    def page(path: str) -> str:
        return agents.hosts.run("client", ["curl", "-s", f"http://10.31.188.11:7472{path}"]).stdout

    assert page("/readyz") == "ok\n"
    series = f'purelb_lbnodeagent_announced{{ip="{VIP}",node="{node}",service="default/one"}} 1.0'
    assert eventually(lambda: series in page("/metrics"))
    assert "purelb_election_member_count 3.0" in page("/metrics")
