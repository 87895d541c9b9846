"""The chart, installed by Helm's own library with three sets of values; and what `helm test` says of it there."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from helm_python import Chart, Config, HelmError

from kubedouble.testing.clusters import Embedded, Real
from manifests.chart import CHART
from tests.charts import Json, render, render_all
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
def helm(kubeconfig: Path) -> Iterator[Config]:
    with Config(kubeconfig_path=kubeconfig, namespace="purelb") as config:
        yield config


@pytest.fixture
def chart() -> Iterator[Chart]:
    with Chart.load(CHART) as loaded:
        yield loaded


def test_a_release_that_has_the_crds_keeps_them_when_it_goes(helm: Config, kubectl: Kubectl, tmp_path: Path) -> None:
    """Without the chart's crds/, as with --skip-crds; the first of all tests, on a server that has no CRDs yet."""
    shutil.copytree(CHART, tmp_path / "purelb")
    shutil.rmtree(tmp_path / "purelb" / "crds")
    managed = {"crds": {"managed": True}}
    with_group = {**managed, "serviceGroup": VALUES["ecmp"]["serviceGroup"]}
    with Chart.load(tmp_path / "purelb") as chart:
        with pytest.raises(HelmError, match='no matches for kind "ServiceGroup"'):
            helm.install(chart, "early", with_group, namespace="purelb", create_namespace=True)
        helm.install(chart, "purelb", managed, namespace="purelb", create_namespace=True)
        helm.upgrade(chart, "purelb", with_group, namespace="purelb")
        group = kubectl("get", "servicegroup", "default", "--namespace=purelb")
        helm.uninstall("purelb")

    assert group.returncode == 0, group.stderr
    assert "servicegroups.purelb.io" in kubectl("get", "crds", "-o", "name").stdout


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_helm_installs_it_upgrades_it_and_takes_it_away(
    helm: Config, kubectl: Kubectl, chart: Chart, values: Json
) -> None:
    objects = render(chart, values)

    helm.install(chart, "purelb", values, namespace="purelb", create_namespace=True)
    helm.upgrade(chart, "purelb", values, namespace="purelb")
    there = [kubectl("get", kind, name, "--namespace=purelb").returncode for kind, name in objects]
    helm.uninstall("purelb")

    assert there == [0] * len(objects)
    left = kubectl("get", "deployments,daemonsets,clusterroles", "-o", "name", "--namespace=purelb").stdout.split()
    assert [name for name in left if name.endswith((":allocator", ":lbnodeagent", "/allocator", "/lbnodeagent"))] == []
    assert "servicegroups.purelb.io" in kubectl("get", "crds", "-o", "name").stdout


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
    helm: Config, kubectl: Kubectl, chart: Chart, cluster: Embedded | Real, tmp_path: Path
) -> None:
    helm.install(chart, "purelb", namespace="purelb", create_namespace=True)
    objects = render_all(chart)
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        kubectl("apply", "-f", "-", document=yaml.safe_dump(objects[kind, "purelb-test"]))
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
    helm.uninstall("purelb")

    assert (before.returncode, before.stderr) == (1, "")
    assert before.stdout.splitlines()[:2] == ["the CRDs are served", "allocator: 0 of 2 ready"]
    assert (after.returncode, after.stdout.splitlines()) == (
        0,
        ["the CRDs are served", "allocator: 2 of 2 ready", "lbnodeagent: 3 of 3 ready"],
    )
