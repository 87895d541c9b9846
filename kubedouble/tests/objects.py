"""Objects that many tests start from."""

from __future__ import annotations

import copy
from typing import Any, Final

Json = dict[str, Any]


def service(name: str, **spec: Any) -> Json:
    """A LoadBalancer without node ports, as the walkthrough has them."""
    base: Json = {
        "type": "LoadBalancer",
        "allocateLoadBalancerNodePorts": False,
        "selector": {"app": name},
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {**base, **spec}}


def config_map(name: str, **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, replicas: int = 1) -> Json:
    labels = {"app": name}
    container = {"name": "main", "image": "example.org/app:1", "ports": [{"containerPort": 80}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def pod(name: str, node: str = "") -> Json:
    spec: Json = {"containers": [{"name": "main", "image": "example.org/app:1"}]}
    if node:
        spec["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }


_POOL_SCHEMA: Final[Json] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["subnet"],
            "properties": {
                "subnet": {
                    "type": "string",
                    "x-kubernetes-validations": [{"rule": "isCIDR(self)", "message": "must be a subnet"}],
                },
                "first": {"type": "string"},
                "size": {"type": "integer", "minimum": 1, "maximum": 100, "default": 5},
                "mode": {"type": "string", "enum": ["local", "remote"]},
                "code": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 4},
                "steps": {
                    "type": "array",
                    "maxItems": 3,
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "weight": {"type": "integer"}},
                    },
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
                "port": {"x-kubernetes-int-or-string": True},
                "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "fixed": {
                    "type": "string",
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "can not be changed"}],
                },
            },
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.first) || cidr(self.subnet).containsIP(ip(self.first))",
                    "message": "first must be in the subnet",
                }
            ],
        },
        "status": {"type": "object", "properties": {"used": {"type": "integer"}}},
    },
}


def pool_definition(group: str = "example.org") -> Json:
    """A CRD with everything that the server is asked for: two versions, status, columns, defaults, CEL."""
    columns = [
        {"name": "Subnet", "type": "string", "jsonPath": ".spec.subnet"},
        {"name": "Used", "type": "integer", "jsonPath": ".status.used"},
        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    shape = {"schema": {"openAPIV3Schema": _POOL_SCHEMA}, "subresources": {"status": {}}, "served": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"pools.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "pools", "kind": "Pool", "shortNames": ["pl"]},
            "versions": [
                {"name": "v1", "storage": True, "additionalPrinterColumns": columns, **copy.deepcopy(shape)},
                {"name": "v2", "storage": False, "additionalPrinterColumns": columns, **copy.deepcopy(shape)},
            ],
        },
    }


def pool(name: str, version: str = "v1", group: str = "example.org", **spec: Any) -> Json:
    return {
        "apiVersion": f"{group}/{version}",
        "kind": "Pool",
        "metadata": {"name": name},
        "spec": {"subnet": "10.1.0.0/24", **spec},
    }
