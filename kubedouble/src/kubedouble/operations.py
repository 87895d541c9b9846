"""Create, update, patch, delete: what a write does, whoever asks and however it came in.

Owns the order of the steps (decode, carry over, default, validate, commit) and the rules common to all kinds:
generation, no-op writes, dry run; `deletion.py` has how an object goes. Must not touch: HTTP, authentication.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from .admission import admit_create
from .callers import Caller
from .cluster import SERVICES, Cluster
from .crds import CustomKind
from .deletion import DeleteOptions, delete, finish, waits
from .errors import (
    Cause,
    JsonObject,
    StatusError,
    already_exists,
    bad_request,
    bad_value,
    conflict,
    invalid,
    missing,
    not_found,
)
from .managedfields import stamp
from .metadata import generated_name, new_uid, now, validate_metadata, validate_metadata_update
from .patching import Change
from .resources import Resource
from .servicerules import validate_load_balancer_status
from .store import Record

_SERVER_OWNED: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)


class Operations:
    """All writes to the store go through here."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._store = cluster.store

    # Reading

    def find(self, resource: Resource, namespace: str, name: str) -> Record:
        """Raises `StatusError` 404."""
        record = self._store.get(resource.key, namespace, name)
        if record is None:
            raise not_found(resource.plural, resource.group, name)
        return record

    # Decoding

    def decode(self, resource: Resource, body: Any, caller: Caller) -> JsonObject:
        """A copy in the stored form. Raises `StatusError` 400."""
        if not isinstance(body, dict):
            raise bad_request("couldn't get version/kind; json parse error: the body is not an object")
        given = body.get("apiVersion") or resource.group_version
        if given != resource.group_version:
            raise bad_request(
                f"the API version in the data ({given}) does not match the expected API version"
                f" ({resource.group_version})"
            )
        if (kind := body.get("kind") or resource.kind) != resource.kind:
            raise bad_request(f"the kind in the data ({kind}) does not match the expected kind ({resource.kind})")
        clean, unknown = self.cluster.decode(resource, body)
        if unknown and caller.field_validation == "Strict":
            shown = ", ".join(dict.fromkeys(unknown))
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}:'
                f" strict decoding error: {shown}"
            )
        if unknown and caller.field_validation == "Warn":
            caller.warnings.extend(dict.fromkeys(unknown))
        if not isinstance(clean.setdefault("metadata", {}), dict):
            raise bad_request("metadata must be an object")
        return self.cluster.to_stored(resource, clean)

    # Creating

    def create(
        self,
        resource: Resource,
        namespace: str,
        body: Any,
        caller: Caller,
        *,
        managed: list[JsonObject] | None = None,
    ) -> Record:
        """POST. `managed` comes from server-side apply. Raises `StatusError`."""
        obj = self.decode(resource, body, caller)
        meta = obj["metadata"]
        if resource.namespaced:
            if meta.setdefault("namespace", namespace) != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        elif meta.pop("namespace", None):
            raise bad_request("namespace may not be set on a cluster-scoped object")
        if meta.get("resourceVersion"):
            raise StatusError(500, "InternalError", "resourceVersion should not be set on objects to be created")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = generated_name(meta["generateName"])
            while self._store.get(resource.key, namespace, meta["name"]) is not None:
                meta["name"] = generated_name(meta["generateName"])
        for owned in _SERVER_OWNED:
            meta.pop(owned, None)
        meta["uid"] = new_uid()
        meta["creationTimestamp"] = now()
        if resource.generation:
            meta["generation"] = 1
        if not meta.get("name"):
            raise invalid(
                resource.kind, resource.group, "", [missing("metadata.name", "name or generateName is required")]
            )
        if not isinstance(meta["name"], str):
            raise bad_request("metadata.name must be a string")
        admit_create(self.cluster, resource, obj, caller.user)
        kind = self.cluster.kind(resource)
        if resource.subresource("status") and not kind.keeps_status_at_creation:
            obj.pop("status", None)
        kind.default(obj)
        kind.prepare_create(obj)
        self._check(resource, obj, None, validate_metadata(meta, resource.key) + kind.validate(obj))
        if self._store.get(resource.key, namespace, meta["name"]) is not None:
            raise already_exists(resource.plural, resource.group, meta["name"])
        # What the server itself decides from here on is nobody's.
        if managed is None:
            self._stamp(resource, None, obj, caller, "")
        else:
            meta["managedFields"] = managed
        if resource.key == SERVICES:
            self.cluster.services.draw(obj, None)
        return self._put(resource, obj, caller)

    # Updating

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Any,
        caller: Caller,
        subresource: str = "",
    ) -> Record:
        """PUT. An unconditional one (no resourceVersion) is taken for built-in kinds only."""
        new = self.decode(resource, body, caller)
        meta = new["metadata"]
        if (given := meta.get("name") or name) != name:
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        if meta.get("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        old = self._store.get(resource.key, namespace, name)
        if old is None:
            if self.cluster.kind(resource).creates_on_update and not subresource:
                return self.create(resource, namespace, body, caller)
            raise not_found(resource.plural, resource.group, name)
        if resource.custom and not meta.get("resourceVersion"):
            cause = bad_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(resource.kind, resource.group, name, [cause])
        return self.replace(resource, old, new, caller, subresource)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Change,
        caller: Caller,
        subresource: str = "",
    ) -> Record:
        """`change` turns the present object (in this resource's version) into the wanted one, without altering it."""
        old = self.find(resource, namespace, name)
        wanted = change(self.cluster.view(resource, old))
        new = self.decode(resource, wanted, caller)
        if new["metadata"].get("name") != name:
            cause = bad_value("metadata.name", new["metadata"].get("name", ""), "field is immutable")
            raise invalid(resource.kind, resource.group, name, [cause])
        return self.replace(resource, old, new, caller, subresource)

    def replace(
        self,
        resource: Resource,
        old: Record,
        new: JsonObject,
        caller: Caller,
        subresource: str = "",
        *,
        managed: list[JsonObject] | None = None,
    ) -> Record:
        """Makes `new` (decoded, ours to change) the next state after `old`. `managed` comes from server-side apply."""
        before, name = old.obj, old.key[1]
        old_meta, meta = before["metadata"], new["metadata"]
        if (uid := meta.get("uid")) and uid != old_meta["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old_meta['uid']}"
            raise conflict(resource.plural, resource.group, name, why)
        if (version := meta.get("resourceVersion")) and version != str(old.rv):
            raise conflict(resource.plural, resource.group, name)
        for owned in _SERVER_OWNED:
            if owned in old_meta:
                meta[owned] = old_meta[owned]
            else:
                meta.pop(owned, None)
        if resource.namespaced:
            meta.setdefault("namespace", old.key[0])
        kind = self.cluster.kind(resource)
        if subresource == "status":
            # Defaults come with decoding, by what the write itself says of the spec that it can't change.
            kind.default_status(new)
            new = self._only_status(resource, before, new)
            if isinstance(kind, CustomKind):
                kind.default(new)
        else:
            if resource.subresource("status"):
                new.pop("status", None)
                if "status" in before:
                    new["status"] = copy.deepcopy(before["status"])
            kind.prepare_update(before, new)
            kind.default(new)
        meta = new["metadata"]
        causes = validate_metadata(meta, resource.key) + validate_metadata_update(old_meta, meta)
        causes += kind.validate(new) + kind.validate_update(before, new)
        if resource.key == SERVICES and subresource == "status":
            causes += validate_load_balancer_status(new)
        self._check(resource, new, before, causes)
        if resource.key == SERVICES and subresource != "status":
            self.cluster.services.draw(new, before)
        if resource.generation and not subresource and kind.generation_moves(before, new):
            meta["generation"] = old_meta.get("generation", 0) + 1
        if managed is None:
            self._stamp(resource, before, new, caller, subresource)
        else:
            meta["managedFields"] = managed
        meta["resourceVersion"] = str(old.rv)
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and not waits(resource, new):
            if caller.dry_run:
                return Record(old.key, old.rv, new)
            return self._store.delete(resource.key, *old.key)
        if _same(before, new):
            return old
        return self._put(resource, new, caller)

    def _stamp(
        self, resource: Resource, before: JsonObject | None, new: JsonObject, caller: Caller, subresource: str
    ) -> None:
        typed = self.cluster.typed(resource)
        written = new
        if before is None and resource.subresource("status"):
            written = {key: value for key, value in new.items() if key != "status"}
        stamp(
            before,
            written,
            typed,
            manager=caller.manager,
            version=resource.group_version,
            subresource=subresource,
        )

    def _only_status(self, resource: Resource, before: JsonObject, new: JsonObject) -> JsonObject:
        """A write to `status` takes that and, for built-in kinds, annotations and labels."""
        kept = {key: value for key, value in before.items() if key not in ("status", "metadata")}
        meta = dict(before["metadata"])
        for field_name in ("labels", "annotations", "finalizers", "ownerReferences"):
            if not self.cluster.kind(resource).status_takes_metadata():
                break
            if field_name in new["metadata"]:
                meta[field_name] = new["metadata"][field_name]
            else:
                meta.pop(field_name, None)
        if "managedFields" in new["metadata"]:
            meta["managedFields"] = new["metadata"]["managedFields"]
        result = {**kept, "metadata": meta}
        if "status" in new:
            result["status"] = new["status"]
        return result

    def _check(self, resource: Resource, obj: JsonObject, old: JsonObject | None, causes: list[Cause]) -> None:
        kind = self.cluster.kind(resource)
        if isinstance(kind, CustomKind):
            causes = causes + kind.check_rules(obj, old, causes)
        if causes:
            raise invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)

    def _put(self, resource: Resource, obj: JsonObject, caller: Caller) -> Record:
        meta = obj["metadata"]
        for empty in ("labels", "annotations", "finalizers", "ownerReferences"):
            if empty in meta and not meta[empty]:
                del meta[empty]
        key = (meta.get("namespace", ""), meta["name"])
        if caller.dry_run:
            meta.pop("resourceVersion", None)
            old = self._store.get(resource.key, *key)
            if old is not None:
                meta["resourceVersion"] = str(old.rv)
            return Record(key, old.rv if old else 0, obj)
        return self._store.put(resource.key, *key, obj)

    # Deleting

    def delete(
        self, resource: Resource, namespace: str, name: str, options: DeleteOptions, caller: Caller
    ) -> tuple[Record, bool]:
        """The last state, and whether the object is gone now. Raises `StatusError` 404 or 409."""
        old = self.find(resource, namespace, name)
        grace = self.cluster.kind(resource).grace_seconds(old.obj, options.grace_seconds)
        return delete(self._store, resource, old, options, grace, dry_run=caller.dry_run)

    def finish(self, resource: Resource, old: Record, finalizer: str) -> None:
        """A controller of the cluster is done: its finalizer goes, and with the last one the object."""
        finish(self._store, resource, old, finalizer)


def _same(before: JsonObject, new: JsonObject) -> bool:
    """Nothing but the times in managedFields differs: such a write changes no resourceVersion."""
    old_meta = {key: value for key, value in before["metadata"].items() if key != "managedFields"}
    new_meta = {key: value for key, value in new["metadata"].items() if key != "managedFields"}
    for meta in (old_meta, new_meta):
        for empty in ("labels", "annotations", "finalizers", "ownerReferences"):
            if not meta.get(empty):
                meta.pop(empty, None)
    if old_meta != new_meta:
        return False
    if {**before, "metadata": None} != {**new, "metadata": None}:
        return False

    def owners(obj: JsonObject) -> list[JsonObject]:
        entries = obj["metadata"].get("managedFields") or []
        return [{key: value for key, value in entry.items() if key != "time"} for entry in entries]

    return owners(before) == owners(new)
