"""VIPs on bridges, bonds and VLANs. Bonds and VLANs need drivers that not every kernel has: see `make kernels`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from lab.machine.namespaces import inside, new_network_namespace
from lab.machine.processes import REPOSITORY
from lab.wire.topologyfile import load
from tests.system.agentlab import service
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(600)

BRIDGED: Final = REPOSITORY / "lab" / "topologies" / "bridged.yaml"
TRUNKS: Final = REPOSITORY / "lab" / "topologies" / "trunks.yaml"
FRONT, BACK = "203.0.113.0/24", "198.51.100.0/24"


def has_drivers() -> bool:
    """Whether this kernel makes bonds and VLANs."""
    netns = new_network_namespace()
    try:
        commands = (
            "ip link add name eth0 type veth",
            "ip link add link eth0 name eth0.7 type vlan id 7",
            "ip link add name bond0 type bond",
        )
        runs = [partial(subprocess.run, one.split(), capture_output=True, check=False) for one in commands]
        return all(inside(netns, run).returncode == 0 for run in runs)
    finally:
        os.close(netns)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LabUnderTest]:
    made = LabUnderTest(tmp_path)
    yield made
    made.down()


@pytest.fixture
def trunks(lab: LabUnderTest) -> LabUnderTest:
    if not has_drivers():
        pytest.skip("this kernel has no bonds or no VLANs: `make kernels` has some that do")
    done = lab.run("up", "--topology", str(TRUNKS), timeout=240)
    assert done.returncode == 0 or "not ready" in done.stderr, done.stderr
    # A user-mode kernel takes its time.
    lab.must("kubectl", "rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=240s", timeout=270)
    return lab


def apply(lab: LabUnderTest, *objects: dict[str, Any]) -> None:
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def announce(lab: LabUnderTest, subnet: str, numbers: Sequence[int]) -> list[str]:
    """Services with these host numbers of the subnet; their addresses."""
    base = subnet.rpartition(".")[0]
    name = f"net-{base.replace('.', '-')}"
    vips = [f"{base}.{number}" for number in numbers]
    pool = {"subnet": subnet, "pool": f"{base}.100-{base}.199", "aggregation": "default"}
    group = {
        "apiVersion": "purelb.io/v1",
        "kind": "ServiceGroup",
        "metadata": {"name": name, "namespace": "purelb"},
        "spec": {"local": {"v4pool": pool}},
    }
    apply(lab, group, *(service(f"{name}-{vip.rpartition('.')[2]}", name, ip=vip) for vip in vips))
    return vips


def holders(lab: LabUnderTest, vip: str, links: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    """Node and link, of these, that have the address."""
    return [
        (node, link)
        for node, names in links.items()
        for link in names
        if vip in {str(one.ip) for one in lab.hosts.addresses(node, link)}
    ]


def answers(lab: LabUnderTest, vip: str, host: str = "client") -> bool:
    return lab.hosts.run(host, ["ping", "-c", "1", "-W", "1", vip]).returncode == 0


def bond(lab: LabUnderTest) -> str:
    """What the kernel says about bond0, whose look at its cables is every 100 ms."""
    return lab.hosts.output("bonded", "cat", "/proc/net/bonding/bond0")


def neighbour(lab: LabUnderTest, vip: str) -> str:
    """The MAC that the client takes the address for."""
    entries = json.loads(lab.hosts.output("client", "ip", "-json", "neigh", "show", vip))
    return next((entry.get("lladdr", "") for entry in entries), "")


def test_on_a_bridge_a_vip_is_announced_and_fails_over(lab: LabUnderTest) -> None:
    lab.must("up", "--topology", str(BRIDGED))
    nodes = load(BRIDGED).nodes
    links = {node.name: ("eth0", "br0") for node in nodes}
    (vip,) = announce(lab, FRONT, [101])

    assert eventually(lambda: answers(lab, vip))
    ((owner, link),) = holders(lab, vip, links)
    assert link == "br0"
    assert neighbour(lab, vip) == next(node.mac for node in nodes if node.name == owner)

    lab.must("fault", owner, "power")
    (other,) = (node for node in nodes if node.name != owner)
    assert eventually(lambda: neighbour(lab, vip) == other.mac)
    assert eventually(lambda: answers(lab, vip))


def test_on_bonds_and_vlans_a_vip_is_where_the_node_has_its_address(trunks: LabUnderTest) -> None:
    links = {
        "bonded": ("eth0", "eth1", "bond0"),
        "tagged": ("eth0", "eth0.10"),
        "stacked": ("bond0", "bond0.10", "br0"),
    }
    wanted = {("bonded", "bond0"), ("tagged", "eth0.10"), ("stacked", "br0")}
    vips = announce(trunks, FRONT, range(101, 113))

    for vip in vips:
        assert eventually(lambda: answers(trunks, vip)), vip  # noqa: B023
    found = [holders(trunks, vip, links) for vip in vips]
    assert all(len(one) == 1 for one in found)
    assert {place for one in found for place in one} == wanted


def test_a_bond_that_loses_a_cable_keeps_its_vips(trunks: LabUnderTest) -> None:
    links = {"bonded": ("bond0",)}
    vips = announce(trunks, FRONT, range(101, 113))
    mine = eventually(lambda: [vip for vip in vips if answers(trunks, vip) and holders(trunks, vip, links)])
    assert mine

    for cable, other in (("eth0", "eth1"), ("eth1", "eth0")):
        trunks.hosts.output("bonded", "ip", "link", "set", other, "up")
        assert eventually(lambda: bond(trunks).count("MII Status: up") == 3), "its own, and both cables'"
        trunks.hosts.output("bonded", "ip", "link", "set", cable, "down")
        assert eventually(lambda: all(answers(trunks, vip) for vip in mine))
        assert all(holders(trunks, vip, links) for vip in mine)


def test_by_the_same_cables_a_vlan_is_another_subnet(trunks: LabUnderTest) -> None:
    local = {"spec": {"local": {"localint": r"bond0\.100|eth0\.100"}}}
    trunks.kubectl("patch", "lbnodeagent", "default", "-n", "purelb", "--type=merge", "-p", json.dumps(local))
    (vip,) = announce(trunks, BACK, [101])

    links = {"bonded": ("bond0", "bond0.100"), "tagged": ("eth0.10", "eth0.100")}
    assert eventually(lambda: answers(trunks, vip, host="router"))
    ((owner, link),) = holders(trunks, vip, links)
    assert (owner, link) in {("bonded", "bond0.100"), ("tagged", "eth0.100")}
    assert answers(trunks, vip), "from the other subnet by the router"


def test_a_kernel_without_the_driver_is_told_in_one_sentence(lab: LabUnderTest) -> None:
    if has_drivers():
        pytest.skip("this kernel has them")

    done = lab.run("up", "--bare", "--topology", str(TRUNKS))

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "this kernel has no driver for it: load 8021q" in done.stderr
