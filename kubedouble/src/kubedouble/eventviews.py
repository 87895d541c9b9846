"""Events in their two spellings: core `v1` (stored) and `events.k8s.io/v1`. Pure."""

from __future__ import annotations

from typing import Final

from .errors import JsonObject

# events.k8s.io name -> core name, for the fields that only changed their name.
_RENAMED: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_BACK: Final = {core: new for new, core in _RENAMED.items()}


def to_core(obj: JsonObject) -> JsonObject:
    renamed = {_RENAMED.get(key, key): value for key, value in obj.items()}
    renamed.setdefault("involvedObject", {})
    return {**renamed, "apiVersion": "v1"}


def to_new(obj: JsonObject) -> JsonObject:
    renamed = {_BACK.get(key, key): value for key, value in obj.items()}
    return {**renamed, "apiVersion": "events.k8s.io/v1"}
