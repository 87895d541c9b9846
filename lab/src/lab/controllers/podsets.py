"""The pods of a controller: which it owns, which of them count, and new ones from its template.

Owns what Deployments, ReplicaSets and DaemonSets have in common; must not decide how many pods there are.
"""

from __future__ import annotations

from lab.api.cluster import Cluster
from lab.api.objects import Object, controller_of, is_terminating, owner_reference
from purelb.errors import KubeError

DAEMON_HASH = "controller-revision-hash"


class PodSets:
    """Looks up and makes what controllers own."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._caches = cluster.caches

    def owned(self, plural: str, owner: Object) -> list[Object]:
        """Objects of that kind whose controller is this very owner."""
        uid = owner["metadata"]["uid"]
        return [
            one
            for one in self._caches[plural]
            if one["metadata"].get("namespace") == owner["metadata"]["namespace"]
            and (controller_of(one) or {}).get("uid") == uid
        ]

    def alive(self, owner: Object) -> list[Object]:
        """The owner's pods that run or will: neither ended nor on their way out."""
        return [
            pod
            for pod in self.owned("pods", owner)
            if not is_terminating(pod) and (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")
        ]

    async def create_pod(
        self, owner: Object, kind: str, template: Object, tolerations: list[Object], **more: str
    ) -> Object:
        """A pod of that template; `more` are fields of its spec and, as `revision`, its hash label."""
        metadata = template.get("metadata") or {}
        labels = dict(metadata.get("labels") or {})
        if "revision" in more:
            labels[DAEMON_HASH] = more.pop("revision")
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
            # The account as the ServiceAccount admission plugin has it, which no real server of a lab runs.
            "spec": {"serviceAccountName": "default", **template["spec"], **more, "tolerations": tolerations},
        }
        try:
            return await self._cluster.create("pods", body)
        except KubeError as failure:
            if failure.status in (403, 422):
                await self._cluster.record(
                    owner, kind, "apps/v1", "FailedCreate", f"Error creating: {failure}", "lab-controller"
                )
            raise
