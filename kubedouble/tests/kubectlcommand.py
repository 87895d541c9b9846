"""kubectl as a process, on one server and in one namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from kubedouble.testing.clusters import Api, Embedded, Real
from objects import pool_definition
from waiting import eventually

KUBECTL = Path(sys.executable).with_name("kubectl")


class Kubectl:
    """Runs kubectl against one server, in one namespace."""

    def __init__(self, config: Path, namespace: str) -> None:
        self._base = [
            str(KUBECTL),
            "--kubeconfig",
            str(config),
            f"--cache-dir={config.parent / 'cache'}",
            "-n",
            namespace,
        ]
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(config.parent), "KUBECTL_EXTERNAL_DIFF": "diff -u"}
        self.namespace = namespace

    def run(self, *arguments: str, stdin: object = None) -> subprocess.CompletedProcess[str]:
        text = stdin if isinstance(stdin, str) or stdin is None else as_list(stdin)
        return subprocess.run(
            [*self._base, *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=30,
            env=self._environment,
            check=False,
        )

    def __call__(self, *arguments: str, stdin: object = None) -> str:
        """What it prints, of a run that succeeds."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, stdin: object = None) -> str:
        """What it complains of."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def follow(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._base, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
        )


def as_list(objects: object) -> str:
    if isinstance(objects, list):
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    return json.dumps(objects)


def open_kubectl(server: Embedded | Real, folder: Path) -> Kubectl:
    """kubectl in a fresh namespace of that server, which knows the CRD of `objects.pool_definition`."""
    path = folder / "config"
    if not path.exists():
        path.write_text(json.dumps(server.kubeconfig()))
        made = server.api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", pool_definition())
        assert made.status in (201, 409), made.body
        eventually(lambda: server.api.get("/apis/example.org/v2/pools").status == 200)
    name = f"kubectl-{len(server.api.get('/api/v1/namespaces').ok()['items'])}"
    server.api.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok()
    return Kubectl(path, name)


def add_node(api: Api, namespace: str) -> str:
    name = f"node-of-{namespace}"
    body = {
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "10.31.188.1"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0"},
        },
    }
    api.post("/api/v1/nodes", body).ok()
    return name


def columns(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]
