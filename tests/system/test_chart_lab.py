"""The chart in a lab, installed by Helm itself with three sets of values: the programs run, and addresses answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from helm_python import Chart, Config

from manifests.chart import CHART
from tests.charts import Json
from tests.system.conftest import LabUnderTest, eventually

pytestmark = pytest.mark.timeout(180)
LAYER2: Json = {
    "create": True,
    "spec": {
        "local": {"v4pool": {"subnet": "10.31.0.0/16", "pool": "10.31.188.64-10.31.188.69", "aggregation": "default"}}
    },
}
ROUTED: Json = {
    "create": True,
    "spec": {"remote": {"v4pool": {"subnet": "10.189.0.0/24", "pool": "10.189.0.0/24", "aggregation": "/32"}}},
}
VALUES: dict[str, Json] = {
    "layer 2": {"serviceGroup": LAYER2, "lbnodeagent": {"placement": "even"}},
    "private registry": {
        "serviceGroup": LAYER2,
        "nameOverride": "lb",
        "image": {"repository": "registry.example/purelb", "tag": "v1"},
        "imagePullSecrets": [{"name": "registry"}],
        "allocator": {"replicas": 1, "logLevel": "debug", "image": {"digest": "sha256:" + "0" * 64}},
        "lbnodeagent": {"tolerations": [{"operator": "Exists"}], "announcingFormat": "v2", "gossipProfile": "lan"},
    },
    "ecmp": {
        "serviceGroup": ROUTED,
        "bird": {"enabled": True, "uplink": "10.31.254.251", "controlPlane": True},
    },
}
SERVICE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: nginx, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
"""


@pytest.mark.parametrize("values", VALUES.values(), ids=list(VALUES))
def test_helm_installs_programs_that_give_and_announce_addresses(
    new_lab: Callable[[str], LabUnderTest], values: Json
) -> None:
    lab = new_lab("lab")
    lab.must("up", "--bare", *(["--ecmp"] if "bird" in values else []))

    with Config(kubeconfig_path=lab.folder / "kubeconfig", namespace="purelb") as helm, Chart.load(CHART) as chart:
        helm.install(chart, "purelb", values, namespace="purelb", create_namespace=True)
    lab.kubectl("apply", "-f", "-", stdin=SERVICE)

    def address() -> str:
        return lab.kubectl("get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")

    def answers() -> bool:
        return lab.run("exec", "client", "--", "curl", "-sS", "-m", "2", f"http://{address()}/").returncode == 0

    assert eventually(address, seconds=30)
    assert eventually(answers, seconds=30), lab.kubectl("describe", "service", "web")
    pods = lab.hosts.get("pods", "-n", "purelb")["items"]
    assert {one["ready"] for pod in pods for one in pod["status"]["containerStatuses"]} == {True}
