"""Our manifest over the workloads of PureLB v0.6 to v0.13, by the commands of the upgrade's document."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.command.kubectl import find_kubectl
from tests.install.conftest import Kubectl

ROOT = Path(__file__).parents[2]
OLD = Path(__file__).with_name("old-workloads.yaml")
COMPLETE = ROOT / "manifests" / "purelb-complete.yaml"
GUIDE = ROOT / "docs" / "upgrade-from-v0.6.md"


def commands(number: int) -> str:
    """The shell commands of a step of the document."""
    steps: list[str] = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return re.sub("^ {3}", "", steps[number - 1], flags=re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def upgraded(kubectl: Kubectl, kubeconfig: Path) -> None:
    """The old workloads, then the document's first step, then the apply."""
    old = kubectl("apply", "-f", str(OLD))
    assert old.returncode == 0, old.stderr
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{Path(find_kubectl()).parent}:{os.environ['PATH']}",
    }
    step = subprocess.run(
        ["bash", "-euc", commands(1)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert step.returncode == 0, step.stderr
    applied = kubectl("apply", "-f", str(COMPLETE))
    assert applied.returncode == 0, applied.stderr


def pod_of(kubectl: Kubectl, workload: str) -> dict[str, Any]:
    found = kubectl("get", workload, "-n", "purelb", "-o", "json")
    spec: dict[str, Any] = json.loads(found.stdout)["spec"]["template"]["spec"]
    return spec


def test_the_running_gossips_key_is_kept(kubectl: Kubectl) -> None:
    secret = json.loads(kubectl("get", "secret", "purelb-gossip", "-n", "purelb", "-o", "json").stdout)

    assert base64.b64decode(secret["data"]["key"]) == b"8sb7ikA5qHwQQqxc"


@pytest.mark.parametrize("workload", ["daemonset/lbnodeagent", "deployment/allocator"])
def test_nothing_of_the_old_workload_stays(kubectl: Kubectl, workload: str) -> None:
    kind, name = workload.split("/")
    bodies = (body for body in yaml.safe_load_all(COMPLETE.read_text()) if body)
    ours = next(body for body in bodies if body["kind"].lower() == kind)["spec"]["template"]["spec"]
    pod = pod_of(kubectl, workload)

    [container], [wanted] = pod["containers"], ours["containers"]
    assert container["image"] == wanted["image"]
    assert container["securityContext"] == wanted["securityContext"]
    assert {entry["name"] for entry in container["env"]} == {entry["name"] for entry in wanted["env"]}
    assert pod["tolerations"] == ours["tolerations"]
    assert pod["terminationGracePeriodSeconds"] == ours["terminationGracePeriodSeconds"]
    assert name == container["name"]
