"""What is installed, on the embedded server and, when `KUBEBUILDER_ASSETS` names one, on a real control plane."""

from __future__ import annotations

from tests.lab.apiserver.conftest import cluster

__all__ = ["cluster"]
