"""What is in a cluster before anybody wrote to it: namespaces, RBAC defaults, a Service and its network.

Owns those objects. Puts only what is not there (a journal may have brought it).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from .cluster import Cluster
from .errors import JsonObject
from .metadata import new_uid, now
from .rbac import BOOTSTRAP_BINDINGS, BOOTSTRAP_ROLES, GROUP
from .resources import Resource

_NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_PRIORITIES: Final = (
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)


def _objects(cluster: Cluster, port: int) -> Iterable[tuple[str, JsonObject]]:
    for name in _NAMESPACES:
        yield (
            "/namespaces",
            {
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )
    for role in BOOTSTRAP_ROLES:
        yield f"{GROUP}/clusterroles", role
    for binding in BOOTSTRAP_BINDINGS:
        yield f"{GROUP}/clusterrolebindings", binding
    for name, value, text in _PRIORITIES:
        yield (
            "scheduling.k8s.io/priorityclasses",
            {
                "metadata": {"name": name},
                "value": value,
                "description": text,
                "preemptionPolicy": "PreemptLowerPriority",
            },
        )
    yield (
        "networking.k8s.io/servicecidrs",
        {
            "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": [str(network) for network in cluster.pool.networks.values()]},
            "status": {
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "",
                        "message": "Kubernetes default Service CIDR is ready",
                        "lastTransitionTime": now(),
                    }
                ]
            },
        },
    )
    address = str(next(iter(cluster.pool.networks.values()))[1])
    yield (
        "/services",
        {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "clusterIP": address,
                "clusterIPs": [address],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4" if "." in address else "IPv6"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}],
                "sessionAffinity": "None",
                "type": "ClusterIP",
            },
            "status": {"loadBalancer": {}},
        },
    )


def bootstrap(cluster: Cluster, port: int) -> None:
    """`port` is the one that the server listens on."""
    for table, content in _objects(cluster, port):
        resource = cluster.registry.by_key(table)
        assert resource is not None
        meta = content["metadata"]
        namespace = meta.get("namespace", "")
        if cluster.store.get(table, namespace, meta["name"]) is None:
            cluster.store.put(table, namespace, meta["name"], _complete(resource, content))


def _complete(resource: Resource, content: JsonObject) -> JsonObject:
    meta = {**content["metadata"], "uid": new_uid(), "creationTimestamp": now()}
    return {"kind": resource.kind, "apiVersion": resource.group_version, **content, "metadata": meta}
