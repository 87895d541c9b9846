"""What a Node object says against its node."""

from __future__ import annotations

from typing import Any

import pytest

from lbnodeagent.gate.failures import Failure
from lbnodeagent.kubernetes.nodeconditions import failure_of


def node(*taints: str, **conditions: str) -> dict[str, Any]:
    named = [{"type": kind, "status": status} for kind, status in conditions.items()]
    return {"spec": {"taints": [{"key": key} for key in taints]}, "status": {"conditions": named}}


SHUTDOWN = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "node is shutting down"}


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ({}, None),
        (node(Ready="True"), None),
        (node("example.com/mine", Ready="True", NetworkUnavailable="False"), None),
        (node(Ready="False"), Failure.NOT_READY),
        (node(Ready="Unknown", NetworkUnavailable="True"), Failure.SILENT_KUBELET),
        (node(Ready="True", NetworkUnavailable="True"), Failure.NO_NETWORK),
        (node("node.kubernetes.io/out-of-service", Ready="False"), Failure.OUT_OF_SERVICE),
        (node("node.kubernetes.io/not-ready", Ready="True"), Failure.NOT_READY),
        (node("node.kubernetes.io/unreachable"), Failure.SILENT_KUBELET),
        ({"status": {"conditions": [SHUTDOWN]}}, Failure.SHUTDOWN),
    ],
)
def test_conditions_and_taints(body: dict[str, Any], failure: Failure | None) -> None:
    assert failure_of(body) is failure
