"""One server per module; `cluster` also runs on a real control plane when `KUBEBUILDER_ASSETS` names one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from kubedouble.envtest import assets
from kubedouble.testing.clusters import Api, Embedded, Real

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def embedded() -> Iterator[Embedded]:
    running = Embedded()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=["embedded", "envtest"] if assets() else ["embedded"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Embedded | Real]:
    programs = assets()
    running: Embedded | Real
    if request.param == "envtest":
        assert programs is not None
        running = Real(programs)
    else:
        running = Embedded()
    yield running
    running.stop()


@pytest.fixture
def api(cluster: Embedded | Real) -> Api:
    return cluster.api


@pytest.fixture
def namespace(api: Api) -> str:
    """A fresh namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    api.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok()
    return name
