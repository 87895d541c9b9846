"""What a Node object says against its node's data path: conditions and taints. Pure.

Of a kubelet that doesn't report (Ready: Unknown) nothing follows but that others are to be preferred: the node may be
alive and serve, and where nobody is better off it goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lbnodeagent.gate.failures import Failure

_TAINTS: Final = (
    ("node.kubernetes.io/out-of-service", Failure.OUT_OF_SERVICE),
    ("node.kubernetes.io/not-ready", Failure.NOT_READY),
    ("node.kubernetes.io/unreachable", Failure.SILENT_KUBELET),
)
"""Well-known taints, the worst first; the last two are the lifecycle controller's, also of a Node that is new."""
_SHUTDOWN: Final = "node is shutting down"
"""In kubelet's message of a Node that isn't ready (kubelet, nodeshutdown)."""


def failure_of(node: Mapping[str, Any]) -> Failure | None:
    """Why a Node shouldn't serve; None: nothing speaks against it."""
    taints = {taint.get("key") for taint in (node.get("spec") or {}).get("taints") or ()}
    if _TAINTS[0][0] in taints:
        return _TAINTS[0][1]
    conditions = {one.get("type"): one for one in (node.get("status") or {}).get("conditions") or ()}
    ready = conditions.get("Ready") or {}
    match ready.get("status"):
        case "False":
            return Failure.SHUTDOWN if _SHUTDOWN in (ready.get("message") or "") else Failure.NOT_READY
        case "Unknown":
            return Failure.SILENT_KUBELET
        case _:
            pass
    if (conditions.get("NetworkUnavailable") or {}).get("status") == "True":
        return Failure.NO_NETWORK
    return next((failure for taint, failure in _TAINTS if taint in taints), None)
