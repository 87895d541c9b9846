"""DaemonSets: a pod on each node that takes it, rolling updates by the rules of `rollout`, revisions, status.

Plays that one of kube-controller-manager's controllers. Which of them to look at is `workloads`' to know; must
not start anything.
"""

from __future__ import annotations

from lab.api.cluster import Cluster
from lab.api.objects import Object, is_ready, is_terminating, owner_reference
from lab.controllers.podsets import DAEMON_HASH, PodSets
from lab.controllers.rollout import DaemonPod, plan_daemonset, template_hash
from lab.controllers.scheduling import may_schedule, may_stay, with_daemonset_tolerations
from purelb.errors import KubeError
from purelb.ordering import key_of


class DaemonSets:
    """One pass over one DaemonSet."""

    def __init__(self, cluster: Cluster, sets: PodSets) -> None:
        self._cluster = cluster
        self._caches = cluster.caches
        self._sets = sets

    async def reconcile(self, daemonset: Object) -> None:
        """Make and delete pods as its plan says and write its status."""
        spec = daemonset["spec"]
        template = spec["template"]
        revision = template_hash(template)
        await self._record_daemon_revision(daemonset, revision)
        tolerations = with_daemonset_tolerations(template["spec"])
        nodes = sorted(self._caches["nodes"], key=lambda node: str(node["metadata"]["name"]))
        should = [n["metadata"]["name"] for n in nodes if may_schedule(template["spec"], tolerations, n)]
        stay = [n["metadata"]["name"] for n in nodes if may_stay(template["spec"], tolerations, n)]
        for pod in self._sets.owned("pods", daemonset):
            if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded") and not is_terminating(pod):
                await self._cluster.delete("pods", pod)
        pods = {pod["metadata"]["name"]: pod for pod in self._sets.owned("pods", daemonset)}
        plan = plan_daemonset(
            should, stay, [_daemon_pod(pod) for pod in pods.values()], revision, spec.get("updateStrategy") or {}
        )
        for name in plan.delete:
            await self._cluster.delete("pods", pods[name])
        for node in plan.create:
            await self._sets.create_pod(daemonset, "DaemonSet", template, tolerations, nodeName=node, revision=revision)
        await self._write_daemonset_status(daemonset, should, revision)

    async def _record_daemon_revision(self, daemonset: Object, revision: str) -> None:
        """The ControllerRevision that `kubectl rollout history` and `undo` read."""
        namespace, name = key_of(daemonset)
        if (daemonset.get("status") or {}).get("observedGeneration") == daemonset["metadata"]["generation"]:
            return
        body = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{name}-{revision}",
                "namespace": namespace,
                "labels": {
                    **(daemonset["spec"]["template"]["metadata"].get("labels") or {}),
                    DAEMON_HASH: revision,
                },
                "ownerReferences": [owner_reference(daemonset, "DaemonSet")],
            },
            "data": {"spec": {"template": {**daemonset["spec"]["template"], "$patch": "replace"}}},
            "revision": daemonset["metadata"]["generation"],
        }
        try:
            await self._cluster.create("controllerrevisions", body)
        except KubeError as failure:
            if failure.status != 409:
                raise
            # `rollout undo` went back to this template: it is the newest revision again.
            await self._cluster.patch("controllerrevisions", body, {"revision": body["revision"]})

    async def _write_daemonset_status(self, daemonset: Object, should: list[str], revision: str) -> None:
        alive = self._sets.alive(daemonset)
        by_node = {pod["spec"].get("nodeName"): pod for pod in sorted(alive, key=is_ready)}
        placed = [by_node[node] for node in should if node in by_node]
        ready = sum(map(is_ready, placed))
        status = {
            "observedGeneration": daemonset["metadata"]["generation"],
            "desiredNumberScheduled": len(should),
            "currentNumberScheduled": len(placed),
            "numberReady": ready,
            "numberAvailable": ready,
            "numberUnavailable": len(should) - ready,
            "numberMisscheduled": sum(node not in should for node in by_node),
            "updatedNumberScheduled": sum(pod["metadata"]["labels"].get(DAEMON_HASH) == revision for pod in placed),
        }
        await self._cluster.patch_status("daemonsets", daemonset, status)


def _daemon_pod(pod: Object) -> DaemonPod:
    metadata = pod["metadata"]
    return DaemonPod(
        name=metadata["name"],
        node=pod["spec"].get("nodeName", ""),
        revision=(metadata.get("labels") or {}).get(DAEMON_HASH, ""),
        is_available=is_ready(pod) and not is_terminating(pod),
        is_terminating=is_terminating(pod),
        created=metadata.get("creationTimestamp", ""),
    )
