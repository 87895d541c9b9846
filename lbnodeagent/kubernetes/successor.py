"""Whether another agent comes after this one, once it was told to end: by what the API server says of pod and Node.

An agent that is replaced or restarted (a rollout, ``kubectl delete pod``, a probe that failed) leaves its addresses to
the next one. One that goes for good hands them over: its DaemonSet is gone or goes, or doesn't want this node any more,
or the node itself goes down. What isn't known counts as going for good. Of the DaemonSet's affinity and of taints
nothing is read: if they alone keep the next agent away, the addresses move when that should have been there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbnodeagent.kubernetes.nodefeed import OwnNode
from purelb.errors import KubeError
from purelb.kube import Kube, core_path, group_path
from purelb.settings import CommonSettings


async def trouble(kube: Kube, common: CommonSettings, node: OwnNode | None) -> str | None:
    """Why no agent comes after this one, in one clause; None: one does."""
    if common.pod is None:
        return "it runs in no pod"
    name, uid = common.pod
    try:
        pods = await kube.list(core_path("pods", common.namespace), fieldSelector=f"metadata.name={name}")
        pod = next((pod for pod in pods.items if pod["metadata"].get("uid") == uid), None)
        controller = None if pod is None else controller_of(pod)
        if controller is None:
            return "no DaemonSet runs its pod"
        path = group_path("apps/v1", "daemonsets", common.namespace, str(controller.get("name")))
        return absence(controller, await kube.get(path), node)
    except KubeError as error:
        return f"whether one does isn't known: {error}"


def controller_of(pod: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The reference to the DaemonSet of a pod; None: it has none."""
    references = pod["metadata"].get("ownerReferences") or ()
    return next((one for one in references if one.get("controller") and one.get("kind") == "DaemonSet"), None)


def absence(controller: Mapping[str, Any], daemonset: Mapping[str, Any], node: OwnNode | None) -> str | None:
    """Why this DaemonSet, to which a pod's ``controller`` refers, makes no other pod on ``node``; None: it does."""
    metadata = daemonset.get("metadata") or {}
    if metadata.get("uid") != controller.get("uid") or metadata.get("deletionTimestamp"):
        return "its DaemonSet is deleted"
    if node is None:
        return "its Node is gone"
    if node.failure is not None:
        return "its Node isn't Ready"
    template = (daemonset.get("spec") or {}).get("template") or {}
    selector = (template.get("spec") or {}).get("nodeSelector") or {}
    if not selector.items() <= node.labels.items():
        return "its DaemonSet doesn't want this node any more"
    return None
