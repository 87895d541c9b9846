"""What a ServiceGroup's status says: PureLB v0.17's fields, and conditions. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from allocator.catalog import Verdict
from allocator.engine import Usage
from purelb.addresses import Family
from purelb.resources import PoolSource

MOST: Final = 2**63 - 1
"""What an int64 can say; a /64 has more."""
_FIELDS: Final = ("announce", "ipam", "addresses", "boundNamespaces", "availableIPv4", "availableIPv6")


def group_status(
    verdict: Verdict, usages: Sequence[Usage], before: Mapping[str, Any], now: datetime.datetime
) -> dict[str, Any]:
    """The status of a group. ``before`` is its present one, whose conditions keep their times if nothing changed.

    A refused group says nothing but why; addresses that its Services keep are counted nowhere.
    """
    full = [str(usage.family) for usage in usages if usage.in_use >= usage.size]
    trouble = verdict.trouble or ""
    overlap = trouble if verdict.is_overlap else ""
    conditions = [
        _condition("Ready", not trouble, ("Served", "Refused"), trouble or "the allocator serves this ServiceGroup"),
        _condition(
            "Overlaps", bool(overlap), ("Overlap", "NoOverlap"), overlap or "no other ServiceGroup has these addresses"
        ),
        _condition("Exhausted", bool(full), ("NoFreeAddress", "FreeAddresses"), _free(full, usages)),
    ]
    known = {condition["type"]: condition for condition in before.get("conditions") or ()}
    status: dict[str, Any] = {
        "allocatedIPv4": 0,
        "allocatedIPv6": 0,
        "observedGeneration": verdict.generation,
        "conditions": [_timed(condition, known.get(condition["type"]), now) for condition in conditions],
    }
    group = verdict.group
    if trouble or group is None or not isinstance(group.source, PoolSource):
        return status
    status["announce"] = group.source.scope.capitalize()
    status["ipam"] = "Cluster"
    status["addresses"] = [pool.text for family in Family for pool in group.pools if pool.family is family]
    if group.namespaces is not None:
        status["boundNamespaces"] = list(group.namespaces)
    for usage in usages:
        status[f"allocated{usage.family}"] = min(usage.in_use, MOST)
        status[f"available{usage.family}"] = min(usage.size - usage.in_use, MOST)
    return status


def status_change(wanted: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes ``before`` into ``wanted``; empty if nothing is to be done."""
    patch = {key: value for key, value in wanted.items() if before.get(key) != value}
    return patch | {key: None for key in _FIELDS if key in before and key not in wanted}


def _condition(kind: str, holds: bool, reasons: tuple[str, str], message: str) -> dict[str, str]:
    return {"type": kind, "status": str(holds), "reason": reasons[0 if holds else 1], "message": message}


def _free(full: Sequence[str], usages: Sequence[Usage]) -> str:
    if full:
        return f"no free {' and no free '.join(full)} address"
    families = " and ".join(str(usage.family) for usage in usages)
    return f"there are free {families} addresses" if families else "it gives no addresses"


def _timed(condition: dict[str, str], known: Mapping[str, Any] | None, now: datetime.datetime) -> dict[str, Any]:
    """When the condition last changed its status (apimachinery, SetStatusCondition)."""
    since = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    if known is not None and known.get("status") == condition["status"]:
        since = known.get("lastTransitionTime", since)
    return condition | {"lastTransitionTime": since}
