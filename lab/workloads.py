"""Deployments, ReplicaSets and DaemonSets: makes and removes their pods, and keeps their status true.

Plays those three of kube-controller-manager's controllers and the garbage collector for what they own. How
many pods of which revision is `rollout`'s to say, where they may run `scheduling`'s; must not start anything.
"""

from __future__ import annotations

import logging

from lab.cluster import (
    Cluster,
    condition,
    controller_of,
    is_ready,
    is_terminating,
    now,
    owner_reference,
)
from lab.kubeclient import ApiError, Object, key_of
from lab.rollout import (
    DaemonPod,
    Replicas,
    deployment_strategy,
    plan_daemonset,
    scale_deployment,
    template_hash,
)
from lab.scheduling import may_schedule, may_stay, with_daemonset_tolerations, with_default_tolerations
from lab.workqueue import WorkQueue

log = logging.getLogger("lab.controllers")

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_DAEMON_HASH = "controller-revision-hash"

WorkKey = tuple[str, str, str]  # plural, namespace, name


class Workloads:
    """The three controllers; `run` works for ever."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._caches = cluster.caches
        self._queue: WorkQueue[WorkKey] = WorkQueue("workload", self._reconcile)
        for plural in ("deployments", "replicasets", "daemonsets"):
            cluster.on_change(plural, lambda obj, plural=plural: self._queue.add((plural, *key_of(obj))))  # type: ignore[misc]
        for plural in ("pods", "replicasets", "deployments", "daemonsets"):
            cluster.on_change(plural, self._look_at_relatives)
        cluster.on_change("nodes", self._look_at_daemonsets)

    async def run(self) -> None:
        await self._cluster.wait_synced()
        await self._queue.run()

    # --- which objects a change concerns ---

    def _look_at_relatives(self, obj: Object) -> None:
        namespace, _ = key_of(obj)
        owner = controller_of(obj)
        plurals = {"ReplicaSet": "replicasets", "Deployment": "deployments", "DaemonSet": "daemonsets"}
        if owner is not None and owner["kind"] in plurals:
            self._queue.add((plurals[owner["kind"]], namespace, owner["name"]))
            if owner["kind"] == "ReplicaSet":
                parent = self._caches["replicasets"].get(namespace, owner["name"])
                above = controller_of(parent) if parent else None
                if above is not None:
                    self._queue.add(("deployments", namespace, above["name"]))
            if not self._cluster.owner_exists(owner, namespace):
                plural = "pods" if owner["kind"] != "Deployment" else "replicasets"
                self._queue.add((plural, namespace, obj["metadata"]["name"]))
        if "template" in (obj.get("spec") or {}):
            # Its children notice that their owner is gone.
            for plural in ("pods", "replicasets"):
                for child in self._caches[plural]:
                    reference = controller_of(child)
                    if reference is not None and reference["uid"] == obj["metadata"]["uid"]:
                        self._queue.add((plural, *key_of(child)))

    def _look_at_daemonsets(self, _: Object) -> None:
        for daemonset in self._caches["daemonsets"]:
            self._queue.add(("daemonsets", *key_of(daemonset)))

    async def _reconcile(self, key: WorkKey) -> None:
        plural, namespace, name = key
        obj = self._caches[plural].get(namespace, name)
        if obj is None or is_terminating(obj):
            return
        owner = controller_of(obj)
        if owner is not None and not self._cluster.owner_exists(owner, namespace):
            await self._cluster.delete(plural, obj)
        elif plural == "deployments":
            await self._deployment(obj)
        elif plural == "replicasets":
            await self._replicaset(obj)
        elif plural == "daemonsets":
            await self._daemonset(obj)

    def _owned(self, plural: str, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            one
            for one in self._caches[plural]
            if one["metadata"].get("namespace") == owner["metadata"]["namespace"]
            and (controller_of(one) or {}).get("uid") == uid
        ]

    # --- Deployment ---

    async def _deployment(self, deployment: Object) -> None:
        spec = deployment["spec"]
        revision = template_hash(spec["template"])
        replicasets = self._owned("replicasets", deployment)
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
        pods = self._owned("pods", replicaset)
        available = sum(is_ready(pod) and not is_terminating(pod) for pod in pods)
        return Replicas(replicaset["metadata"]["name"], replicaset["spec"]["replicas"], len(pods), available)

    async def _write_deployment_status(self, deployment: Object, newest: Object, all_sets: list[Object]) -> None:
        counts = [self._replicas(one) for one in all_sets]
        alive = {one["metadata"]["name"]: self._alive(one) for one in all_sets}
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
        idle = [one for one in old if one["spec"]["replicas"] == 0 and not self._owned("pods", one)]
        idle.sort(key=lambda one: int(one["metadata"]["annotations"].get(_REVISION, 0)))
        for one in idle[: max(0, len(idle) - limit)]:
            await self._cluster.delete("replicasets", one)

    # --- ReplicaSet ---

    def _alive(self, owner: Object) -> list[Object]:
        return [
            pod
            for pod in self._owned("pods", owner)
            if not is_terminating(pod) and (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")
        ]

    async def _replicaset(self, replicaset: Object) -> None:
        wanted, alive = replicaset["spec"].get("replicas", 1), self._alive(replicaset)
        template = replicaset["spec"]["template"]
        tolerations = with_default_tolerations(template["spec"].get("tolerations") or ())
        for _ in range(wanted - len(alive)):
            pod = await self._create_pod(replicaset, "ReplicaSet", template, tolerations)
            alive.append(pod)
        # The ones that matter least go first: not ready, then youngest.
        alive.sort(key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
        alive.sort(key=is_ready)
        for pod in alive[: max(0, len(alive) - wanted)]:
            await self._cluster.delete("pods", pod)
        alive = self._alive(replicaset)
        ready = sum(map(is_ready, alive))
        status = {
            "observedGeneration": replicaset["metadata"]["generation"],
            "replicas": len(alive),
            "fullyLabeledReplicas": len(alive),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        await self._cluster.patch_status("replicasets", replicaset, status)

    async def _create_pod(
        self, owner: Object, kind: str, template: Object, tolerations: list[Object], **more: str
    ) -> Object:
        """A pod of that template; `more` are fields of its spec and, as `revision`, its hash label."""
        metadata = template.get("metadata") or {}
        labels = dict(metadata.get("labels") or {})
        if "revision" in more:
            labels[_DAEMON_HASH] = more.pop("revision")
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{owner['metadata']['name']}-",
                "namespace": owner["metadata"]["namespace"],
                "labels": labels,
                "annotations": metadata.get("annotations") or {},
                "ownerReferences": [owner_reference(owner, kind)],
            },
            "spec": {**template["spec"], **more, "tolerations": tolerations},
        }
        try:
            return await self._cluster.create("pods", body)
        except ApiError as failure:
            if failure.code in (403, 422):
                await self._cluster.record(
                    owner, kind, "apps/v1", "FailedCreate", f"Error creating: {failure}", "lab-controller"
                )
            raise

    # --- DaemonSet ---

    async def _daemonset(self, daemonset: Object) -> None:
        spec = daemonset["spec"]
        template = spec["template"]
        revision = template_hash(template)
        await self._record_daemon_revision(daemonset, revision)
        tolerations = with_daemonset_tolerations(template["spec"])
        nodes = sorted(self._caches["nodes"], key=lambda node: str(node["metadata"]["name"]))
        should = [n["metadata"]["name"] for n in nodes if may_schedule(template["spec"], tolerations, n)]
        stay = [n["metadata"]["name"] for n in nodes if may_stay(template["spec"], tolerations, n)]
        for pod in self._owned("pods", daemonset):
            if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded") and not is_terminating(pod):
                await self._cluster.delete("pods", pod)
        pods = {pod["metadata"]["name"]: pod for pod in self._owned("pods", daemonset)}
        plan = plan_daemonset(
            should, stay, [_daemon_pod(pod) for pod in pods.values()], revision, spec.get("updateStrategy") or {}
        )
        for name in plan.delete:
            await self._cluster.delete("pods", pods[name])
        for node in plan.create:
            await self._create_pod(daemonset, "DaemonSet", template, tolerations, nodeName=node, revision=revision)
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
                    _DAEMON_HASH: revision,
                },
                "ownerReferences": [owner_reference(daemonset, "DaemonSet")],
            },
            "data": {"spec": {"template": {**daemonset["spec"]["template"], "$patch": "replace"}}},
            "revision": daemonset["metadata"]["generation"],
        }
        try:
            await self._cluster.create("controllerrevisions", body)
        except ApiError as failure:
            if failure.code != 409:
                raise

    async def _write_daemonset_status(self, daemonset: Object, should: list[str], revision: str) -> None:
        alive = self._alive(daemonset)
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
            "updatedNumberScheduled": sum(pod["metadata"]["labels"].get(_DAEMON_HASH) == revision for pod in placed),
        }
        await self._cluster.patch_status("daemonsets", daemonset, status)


def _daemon_pod(pod: Object) -> DaemonPod:
    metadata = pod["metadata"]
    return DaemonPod(
        name=metadata["name"],
        node=pod["spec"].get("nodeName", ""),
        revision=(metadata.get("labels") or {}).get(_DAEMON_HASH, ""),
        is_available=is_ready(pod) and not is_terminating(pod),
        is_terminating=is_terminating(pod),
        created=metadata.get("creationTimestamp", ""),
    )


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
