"""How an object goes: preconditions, finalizers, a grace period. Must not touch: who may delete it."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import JsonObject, conflict
from .metadata import now
from .resources import Resource
from .store import Record, Store


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    grace_seconds: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""


def waits(resource: Resource, obj: JsonObject) -> bool:
    """True while something other than finalizers holds a deletion back."""
    if resource.key == "/namespaces":
        return bool((obj.get("spec") or {}).get("finalizers"))
    return bool(obj["metadata"].get("deletionGracePeriodSeconds"))


def delete(
    store: Store, resource: Resource, old: Record, options: DeleteOptions, grace: int | None, *, dry_run: bool
) -> tuple[Record, bool]:
    """The last state, and whether the object is gone now (False: finalizers or `grace` seconds hold it).

    Raises `StatusError` 409 if it isn't the object that is meant.
    """
    meta = old.obj["metadata"]
    if options.uid and options.uid != meta["uid"]:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({meta['uid']})."
            " The object might have been deleted and then recreated"
        )
        raise conflict(resource.kind, resource.group, old.key[1], why)
    if options.resource_version and options.resource_version != str(old.rv):
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the"
            f" ResourceVersion in record ({old.rv}). The object might have been modified"
        )
        raise conflict(resource.kind, resource.group, old.key[1], why)
    finalizers = list(meta.get("finalizers") or [])
    wanted = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}.get(options.propagation)
    if not meta.get("deletionTimestamp"):
        finalizers = [item for item in finalizers if item not in ("orphan", "foregroundDeletion")]
        if wanted:
            finalizers.append(wanted)
    if dry_run:
        return old, not (finalizers or grace or waits(resource, old.obj))
    held_by_namespace = resource.key == "/namespaces" and waits(resource, old.obj)
    if not finalizers and not grace and not held_by_namespace:
        return store.delete(resource.key, *old.key), True
    if meta.get("deletionTimestamp") and (grace or 0) >= (meta.get("deletionGracePeriodSeconds") or 0):
        return old, False
    new_meta = {**meta, "deletionTimestamp": meta.get("deletionTimestamp") or now()}
    new_meta["deletionGracePeriodSeconds"] = grace
    if resource.generation:
        new_meta["generation"] = meta.get("generation", 1) + 1
    if finalizers:
        new_meta["finalizers"] = finalizers
    new = {**old.obj, "metadata": new_meta}
    if resource.key == "/namespaces":
        new["status"] = {**new.get("status", {}), "phase": "Terminating"}
    return store.put(resource.key, *old.key, new), False


def finish(store: Store, resource: Resource, old: Record, finalizer: str) -> None:
    """A controller of the cluster is done: its finalizer goes, and with the last one the object."""
    meta = dict(old.obj["metadata"])
    meta["finalizers"] = [item for item in meta.get("finalizers") or [] if item != finalizer]
    if not meta["finalizers"]:
        del meta["finalizers"]
    new = {**old.obj, "metadata": meta}
    if meta.get("deletionTimestamp") and not meta.get("finalizers") and not waits(resource, new):
        store.delete(resource.key, *old.key)
    else:
        store.put(resource.key, *old.key, new)
