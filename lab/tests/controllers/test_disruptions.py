"""Disruption budgets: the numbers that kubectl drain goes by."""

from __future__ import annotations

from typing import Any

import pytest

from lab.controllers.disruptions import budget_status


def pod(*, ready: bool = True, leaving: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "a"}
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


@pytest.mark.parametrize(
    ("spec", "pods", "desired", "allowed"),
    [
        ({"minAvailable": 1}, [pod(), pod()], 1, 1),
        ({"minAvailable": 1}, [pod(), pod(ready=False)], 1, 0),
        ({"minAvailable": 1}, [pod(), pod(leaving=True)], 1, 0),
        ({"maxUnavailable": 1}, [pod(), pod()], 1, 1),
        ({"maxUnavailable": 0}, [pod(), pod()], 2, 0),
        ({"minAvailable": "51%"}, [pod(), pod()], 2, 0),
        ({"maxUnavailable": "50%"}, [pod(), pod()], 1, 1),
    ],
)
def test_so_many_pods_may_be_evicted(spec: dict[str, Any], pods: list[Any], desired: int, allowed: int) -> None:
    status = budget_status({"metadata": {"generation": 3}, "spec": spec}, pods, expected=2)

    assert (status["desiredHealthy"], status["disruptionsAllowed"]) == (desired, allowed)
    assert status["observedGeneration"] == 3
