"""One server per module; `cluster` also runs on a real control plane when `KUBEBUILDER_ASSETS` names one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from kubectlcommand import Kubectl, add_node, open_kubectl
from kubedouble.envtest import assets
from kubedouble.testing.clusters import Api, Embedded, Real
from kubedouble.testing.fixtures import cluster, embedded
from objects import pool_definition
from waiting import eventually

__all__ = ["cluster", "embedded"]

collect_ignore = [] if assets() is not None else ["test_envtest.py"]
"""What only a real control plane has."""

# A busy machine is no reason to fail.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_numbers = itertools.count(1)


@pytest.fixture
def api(cluster: Embedded | Real) -> Api:
    return cluster.api


@pytest.fixture
def namespace(api: Api) -> str:
    """A fresh namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    api.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok()
    return name


@pytest.fixture(scope="module")
def pools(cluster: Embedded | Real) -> str:
    """The CRD of `objects.pool_definition`, established; gives the group."""
    api = cluster.api
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    api.post(path, pool_definition()).ok()

    def established() -> bool:
        status = api.get(f"{path}/pools.example.org").ok()["status"]
        served = api.get("/apis/example.org/v1/namespaces/default/pools").status == 200
        return served and any(c["type"] == "Established" and c["status"] == "True" for c in status["conditions"] or ())

    eventually(established)
    return "example.org"


@pytest.fixture(scope="module")
def kubectl_folder(tmp_path_factory: pytest.TempPathFactory, cluster: Embedded | Real) -> Path:
    return tmp_path_factory.mktemp(f"kubectl-{cluster.kind}")


@pytest.fixture
def kubectl(kubectl_folder: Path, cluster: Embedded | Real) -> Kubectl:
    return open_kubectl(cluster, kubectl_folder)


@pytest.fixture
def embedded_kubectl(tmp_path: Path, embedded: Embedded) -> Kubectl:
    """For what needs controllers or kubelets, which a real API server alone has not."""
    return open_kubectl(embedded, tmp_path)


@pytest.fixture
def node(cluster: Embedded | Real, kubectl: Kubectl) -> Iterator[str]:
    name = add_node(cluster.api, kubectl.namespace)
    yield name
    cluster.api.delete(f"/api/v1/nodes/{name}")
