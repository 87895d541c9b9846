"""What scripts wait for can be waited for: the lines of the reference, with the statuses that programs write."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.command.kubectl import find_kubectl
from tests.install.conftest import Kubectl

ROOT = Path(__file__).parents[2]
READY = {"type": "Ready", "status": "True", "reason": "InUse", "message": "-"}
READY |= {"lastTransitionTime": "2026-01-01T00:00:00Z"}
OBJECTS = """
apiVersion: purelb.io/v1
kind: LBNodeAgent
metadata: {name: default, namespace: purelb}
spec: {local: {}}
---
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: default, namespace: purelb}
spec: {local: {v4pool: {subnet: 192.0.2.0/24, pool: 192.0.2.8-192.0.2.9, aggregation: default}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {type: LoadBalancer, ports: [{port: 80}]}
"""
WRITTEN = {
    "lbnodeagent/default -n purelb": {"status": {"nodes": 1, "conditions": [READY]}},
    "servicegroup/default -n purelb": {"status": {"conditions": [READY]}},
    "service/web": {
        "metadata": {"annotations": {"purelb.io/announcing-IPv4": "node-1,eth0"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}]}},
    },
}


def lines() -> list[str]:
    text = (ROOT / "docs" / "reference.md").read_text().split("## Waiting in scripts")[1]
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return str(block).splitlines()


@pytest.fixture(scope="module")
def shell(kubeconfig: Path) -> dict[str, str]:
    path = f"{Path(find_kubectl()).parent}:{os.environ['PATH']}"
    return {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path}


def test_each_line_waits_until_it_is_so(kubectl: Kubectl, shell: dict[str, str]) -> None:
    def wait(line: str) -> int:
        command = ["bash", "-euc", line]
        return subprocess.run(command, env=shell, capture_output=True, check=False, timeout=90).returncode

    assert kubectl("create", "namespace", "purelb").returncode == 0
    assert kubectl("apply", "-k", str(ROOT / "crds")).returncode == 0
    assert kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s").returncode == 0
    applied = kubectl("apply", "-f", "-", document=OBJECTS)
    assert applied.returncode == 0, applied.stderr

    before = [wait(line.replace("--timeout=60s", "--timeout=0s")) for line in lines()]
    for name, patch in WRITTEN.items():
        patched = kubectl("patch", *name.split(), "--subresource=status", "--type=merge", "-p", json.dumps(patch))
        assert patched.returncode == 0, patched.stderr
    after = [wait(line) for line in lines()]

    assert (before, after) == ([1, 1, 1], [0, 0, 0])
