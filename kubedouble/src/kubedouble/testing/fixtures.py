"""Servers as pytest fixtures, one per module; `cluster` also is a real one where `KUBEBUILDER_ASSETS` names programs.

A conftest imports those that its tests use.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubedouble.envtest import assets
from kubedouble.testing.clusters import Embedded, Real


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
