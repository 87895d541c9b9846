"""The chart's objects, of three sets of values, on a server; and what `helm test` says of them there."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from helm_python import Chart

from kubedouble.testing.clusters import Embedded, Real
from manifests.chart import CHART
from tests.charts import Json, render_all
from tests.install.conftest import Kubectl

VALUES: dict[str, Json] = {
    "none": {},
    "private registry": {
        "image": {"repository": "registry.example/purelb", "tag": "v1"},
        "imagePullSecrets": [{"name": "registry"}],
        "allocator": {"replicas": 1, "image": {"digest": "sha256:" + "0" * 64}, "podLabels": {"team": "net"}},
        "lbnodeagent": {"tolerations": [{"operator": "Exists"}], "updateStrategy": {"type": "OnDelete"}},
        "networkPolicy": {"enabled": True},
    },
    "ecmp": {
        "nameOverride": "lb",
        "bird": {"enabled": True, "controlPlane": True, "nodeAS": 4200000000},
        "lbnodeagent": {"placement": "even", "extraEnv": [{"name": "PURELB_REQUIRE_PEERS", "value": "true"}]},
        "serviceGroup": {
            "create": True,
            "spec": {"remote": {"v4pool": {"subnet": "10.9.0.0/24", "pool": "10.9.0.0/24", "aggregation": "default"}}},
        },
    },
}


@pytest.fixture(scope="module")
def chart() -> Iterator[Chart]:
    with Chart.load(CHART) as loaded:
        yield loaded


@pytest.fixture(scope="module", autouse=True)
def crds(kubectl: Kubectl) -> None:
    """As Helm brings them, before all else."""
    assert kubectl("apply", "-f", str(CHART / "crds")).returncode == 0
    kubectl("create", "namespace", "purelb")


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_a_server_takes_every_object(chart: Chart, kubectl: Kubectl, values: Json) -> None:
    chart.validate_schema(values)
    objects = render_all(chart, values)
    if kubectl("get", "pod", "purelb-test", "--namespace=purelb").returncode == 0:  # Helm deletes a hook of before, too
        kubectl("delete", "pod", "purelb-test", "--namespace=purelb", "--force")

    done = kubectl("apply", "--validate=strict", "-f", "-", document=yaml.safe_dump_all(objects.values()))

    assert done.returncode == 0, done.stderr


def played_account(cluster: Embedded | Real, folder: Path) -> dict[str, str]:
    """The environment of the test's pod, with its service account's files in that folder."""
    config = cluster.kubeconfig()
    server = config["clusters"][0]["cluster"]
    (folder / "ca.crt").write_bytes(base64.b64decode(server["certificate-authority-data"]))
    token = config["users"][0]["user"]["token"]
    if isinstance(cluster, Real):
        token = cluster.service_account_token("purelb", "purelb-test")
    (folder / "token").write_text(token)
    host, _, port = server["server"].removeprefix("https://").partition(":")
    return {
        "SERVICE_ACCOUNT": str(folder),
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": port,
        "NAMESPACE": "purelb",
        "DEPLOYMENTS": "allocator",
        "DAEMONSETS": "lbnodeagent",
        "TIMEOUT": "0",
    }


def test_helm_test_sees_whether_all_programs_run(
    chart: Chart, kubectl: Kubectl, cluster: Embedded | Real, tmp_path: Path
) -> None:
    objects = render_all(chart)
    kubectl("apply", "-f", "-", document=yaml.safe_dump_all(objects.values()))
    script = objects["Pod", "purelb-test"]["spec"]["containers"][0]["args"][0]
    environment = {"PATH": os.environ["PATH"], **played_account(cluster, tmp_path)}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    before = run()
    statuses: dict[str, Json] = {
        "deployments/allocator": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2},
        "daemonsets/lbnodeagent": {
            "currentNumberScheduled": 3,
            "desiredNumberScheduled": 3,
            "numberMisscheduled": 0,
            "numberReady": 3,
        },
    }
    for path, status in statuses.items():
        cluster.api.merge(f"/apis/apps/v1/namespaces/purelb/{path}/status", {"status": status}).ok()
    after = run()

    assert (before.returncode, before.stderr) == (1, "")
    assert before.stdout.splitlines()[:2] == ["the CRDs are served", "allocator: 0 of 2 ready"]
    assert (after.returncode, after.stdout.splitlines()) == (
        0,
        ["the CRDs are served", "allocator: 2 of 2 ready", "lbnodeagent: 3 of 3 ready"],
    )
