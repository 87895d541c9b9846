"""What a PATCH asks for, as a function of the present object. Must not touch: the store."""

from __future__ import annotations

from collections.abc import Callable

from .cluster import Cluster
from .errors import JsonObject, bad_request, unsupported_media_type
from .negotiation import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, PATCHES, read_object, read_yaml
from .patches import json_patch, merge_patch, strategic_merge
from .resources import Resource

Change = Callable[[JsonObject], JsonObject]
"""Makes the wanted object of the present one, and leaves that as it is."""


def read_change(cluster: Cluster, resource: Resource, media: str, body: bytes) -> Change:
    """A JSON patch, a merge patch or a strategic merge patch. Raises `StatusError` 400 or 415."""
    offered = PATCHES if not resource.custom else (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
    if media not in offered:
        raise unsupported_media_type(offered)
    patch = read_yaml(body) if body[:1] not in (b"{", b"[") else read_object(body, "")
    if media == JSON_PATCH:
        return lambda obj: json_patch(obj, patch)
    if not isinstance(patch, dict):
        raise bad_request("the patch is not an object")
    if media == MERGE_PATCH:
        return lambda obj: merge_patch(obj, patch)
    schemas = cluster.schemas
    schema = schemas.root(resource.group, resource.kind) or {}
    return lambda obj: strategic_merge(obj, patch, schema, schemas.resolve)
