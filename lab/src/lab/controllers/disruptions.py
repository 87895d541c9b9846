"""Status of PodDisruptionBudgets: how many pods may be evicted now.

Plays kube-controller-manager's disruption controller (disruption/disruption.go), on which `kubectl drain` relies. The
pure part is `budget_status`; must not look at anything but budgets, Pods and ReplicaSets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lab.api.cluster import Cluster
from lab.api.objects import Object, controller_of, is_ready, is_terminating
from lab.controllers.reconciler import Reconciler
from lab.controllers.scheduling import matches_selector
from purelb.ordering import key_of


class Disruptions:
    """Keeps the status of every budget true; `run` works for ever."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._reconciler: Reconciler[tuple[str, str]] = Reconciler("disruption budget", self._reconcile)
        cluster.on_change("poddisruptionbudgets", lambda budget: self._reconciler.add(key_of(budget)))
        for plural in ("pods", "replicasets"):
            cluster.on_change(plural, self._look_at_budgets_of)

    async def run(self) -> None:
        await self._cluster.wait_synced()
        await self._reconciler.run()

    def _look_at_budgets_of(self, obj: Object) -> None:
        for budget in self._cluster.caches["poddisruptionbudgets"]:
            if budget["metadata"]["namespace"] == obj["metadata"]["namespace"]:
                self._reconciler.add(key_of(budget))

    async def _reconcile(self, key: tuple[str, str]) -> None:
        budget = self._cluster.caches["poddisruptionbudgets"].get(*key)
        if budget is None or is_terminating(budget):
            return
        selector = budget["spec"].get("selector") or {}
        pods = [
            pod
            for pod in self._cluster.caches["pods"]
            if pod["metadata"]["namespace"] == key[0]
            and matches_selector(selector, pod["metadata"].get("labels") or {})
        ]
        status = budget_status(budget, pods, self._expected(pods))
        if {name: (budget.get("status") or {}).get(name) for name in status} != status:
            await self._cluster.patch_status("poddisruptionbudgets", budget, status)

    def _expected(self, pods: Sequence[Object]) -> int:
        """How many pods their owners want; a pod without one counts for itself."""
        owners: dict[tuple[str, str], int] = {}
        alone = 0
        for pod in pods:
            owner = controller_of(pod)
            known = (
                self._cluster.caches["replicasets"].get(pod["metadata"]["namespace"], owner["name"])
                if owner is not None and owner["kind"] == "ReplicaSet"
                else None
            )
            if known is None:
                alone += 1
            else:
                owners[key_of(known)] = known["spec"].get("replicas", 1)
        return alone + sum(owners.values())


def budget_status(budget: Object, pods: Sequence[Object], expected: int) -> Object:
    """What a budget's status says of its pods, of which their owners want `expected`."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        desired = max(0, expected - _scaled(spec["maxUnavailable"], expected))
    else:
        desired = _scaled(spec.get("minAvailable", 1), expected)
    healthy = sum(is_ready(pod) and not is_terminating(pod) for pod in pods)
    allowed = max(0, healthy - desired) if expected > 0 else 0
    return {
        "observedGeneration": budget["metadata"].get("generation", 1),
        "expectedPods": expected,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
    }


def _scaled(value: int | str, total: int) -> int:
    """A number, or a percentage of the total, rounded up (intstr.GetScaledValueFromIntOrPercent)."""
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(int(value[:-1]) * total / 100)
    return int(value)
