"""One server per module; `cluster` also runs on a real control plane when `KUBEBUILDER_ASSETS` names one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import settings

from kubedouble.envtest import assets
from kubedouble.testing.clusters import Api, Embedded, Real
from kubedouble.testing.fixtures import cluster, embedded

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
