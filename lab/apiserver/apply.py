"""placeholder"""
from __future__ import annotations
from typing import Any
from .cluster import Cluster
from .operations import Caller, Operations
from .resources import Resource
from .store import Record
from .errors import bad_request
from .patches import merge_patch
def apply_patch(cluster: Cluster, operations: Operations, resource: Resource, namespace: str, name: str, sent: Any, caller: Caller, *, subresource: str, force: bool) -> tuple[Record, bool]:
    if cluster.store.get(resource.key, namespace, name) is None:
        return operations.create(resource, namespace, sent, caller), True
    return operations.patch(resource, namespace, name, lambda obj: merge_patch(obj, sent), caller, subresource), False
