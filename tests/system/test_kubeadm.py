"""Where VIPs are in a cluster whose control planes ask load balancers to leave them out, as kubeadm has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from lab.machine.processes import REPOSITORY
from lab.wire.topology import CONTROL_PLANE_LABEL, EXCLUDE_LABEL
from tests.system.agentlab import service
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(180)

CONTROLS, WORKERS = ("control-1", "control-2", "control-3"), ("worker-1", "worker-2")
RACK: Final = [f"203.0.113.{last}" for last in range(101, 113)]


def group(subnet: str, pool: str) -> dict[str, Any]:
    return {
        "apiVersion": "purelb.io/v1",
        "kind": "ServiceGroup",
        "metadata": {"name": "wire", "namespace": "purelb"},
        "spec": {"local": {"v4pool": {"subnet": subnet, "pool": pool, "aggregation": "default"}}},
    }


def apply(lab: LabUnderTest, *objects: dict[str, Any]) -> None:
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def holders(lab: LabUnderTest, vip: str, nodes: tuple[str, ...]) -> list[str]:
    """The nodes that have the address on their NIC."""
    return [node for node in nodes if vip in {str(one.ip) for one in lab.hosts.addresses(node, "eth0")}]


def test_vips_keep_to_the_workers_and_go_to_control_planes_rather_than_nowhere(tmp_path: Path) -> None:
    lab = LabUnderTest(tmp_path)
    try:
        lab.must("up", "--topology", str(REPOSITORY / "lab" / "topologies" / "kubeadm.yaml"))
        nodes = {one["metadata"]["name"]: one for one in lab.hosts.get("nodes")["items"]}
        assert [name for name, one in nodes.items() if EXCLUDE_LABEL in one["metadata"]["labels"]] == [*CONTROLS]
        tainted = [name for name, one in nodes.items() if one["spec"].get("taints")]
        assert tainted == ["control-1", "control-2"]
        assert all(CONTROL_PLANE_LABEL in nodes[name]["metadata"]["labels"] for name in CONTROLS)

        services = [service(f"vip-{vip.rpartition('.')[2]}", "wire", ip=vip) for vip in RACK]
        apply(lab, group("203.0.113.0/24", "203.0.113.100-203.0.113.150"), *services)
        for vip in RACK:
            assert eventually(lambda: len(holders(lab, vip, (*CONTROLS, *WORKERS))) == 1), vip  # noqa: B023
            assert holders(lab, vip, CONTROLS) == []

        for worker in WORKERS:
            lab.must("fault", worker, "power")
        for vip in RACK:
            assert eventually(lambda: len(holders(lab, vip, CONTROLS)) == 1), vip  # noqa: B023
        assert lab.hosts.run("client", ["ping", "-c", "1", "-W", "2", RACK[0]]).returncode == 0

        for worker in WORKERS:
            lab.must("heal", worker)
        for vip in RACK:
            assert eventually(lambda: len(holders(lab, vip, WORKERS)) == 1 and not holders(lab, vip, CONTROLS)), vip  # noqa: B023
    finally:
        lab.down()


def test_the_only_node_announces_although_it_is_excluded(tmp_path: Path) -> None:
    """A cluster of one node, made by kubeadm, from which somebody took the taint and nobody the label."""
    lab = LabUnderTest(tmp_path)
    try:
        lab.must("up", "--kubeadm", "--nodes", "1")
        (node,) = lab.hosts.get("nodes")["items"]
        assert EXCLUDE_LABEL in node["metadata"]["labels"]

        apply(lab, group("10.31.0.0/16", "10.31.188.64-10.31.188.126"), service("one", "wire", ip="10.31.188.64"))

        assert eventually(lambda: holders(lab, "10.31.188.64", ("master",)) == ["master"])
        assert lab.hosts.run("client", ["ping", "-c", "1", "-W", "2", "10.31.188.64"]).returncode == 0
    finally:
        lab.down()
