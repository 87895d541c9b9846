"""What the server says about itself: /api, /apis, aggregated discovery, /version.

Owns those documents, made from the registry and kept until it changes. Must not touch: objects.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from .errors import JsonObject
from .resources import Registry, Resource
from .store import encode

VERSION: Final[JsonObject] = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-04-22T00:00:00Z",
    "goVersion": "go1.26.2",
    "compiler": "gc",
    "platform": "linux/amd64",
}

AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Discovery:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._made: dict[str, bytes] = {}
        self._generation = -1

    def _cached(self, key: str, make: JsonObject | None = None) -> bytes | None:
        if self._generation != self._registry.generation:
            self._made.clear()
            self._generation = self._registry.generation
        if make is not None:
            self._made[key] = encode(make)
        return self._made.get(key)

    def legacy_versions(self, address: str) -> JsonObject:
        return {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        }

    def groups(self) -> JsonObject:
        groups = [self._group(name, versions) for name, versions in self._registry.groups().items() if name]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    @staticmethod
    def _group(name: str, versions: list[str]) -> JsonObject:
        known = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
        return {"name": name, "versions": known, "preferredVersion": known[0]}

    def group(self, name: str) -> JsonObject | None:
        versions = self._registry.groups().get(name)
        if not name or versions is None:
            return None
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group(name, versions)}

    def resources(self, group: str, version: str) -> JsonObject | None:
        """`APIResourceList` of one group and version; None when there is no such."""
        found = [
            resource for resource in self._registry.all() if (resource.group, resource.version) == (group, version)
        ]
        if not found:
            return None
        listed: list[JsonObject] = []
        for resource in sorted(found, key=lambda one: one.plural):
            listed.append(_api_resource(resource))
            for sub in resource.subresources:
                entry: JsonObject = {
                    "name": f"{resource.plural}/{sub.name}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": sub.kind or resource.kind,
                    "verbs": list(sub.verbs),
                }
                if sub.group_version:
                    sub_group, _, sub_version = sub.group_version.rpartition("/")
                    if sub_group:
                        entry["group"] = sub_group
                    entry["version"] = sub_version
                listed.append(entry)
        group_version = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}

    def aggregated(self, *, core: bool) -> bytes:
        """`APIGroupDiscoveryList` (apidiscovery.k8s.io/v2), encoded."""
        key = "core" if core else "groups"
        made = self._cached(key)
        if made is None:
            items = [
                self._aggregated_group(name, versions)
                for name, versions in self._registry.groups().items()
                if (name == "") is core
            ]
            made = self._cached(
                key,
                {
                    "kind": "APIGroupDiscoveryList",
                    "apiVersion": "apidiscovery.k8s.io/v2",
                    "metadata": {},
                    "items": items,
                },
            )
        assert made is not None
        return made

    def _aggregated_group(self, name: str, versions: list[str]) -> JsonObject:
        metadata: JsonObject = {"creationTimestamp": None}
        if name:
            metadata["name"] = name
        return {"metadata": metadata, "versions": [self._aggregated_version(name, version) for version in versions]}

    def _aggregated_version(self, group: str, version: str) -> JsonObject:
        resources: list[JsonObject] = []
        for resource in sorted(self._registry.all(), key=lambda one: one.plural):
            if (resource.group, resource.version) != (group, version):
                continue
            entry: JsonObject = {
                "resource": resource.plural,
                "responseKind": {"group": group, "version": version, "kind": resource.kind},
                "scope": "Namespaced" if resource.namespaced else "Cluster",
                "singularResource": resource.singular,
                "verbs": list(resource.verbs),
            }
            if resource.short_names:
                entry["shortNames"] = list(resource.short_names)
            if resource.categories:
                entry["categories"] = list(resource.categories)
            subresources = []
            for sub in resource.subresources:
                sub_group, _, sub_version = (sub.group_version or resource.group_version).rpartition("/")
                subresources.append(
                    {
                        "subresource": sub.name,
                        "responseKind": {
                            "group": sub_group,
                            "version": sub_version,
                            "kind": sub.kind or resource.kind,
                        },
                        "verbs": list(sub.verbs),
                    }
                )
            if subresources:
                entry["subresources"] = subresources
            resources.append(entry)
        return {"version": version, "resources": resources, "freshness": "Current"}


def _api_resource(resource: Resource) -> JsonObject:
    entry: JsonObject = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()
    entry["storageVersionHash"] = base64.b64encode(digest[:8]).decode()
    return entry
