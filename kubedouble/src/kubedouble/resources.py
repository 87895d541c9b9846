"""Which resources the server serves: group, version, kind, names, verbs, subresources.

Owns the registry (built-in kinds as data; CRDs add to it at run time). Must not touch: objects, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
REVIEW = ("create",)


@dataclass(frozen=True, slots=True)
class Subresource:
    """`pods/eviction` and its like; `kind` and `group_version` are what its bodies are."""

    name: str
    verbs: tuple[str, ...] = ("get", "patch", "update")
    kind: str = ""
    group_version: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource in one version. `key` names the store's table, shared by all versions of a resource."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    singular: str = ""
    key: str = ""
    custom: bool = False
    generation: bool = False
    selectable: tuple[str, ...] = ()

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    def subresource(self, name: str) -> Subresource | None:
        return next((sub for sub in self.subresources if sub.name == name), None)


STATUS = Subresource("status")
SCALE = Subresource("scale", kind="Scale", group_version="autoscaling/v1")


def _core(plural: str, kind: str, short: str = "", **more: Any) -> Resource:
    return _of("", "v1", plural, kind, short, **more)


def _of(group: str, version: str, plural: str, kind: str, short: str = "", **more: Any) -> Resource:
    return Resource(
        group,
        version,
        plural,
        kind,
        short_names=tuple(short.split()),
        singular=kind.lower(),
        key=str(more.pop("key", f"{group}/{plural}")),
        **more,
    )


_ALL = ("all",)
_WORKLOAD = (SCALE, STATUS)
_ONLY_STATUS = (STATUS,)

BUILT_IN: tuple[Resource, ...] = (
    _core(
        "bindings",
        "Binding",
        verbs=REVIEW,
    ),
    _core("configmaps", "ConfigMap", "cm"),
    _core("endpoints", "Endpoints", "ep"),
    _core("events", "Event", "ev"),
    _core("limitranges", "LimitRange", "limits"),
    _core(
        "namespaces",
        "Namespace",
        "ns",
        namespaced=False,
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        subresources=(Subresource("finalize", ("update",)), STATUS),
    ),
    _core("nodes", "Node", "no", namespaced=False, subresources=_ONLY_STATUS),
    _core("persistentvolumeclaims", "PersistentVolumeClaim", "pvc", subresources=_ONLY_STATUS),
    _core("persistentvolumes", "PersistentVolume", "pv", namespaced=False, subresources=_ONLY_STATUS),
    _core(
        "pods",
        "Pod",
        "po",
        categories=_ALL,
        generation=True,
        subresources=(
            Subresource("binding", ("create",), "Binding", "v1"),
            Subresource("ephemeralcontainers"),
            Subresource("eviction", ("create",), "Eviction", "policy/v1"),
            Subresource("exec", ("create", "get"), "PodExecOptions", "v1"),
            Subresource("log", ("get",)),
            STATUS,
        ),
    ),
    _core("podtemplates", "PodTemplate"),
    _core(
        "replicationcontrollers",
        "ReplicationController",
        "rc",
        categories=_ALL,
        generation=True,
        subresources=_WORKLOAD,
    ),
    _core("resourcequotas", "ResourceQuota", "quota", subresources=_ONLY_STATUS),
    _core("secrets", "Secret"),
    _core(
        "serviceaccounts",
        "ServiceAccount",
        "sa",
        subresources=(Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io/v1"),),
    ),
    _core("services", "Service", "svc", categories=_ALL, subresources=_ONLY_STATUS),
    _of("apps", "v1", "controllerrevisions", "ControllerRevision"),
    _of("apps", "v1", "daemonsets", "DaemonSet", "ds", categories=_ALL, generation=True, subresources=_ONLY_STATUS),
    _of("apps", "v1", "deployments", "Deployment", "deploy", categories=_ALL, generation=True, subresources=_WORKLOAD),
    _of("apps", "v1", "replicasets", "ReplicaSet", "rs", categories=_ALL, generation=True, subresources=_WORKLOAD),
    _of("apps", "v1", "statefulsets", "StatefulSet", "sts", categories=_ALL, generation=True, subresources=_WORKLOAD),
    _of(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        "hpa",
        categories=_ALL,
        subresources=_ONLY_STATUS,
    ),
    _of("batch", "v1", "cronjobs", "CronJob", "cj", categories=_ALL, generation=True, subresources=_ONLY_STATUS),
    _of("batch", "v1", "jobs", "Job", categories=_ALL, generation=True, subresources=_ONLY_STATUS),
    _of(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "crd crds",
        namespaced=False,
        categories=("api-extensions",),
        generation=True,
        subresources=_ONLY_STATUS,
    ),
    _of("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False, verbs=REVIEW),
    _of("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False, verbs=REVIEW),
    _of("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=REVIEW),
    _of(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        namespaced=False,
        verbs=REVIEW,
    ),
    _of(
        "authorization.k8s.io",
        "v1",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        namespaced=False,
        verbs=REVIEW,
    ),
    _of("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False, verbs=REVIEW),
    _of("coordination.k8s.io", "v1", "leases", "Lease"),
    _of("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", generation=True),
    # The same objects as the core group's events, in the newer spelling.
    _of("events.k8s.io", "v1", "events", "Event", "ev", key="/events"),
    _of("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False, generation=True),
    _of("networking.k8s.io", "v1", "ingresses", "Ingress", "ing", generation=True, subresources=_ONLY_STATUS),
    _of("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "netpol", generation=True),
    _of("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", namespaced=False, subresources=_ONLY_STATUS),
    _of(
        "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", generation=True, subresources=_ONLY_STATUS
    ),
    _of("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _of("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False),
    _of("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    _of("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    _of("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "pc", namespaced=False, generation=True),
    _of("storage.k8s.io", "v1", "csinodes", "CSINode", namespaced=False),
    _of("storage.k8s.io", "v1", "storageclasses", "StorageClass", "sc", namespaced=False),
)


class Registry:
    """Finds a resource by its place in the URL; holds one preferred version per group."""

    def __init__(self, resources: Iterable[Resource] = BUILT_IN) -> None:
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_key: dict[str, Resource] = {}
        self.generation = 0
        """Grows with every change, so that what is derived from the registry knows when it is stale."""
        for resource in resources:
            self._add(resource)

    def _add(self, resource: Resource) -> None:
        self._by_path[resource.group, resource.version, resource.plural] = resource
        self._by_key.setdefault(resource.key, resource)

    def replace_custom(self, group: str, plural: str, versions: Iterable[Resource]) -> None:
        """Sets the served versions of a custom resource; none removes it. The first is the storage version."""
        gone = [at for at, res in self._by_path.items() if res.custom and at[0] == group and at[2] == plural]
        for at in gone:
            del self._by_path[at]
        self._by_key.pop(f"{group}/{plural}", None)
        for resource in versions:
            self._add(resource)
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._by_path.get((group, version, plural))

    def by_key(self, key: str) -> Resource | None:
        """The resource in its first registered version, which for a custom one is the stored version."""
        return self._by_key.get(key)

    def by_kind(self, group: str, version: str, kind: str) -> Resource | None:
        for resource in self._by_path.values():
            if (resource.group, resource.version, resource.kind) == (group, version, kind):
                return resource
        return None

    def all(self) -> list[Resource]:
        return list(self._by_path.values())

    def keys(self) -> list[str]:
        return list(self._by_key)

    def groups(self) -> dict[str, list[str]]:
        """Group -> versions, the preferred one first; core under ""."""
        found: dict[str, set[str]] = {}
        for resource in self._by_path.values():
            found.setdefault(resource.group, set()).add(resource.version)
        return {
            group: sorted(versions, key=version_priority)
            for group, versions in sorted(found.items(), key=lambda item: (item[0].count(".") > 1, item[0]))
        }


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key: GA before beta before alpha, higher first (apimachinery `version.CompareKubeAwareVersionStrings`)."""
    body = version.removeprefix("v")
    for rank, stage in ((2, "alpha"), (1, "beta")):
        major, found, minor = body.partition(stage)
        if found and major.isdigit():
            return rank, -int(major), -int(minor or 0), version
    if body.isdigit() and body != version:
        return 0, -int(body), 0, version
    return 3, 0, 0, version
