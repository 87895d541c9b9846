"""Two allocators in a lab: one leads, and whatever becomes of it the other goes on where it was.

How soon is measured by bench.allocator; here it is that it happens.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(240)

GROUP = {
    "apiVersion": "purelb.io/v1",
    "kind": "ServiceGroup",
    "metadata": {"name": "default", "namespace": "purelb"},
    "spec": {"local": {"v4pool": {"subnet": "10.31.0.0/16", "pool": "10.31.188.64-10.31.188.126"}}},
}


@pytest.fixture(scope="module")
def lab() -> Iterator[LabUnderTest]:
    with tempfile.TemporaryDirectory(prefix="purelb-lab-") as folder:
        made = LabUnderTest(Path(folder))
        made.must("up", timeout=150)
        try:
            made.kubectl("apply", "-f", "-", stdin=json.dumps(GROUP))
            yield made
        finally:
            made.down()


def allocators(lab: LabUnderTest) -> list[Any]:
    found = lab.hosts.get("pods", "-n", "purelb", "-l", "component=allocator")["items"]
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def leader(lab: LabUnderTest) -> str:
    """The name of the pod that leads."""
    lease = lab.hosts.get("lease", "purelb-allocator", "-n", "purelb")
    return str(lease["spec"]["holderIdentity"])


def both_ready(lab: LabUnderTest) -> bool:
    deployment = lab.hosts.get("deployment", "allocator", "-n", "purelb")
    return bool(deployment["status"].get("readyReplicas") == 2) and len(allocators(lab)) == 2


def process_of(pod: str) -> int:
    """Pid of a pod's allocator: its environment names the pod."""
    wanted = f"PURELB_POD_NAME={pod}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"purelb-allocator" in command and wanted in environment:
            return int(folder.name)
    raise AssertionError(f"no process of {pod}")


def create(lab: LabUnderTest, name: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "ports": [{"port": 80}]},
    }
    lab.kubectl("create", "-f", "-", stdin=json.dumps(body))


def address(lab: LabUnderTest, name: str) -> str | None:
    service = lab.hosts.get("svc", name, "-n", "default")
    ingress = service["status"]["loadBalancer"].get("ingress") or [{}]
    found = ingress[0].get("ip")
    return None if found is None else str(found)


def test_they_are_on_two_nodes_both_ready_and_one_leads(lab: LabUnderTest) -> None:
    assert eventually(lambda: both_ready(lab))

    pods = allocators(lab)

    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2
    assert leader(lab) in {pod["metadata"]["name"] for pod in pods}
    budget = lab.hosts.get("pdb", "allocator", "-n", "purelb")
    assert eventually(lambda: lab.hosts.get("pdb", "allocator", "-n", "purelb")["status"]["disruptionsAllowed"] == 1)
    assert budget["spec"]["minAvailable"] == 1


def test_a_leader_that_falls_silent_is_followed_and_writes_nothing_when_it_wakes(lab: LabUnderTest) -> None:
    assert eventually(lambda: both_ready(lab), seconds=60)
    create(lab, "before")
    assert eventually(lambda: address(lab, "before")) == "10.31.188.64"
    before = leader(lab)

    os.kill(process_of(before), signal.SIGSTOP)  # not SIGKILL: its kubelet would have it back before the Lease ends
    create(lab, "after")

    try:
        assert eventually(lambda: address(lab, "after"), seconds=30) == "10.31.188.65"
        assert leader(lab) != before
    finally:
        os.kill(process_of(before), signal.SIGCONT)

    # It wakes up deposed, writes nothing, and stands by.
    create(lab, "later")
    assert eventually(lambda: address(lab, "later")) == "10.31.188.66"
    assert leader(lab) != before
    assert address(lab, "after") == "10.31.188.65"


def test_a_leader_whose_node_is_drained_hands_over(lab: LabUnderTest) -> None:
    assert eventually(lambda: both_ready(lab), seconds=60)
    before = leader(lab)
    node = next(pod["spec"]["nodeName"] for pod in allocators(lab) if pod["metadata"]["name"] == before)

    lab.must("fault", node, "drain")
    create(lab, "drained")

    try:
        assert eventually(lambda: address(lab, "drained"), seconds=30)
        assert leader(lab) != before
    finally:
        lab.must("heal", node)
