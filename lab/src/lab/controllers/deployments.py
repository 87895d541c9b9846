"""Deployments and ReplicaSets: revisions, scaling by the rules of `rollout`, pods, status.

Plays those two of kube-controller-manager's controllers. Which of them to look at is `workloads`' to know; must
not start anything.
"""

from __future__ import annotations

from lab.api.cluster import Cluster
from lab.api.objects import Object, condition, is_ready, is_terminating, now, owner_reference
from lab.controllers.podsets import PodSets
from lab.controllers.rollout import Replicas, deployment_strategy, scale_deployment, template_hash
from lab.controllers.scheduling import with_default_tolerations

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


class Deployments:
    """One pass over one Deployment, or over one ReplicaSet."""

    def __init__(self, cluster: Cluster, sets: PodSets) -> None:
        self._cluster = cluster
        self._sets = sets

    async def reconcile(self, deployment: Object) -> None:
        """Take the next step of its rollout and write its status."""
        spec = deployment["spec"]
        revision = template_hash(spec["template"])
        replicasets = self._sets.owned("replicasets", deployment)
        newest = next((one for one in replicasets if one["metadata"]["labels"].get(_HASH) == revision), None)
        if newest is None:
            newest = await self._create_replicaset(deployment, revision, replicasets)
            replicasets.append(newest)
        old = [one for one in replicasets if one is not newest]
        if not spec.get("paused"):
            await self._mark_revision(deployment, newest, old)
            counts = {one["metadata"]["name"]: self._replicas(one) for one in replicasets}
            target = scale_deployment(
                spec.get("replicas", 1),
                deployment_strategy(spec),
                counts[newest["metadata"]["name"]],
                [counts[one["metadata"]["name"]] for one in old],
            )
            for one in replicasets:
                wanted = target.get(one["metadata"]["name"])
                if wanted is not None:
                    await self._cluster.patch("replicasets", one, {"spec": {"replicas": wanted}})
        await self._write_deployment_status(deployment, newest, replicasets)
        await self._forget_old_revisions(spec.get("revisionHistoryLimit", 10), old)

    async def _create_replicaset(self, deployment: Object, revision: str, others: list[Object]) -> Object:
        metadata, spec = deployment["metadata"], deployment["spec"]
        template = dict(spec["template"])
        labels = {**(template["metadata"].get("labels") or {}), _HASH: revision}
        template["metadata"] = {**template["metadata"], "labels": labels}
        selector = {**spec["selector"]}
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), _HASH: revision}
        body = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{metadata['name']}-{revision}",
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": {_REVISION: str(self._last_revision(others) + 1)},
                "ownerReferences": [owner_reference(deployment, "Deployment")],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        return await self._cluster.create("replicasets", body)

    @staticmethod
    def _last_revision(replicasets: list[Object]) -> int:
        return max((int(one["metadata"]["annotations"].get(_REVISION, 0)) for one in replicasets), default=0)

    async def _mark_revision(self, deployment: Object, newest: Object, old: list[Object]) -> None:
        """Number the newest ReplicaSet above all others (after `rollout undo` it is an old one again)."""
        number = int(newest["metadata"]["annotations"].get(_REVISION, 0))
        if number <= self._last_revision(old):
            number = self._last_revision(old) + 1
            mark = {"metadata": {"annotations": {_REVISION: str(number)}}}
            await self._cluster.patch("replicasets", newest, mark)
        if (deployment["metadata"].get("annotations") or {}).get(_REVISION) != str(number):
            mark = {"metadata": {"annotations": {_REVISION: str(number)}}}
            await self._cluster.patch("deployments", deployment, mark)

    def _replicas(self, replicaset: Object) -> Replicas:
        pods = self._sets.owned("pods", replicaset)
        available = sum(is_ready(pod) and not is_terminating(pod) for pod in pods)
        return Replicas(replicaset["metadata"]["name"], replicaset["spec"]["replicas"], len(pods), available)

    async def _write_deployment_status(self, deployment: Object, newest: Object, all_sets: list[Object]) -> None:
        counts = [self._replicas(one) for one in all_sets]
        alive = {one["metadata"]["name"]: self._sets.alive(one) for one in all_sets}
        wanted = deployment["spec"].get("replicas", 1)
        total, available = sum(map(len, alive.values())), sum(one.available for one in counts)
        updated = len(alive[newest["metadata"]["name"]])
        complete = updated == wanted == total == available
        limit = deployment_strategy(deployment["spec"]).max_unavailable
        status: Object = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": available,
            "availableReplicas": available,
            "unavailableReplicas": max(0, max(wanted, total) - available),
        }
        has_minimum = available >= wanted - limit
        progress = "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated"
        status["conditions"] = [
            _condition(deployment, "Available", has_minimum, f"MinimumReplicas{'A' if has_minimum else 'Una'}vailable"),
            _condition(deployment, "Progressing", True, progress),
        ]
        await self._cluster.patch_status("deployments", deployment, status)

    async def _forget_old_revisions(self, limit: int, old: list[Object]) -> None:
        idle = [one for one in old if one["spec"]["replicas"] == 0 and not self._sets.owned("pods", one)]
        idle.sort(key=lambda one: int(one["metadata"]["annotations"].get(_REVISION, 0)))
        for one in idle[: max(0, len(idle) - limit)]:
            await self._cluster.delete("replicasets", one)

    async def reconcile_replicaset(self, replicaset: Object) -> None:
        """Make it own as many pods as it wants and write its status."""
        wanted, alive = replicaset["spec"].get("replicas", 1), self._sets.alive(replicaset)
        template = replicaset["spec"]["template"]
        tolerations = with_default_tolerations(template["spec"].get("tolerations") or ())
        for _ in range(wanted - len(alive)):
            pod = await self._sets.create_pod(replicaset, "ReplicaSet", template, tolerations)
            alive.append(pod)
        # The ones that matter least go first: not ready, then youngest.
        alive.sort(key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
        alive.sort(key=is_ready)
        for pod in alive[: max(0, len(alive) - wanted)]:
            await self._cluster.delete("pods", pod)
        alive = self._sets.alive(replicaset)
        ready = sum(map(is_ready, alive))
        status = {
            "observedGeneration": replicaset["metadata"]["generation"],
            "replicas": len(alive),
            "fullyLabeledReplicas": len(alive),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        await self._cluster.patch_status("replicasets", replicaset, status)


def _condition(obj: Object, kind: str, holds: bool, reason: str) -> Object:
    """A condition whose times move only when it changes."""
    status = "True" if holds else "False"
    known = condition(obj, kind)
    if known is not None and known["status"] == status and known.get("reason") == reason:
        return known
    stamp = now()
    since = known["lastTransitionTime"] if known is not None and known["status"] == status else stamp
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "",
        "lastUpdateTime": stamp,
        "lastTransitionTime": since,
    }
