"""What a topology file may say, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.errors import BadTopology
from lab.wire.topology import MAIN_TABLE, Role
from lab.wire.topologyfile import load, parse

SAMPLES = Path(__file__).parents[2] / "topologies"
FOUR, SIX = {"ipv4": "192.0.2.0/24"}, {"ipv6": "fd00:6::/64"}
SUBNETS = {
    "left": {"ipv4": "192.0.2.0/24", "ipv6": "fd00:1::/64"},
    "right": {"ipv4": "198.51.100.0/24", "ipv6": "fd00:2::/64"},
}


def file(*nodes: Any, **more: Any) -> dict[str, Any]:
    return {"subnets": SUBNETS, "nodes": list(nodes) or [{"name": "one"}], **more}


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: str(path.stem))
def test_each_sample_is_a_topology_of_hosts_with_addresses_of_their_own(sample: Path) -> None:
    hosts = load(sample).hosts

    nics = [nic for host in hosts for nic in host.nics]
    assert len({nic.ports for nic in nics}) == len(nics)
    cables = [cable for host in hosts for cable in host.cables]
    assert len({cable.mac for cable in cables}) == len({cable.port for cable in cables}) == len(cables)
    addresses = [address for nic in nics for address in nic.addresses]
    assert len(set(addresses)) == len(addresses)


def test_addresses_are_given_out_and_the_first_node_is_the_control_plane() -> None:
    lab = parse(file({"name": "one"}, {"name": "two", "nics": ["right"]}))

    assert [(node.role, str(node.ipv4), str(node.ipv6)) for node in lab.nodes] == [
        (Role.MASTER, "192.0.2.11/24", "fd00:1::11/64"),
        (Role.WORKER, "198.51.100.11/24", "fd00:2::11/64"),
    ]
    assert [str(nic.ipv4) for nic in lab.router.nics] == ["192.0.2.254/24", "198.51.100.254/24"]
    assert lab.client.nics[0].subnet.name == "left"


def test_a_node_may_have_several_nics_addresses_of_its_choice_and_sysctls() -> None:
    lab = parse(
        file(
            {
                "name": "one",
                "nics": ["left", {"subnet": "right", "ipv4": "198.51.100.77", "on-link-gateway": True}],
                "default-route": 100,
                "sysctls": {"rp_filter": 1},
            },
            {"name": "two", "default-route": "none"},
            client="right",
            sysctls={"rp_filter": 2, "dad_transmits": 1},
        )
    )

    one, two = lab.nodes
    assert [(nic.name, str(nic.ipv4), nic.is_alone) for nic in one.nics] == [
        ("eth0", "192.0.2.11/24", False),
        ("eth1", "198.51.100.77/32", True),
    ]
    assert (one.default_table, two.default_table) == (100, None)
    assert dict(one.sysctls) == {"rp_filter": 1, "dad_transmits": 1}
    assert dict(two.sysctls) == {"rp_filter": 2, "dad_transmits": 1}
    assert lab.client.nics[0].subnet.name == "right"
    assert parse(file()).nodes[0].default_table == MAIN_TABLE


def test_subnets_and_nodes_may_have_one_family() -> None:
    lab = parse(
        file({"nics": ["both", "six"]}, {"nics": ["six"]}, {"nics": [{"subnet": "both", "ipv6": "none"}]})
        | {"subnets": {"both": SUBNETS["left"], "six": SIX}, "client": "six"}
    )

    both, six, four = lab.nodes
    assert [str(one) for one in both.nics[1].addresses] == ["fd00:6::11/64"]
    assert [list(map(str, node.ips)) for node in lab.nodes] == [
        ["192.0.2.11", "fd00:1::11"],
        ["fd00:6::12"],
        ["192.0.2.12"],
    ]
    assert [list(map(str, node.pod_ips(40))) for node in (six, four)] == [["fd00:10:0:1::40"], ["10.0.2.40"]]
    assert [str(lab.api_ip(node)) for node in lab.nodes] == ["192.0.2.253", "fd00:1::253", "192.0.2.253"]
    assert [lab.api_url(node) for node in (four, six)] == ["https://192.0.2.253:6443", "https://[fd00:1::253]:6443"]
    assert lab.client.versions == (6,)
    assert lab.find("fd00:6::11") is both


def test_a_nic_may_have_a_bond_a_vlan_and_a_bridge_on_top() -> None:
    stacked = {"subnet": "left", "bond": True, "vlan": 7, "bridge": True}
    lab = parse(file({"nics": [stacked, {"subnet": "right", "vlan": 8, "over": "bond0"}, "left", {"bridge": True}]}))

    (node,) = lab.nodes
    one, two, three, four = node.nics
    assert [(layer.kind.value, layer.name, layer.below) for layer in one.layers] == [
        ("bond", "bond0", ("eth0", "eth1")),
        ("vlan", "bond0.7", ("bond0",)),
        ("bridge", "br0", ("bond0.7",)),
    ]
    assert (one.name, one.tag) == ("br0", 7)
    assert (two.name, two.cables) == ("bond0.8", one.cables)
    assert [cable.link for cable in node.cables] == ["eth0", "eth1", "eth2", "eth3"]
    assert (three.name, four.name) == ("eth2", "br1")
    assert [port.rpartition(".")[2] for port in (*one.ports, *two.ports)] == ["7", "7", "8", "8"]
    assert three.ports == (three.cables[0].port,)


def test_a_control_plane_may_be_as_kubeadm_makes_it_and_schedulable() -> None:
    lab = parse(file({"control-plane": "kubeadm"}, {"control-plane": "kubeadm", "taint": False}, {}))

    assert [(node.role, node.is_excluded, node.is_tainted) for node in lab.nodes] == [
        (Role.MASTER, True, True),
        (Role.MASTER, True, False),
        (Role.WORKER, False, False),
    ]
    (only,) = parse(file({"control-plane": "kubeadm"})).nodes
    assert (only.is_excluded, only.is_tainted) == (True, False)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "the file is no mapping"),
        ({"subnets": {}, "nodes": [{}]}, "`subnets` names none"),
        (file() | {"nodes": []}, "`nodes` is a list of 1 to"),
        (file() | {"node": []}, "the file knows no `node`, but client, nodes, subnets, sysctls"),
        (file({"name": "one", "nics": ["middle"]}), "node one is on 'middle', but `subnets` has left, right"),
        (file({"name": "one", "nic": ["left"]}), "a node knows no `nic`"),
        (file({"name": "one"}, {"name": "one"}), "two nodes are called 'one'"),
        (file({"nics": [{"subnet": "left", "ipv4": "192.0.2.254"}]}), "two hosts have 192.0.2.254"),
        (file({"nics": [{"subnet": "left", "ipv4": "10.0.0.1"}]}), "10.0.0.1 isn't on left"),
        (file({"name": "one", "default-route": "some"}), "node one: `default-route` is main, none, or the number"),
        (
            file({"name": "one", "control-plane": "k3s"}),
            "node one: `control-plane` is true, false or kubeadm, not 'k3s'",
        ),
        (file({"name": "one"}, {"name": "two", "taint": True}), "node two: `taint` is true or false"),
        (file({"name": "one", "nics": [{"vlan": 4095}]}), "node one: `vlan` is a number from 1 to 4094, not 4095"),
        (file({"nics": ["left", {"over": "eth0"}]}), "`over` is for a VLAN that shares the cable of another NIC"),
        (file({"nics": ["left", {"vlan": 7, "over": "eth1"}]}), "over 'eth1', but before it there is eth0"),
        (file({"nics": ["left", *[{"vlan": 7, "over": "eth0"}] * 2]}), "node node-1 has two NICs eth0.7"),
        (file({"name": "one", "nics": [{"bond": "lacp"}]}), "node one: `bond` is true or false, not 'lacp'"),
        (
            file(sysctls={"swappiness": 1}),
            "knows no `swappiness`, but arp_announce, arp_ignore, dad_transmits, rp_filter",
        ),
        (file(sysctls={"rp_filter": "loose"}), "`rp_filter` is a number"),
        (file() | {"subnets": {"x": {"ipv4": "10.0.0.0/25", "ipv6": "fd00::/64"}}}, "subnet x is too small"),
        (file() | {"subnets": {"x": {}}}, "subnet x needs `ipv4`, `ipv6` or both"),
        (
            file({"name": "one", "nics": ["six"]}) | {"subnets": {"four": FOUR, "six": SIX}},
            "node one can't reach the API server on four: they share no IP family",
        ),
        (
            file({"nics": [{"ipv4": "192.0.2.9"}]}) | {"subnets": {"six": SIX}},
            "192.0.2.9 isn't on six, which has no IPv4",
        ),
        (file({"nics": [{"subnet": "left", "ipv4": "none", "ipv6": "none"}]}), "a NIC on left has no address"),
        (file() | {"subnets": {"a-name-that-is-long": {}}}, "at most 15 letters and digits"),
    ],
)
def test_what_describes_no_lab_is_refused_with_a_sentence(content: Any, sentence: str) -> None:
    with pytest.raises(BadTopology, match=sentence):
        parse(content)


@pytest.mark.parametrize(
    "text", ["subnets: [", yaml.safe_dump({"subnets": {"x": {"ipv4": "ten", "ipv6": "fd00::/64"}}})]
)
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(text)

    with pytest.raises(BadTopology, match=r"lab\.yaml: \S"):
        load(path)
    with pytest.raises(BadTopology, match="No such file"):
        load(tmp_path / "missing.yaml")
