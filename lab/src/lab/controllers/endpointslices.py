"""EndpointSlices of Services from their ready pods.

Plays kube-controller-manager's endpointslice controller: one slice per Service and address family (a lab has
far fewer than the 100 endpoints that a slice holds upstream). The pure part is `slice_for`; must not look at
anything but Services, Pods and Nodes.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.api.cluster import Cluster
from lab.api.objects import Object, is_ready, is_terminating, owner_reference
from lab.controllers.reconciler import Reconciler
from lab.controllers.scheduling import matches_labels
from purelb.ordering import key_of

_MANAGER = "endpointslice-controller.k8s.io"
_SERVICE = "kubernetes.io/service-name"
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"


class EndpointSlices:
    """Keeps the slices true; `run` works for ever."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._reconciler: Reconciler[tuple[str, str]] = Reconciler("endpoints", self._reconcile)
        cluster.on_change("services", lambda obj: self._reconciler.add(key_of(obj)))
        cluster.on_change("pods", self._look_at_services_of)

    async def run(self) -> None:
        await self._cluster.wait_synced()
        await self._reconciler.run()

    def _look_at_services_of(self, pod: Object) -> None:
        labels, namespace = pod["metadata"].get("labels") or {}, pod["metadata"]["namespace"]
        for service in self._cluster.caches["services"]:
            selector = service["spec"].get("selector")
            if selector and service["metadata"]["namespace"] == namespace and matches_labels(selector, labels):
                self._reconciler.add(key_of(service))

    async def _reconcile(self, key: tuple[str, str]) -> None:
        namespace, name = key
        service = self._cluster.caches["services"].get(namespace, name)
        present = {
            str(one["metadata"]["name"]): one
            for family in ("IPv4", "IPv6")
            if (one := self._cluster.caches["endpointslices"].get(namespace, slice_name(name, family))) is not None
            and (one["metadata"].get("labels") or {}).get(_MANAGED_BY) == _MANAGER
        }
        wanted: dict[str, Object] = {}
        if service is not None and not is_terminating(service) and service["spec"].get("selector"):
            pods = self._pods_of(service)
            for family in service["spec"].get("ipFamilies") or ["IPv4"]:
                body = slice_for(service, pods, family)
                wanted[body["metadata"]["name"]] = body
        for own_name, body in wanted.items():
            known = present.pop(own_name, None)
            if known is None:
                await self._cluster.create("endpointslices", body)
            elif any((known.get(field) or []) != body[field] for field in ("endpoints", "ports")):
                change = {"endpoints": body["endpoints"], "ports": body["ports"]}
                await self._cluster.patch("endpointslices", known, change)
        for obsolete in present.values():
            await self._cluster.delete("endpointslices", obsolete)

    def _pods_of(self, service: Object) -> list[Object]:
        selector, namespace = service["spec"]["selector"], service["metadata"]["namespace"]
        return [
            pod
            for pod in self._cluster.caches["pods"]
            if pod["metadata"]["namespace"] == namespace
            and matches_labels(selector, pod["metadata"].get("labels") or {})
        ]


def slice_name(service: str, family: str) -> str:
    """One name per Service and family, so that no search is needed to find the slice again."""
    return f"{service}-{family.lower()}"


def slice_for(service: Object, pods: Iterable[Object], family: str) -> Object:
    """The EndpointSlice of that Service and family ("IPv4" or "IPv6"). Pure."""
    namespace, name = key_of(service)
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    endpoints = []
    chosen = [pod for pod in pods if _is_running(pod)]
    for pod in sorted(chosen, key=lambda pod: str(pod["metadata"]["name"])):
        addresses = [one["ip"] for one in pod["status"].get("podIPs") or () if (":" in one["ip"]) == (family == "IPv6")]
        if addresses:
            endpoints.append(_endpoint(pod, addresses[:1], publish))
    ports = [_port(port, chosen) for port in service["spec"].get("ports") or ()]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": slice_name(name, family),
            "namespace": namespace,
            "labels": {_SERVICE: name, _MANAGED_BY: _MANAGER},
            "ownerReferences": [owner_reference(service, "Service", "v1")],
        },
        "addressType": family,
        "endpoints": endpoints,
        "ports": [port for port in ports if port is not None],
    }


def _is_running(pod: Object) -> bool:
    status = pod.get("status") or {}
    return bool(pod["spec"].get("nodeName") and status.get("podIPs")) and status.get("phase") not in (
        "Failed",
        "Succeeded",
    )


def _endpoint(pod: Object, addresses: list[str], publish_not_ready: bool) -> Object:
    serving, terminating = is_ready(pod), is_terminating(pod)
    return {
        "addresses": addresses,
        "conditions": {
            "ready": publish_not_ready or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {
            "kind": "Pod",
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        },
    }


def _port(port: Object, pods: list[Object]) -> Object | None:
    """A Service's port as the pods have it; a named target port is looked up in their containers."""
    target, protocol = port.get("targetPort", port["port"]), port.get("protocol", "TCP")
    if isinstance(target, str):
        found = [
            one["containerPort"]
            for pod in pods
            for container in pod["spec"]["containers"]
            for one in container.get("ports") or ()
            if one.get("name") == target
        ]
        if not found:
            return None
        target = found[0]
    return {"name": port.get("name", ""), "port": target, "protocol": protocol}
