"""What docs/external-ipam.md tells a user to apply: a sidecar in the allocator's pod, and a group that uses it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(240)

DOCUMENT = Path(__file__).parents[2] / "docs" / "external-ipam.md"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default", "annotations": {"purelb.io/service-group": "outside"}},
    "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "web"}},
}


def blocks(section: str) -> list[Any]:
    """The YAML of one section of the document."""
    text = DOCUMENT.read_text().partition(f"## {section}")[2].partition("\n## ")[0]
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def address_of(lab: LabUnderTest) -> str:
    ingress = lab.hosts.get("service", "web")["status"]["loadBalancer"].get("ingress") or [{"ip": ""}]
    return str(ingress[0]["ip"])


def test_a_sidecar_in_the_allocators_pod_gives_addresses_that_answer(new_lab: Callable[[str], LabUnderTest]) -> None:
    lab = new_lab("lab")
    lab.must("up", "--nodes", "2")
    group, patch, _ = blocks("A sidecar")
    allocator, sidecar = patch["spec"]["template"]["spec"]["containers"]
    socket = group["spec"]["external"]["socket"]
    sidecar["image"] = "purelb-sample-ipam:1"  # the lab runs what has our name
    sidecar["command"] = ["python", "-m", "lab.sidecar", f"--socket={socket}", "--state=/var/run/purelb/ipam.json"]
    sidecar["command"].append("--pool=outside=10.31.188.200-10.31.188.203")
    assert allocator["name"] == "allocator"

    lab.kubectl("-n", "purelb", "patch", "deployment", "allocator", "--patch", yaml.safe_dump(patch))
    lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([group, SERVICE]))

    assert eventually(lambda: address_of(lab), seconds=60) == "10.31.188.200"
    assert eventually(lambda: lab.hosts.run("client", ["ping", "-c", "1", "-W", "1", "10.31.188.200"]).returncode == 0)

    def allocated() -> int:
        status: dict[str, Any] = lab.hosts.get("servicegroup", "outside", "-n", "purelb").get("status") or {}
        return int(status.get("allocatedIPv4", -1))

    assert eventually(lambda: allocated() == 1)
    lab.kubectl("delete", "service", "web")
    assert eventually(lambda: allocated() == 0)
