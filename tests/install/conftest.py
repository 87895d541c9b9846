"""What is installed, on the embedded server and, when `KUBEBUILDER_ASSETS` names one, on a real control plane."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from kubedouble.envtest import assets
from kubedouble.testing.clusters import Embedded, Real
from kubedouble.testing.fixtures import cluster
from lab.command.kubectl import find_kubectl

__all__ = ["cluster"]
collect_ignore = [] if assets() else ["test_agent_writes_served.py"]
Kubectl: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def kubeconfig(cluster: Embedded | Real, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("kubectl") / "config"
    written.write_text(json.dumps(cluster.kubeconfig()))
    return written


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path) -> Kubectl:
    """kubectl on an empty cluster; `document` is its standard input."""
    program = find_kubectl()

    def run(*arguments: str, document: str = "") -> subprocess.CompletedProcess[str]:
        command = [program, "--kubeconfig", str(kubeconfig), *arguments]
        return subprocess.run(command, input=document, capture_output=True, text=True, timeout=60, check=False)

    return run
