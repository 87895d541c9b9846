"""What a ServiceGroup's status says: PureLB v0.17's fields, and conditions. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from allocator.conditions import condition, timed
from allocator.groups.catalog import Verdict
from allocator.groups.summary import summary
from allocator.ipam.engine import Usage
from allocator.sources.source import Capacity
from purelb.addresses import Family
from purelb.servicegroups import NetboxSource, PoolSource, SidecarSource

MOST: Final = 2**63 - 1
"""What an int64 can say; a /64 has more."""
_FIELDS: Final = (
    "announce",
    "ipam",
    "addresses",
    "boundNamespaces",
    "availableIPv4",
    "availableIPv6",
    "nodes",
    "summary",
)


def group_status(
    verdict: Verdict,
    usages: Sequence[Usage],
    before: Mapping[str, Any],
    now: datetime.datetime,
    *,
    capacity: Capacity | None = None,
    chosen: Sequence[str] | None = None,
    source_trouble: str | None = None,
) -> dict[str, Any]:
    """The status of a group. ``before`` is its present one, whose conditions keep their times if nothing changed.

    A refused group says nothing but why; addresses that its Services keep are counted nowhere. ``capacity`` and
    ``source_trouble`` are of whoever keeps its addresses, if that isn't the allocator. ``chosen``: the nodes that its
    selector chooses, for the agents; None: that isn't known now.
    """
    if capacity is not None:
        usages = _usages(capacity)
    trouble = verdict.trouble or ""
    overlap = trouble if verdict.is_overlap else ""
    conditions = [
        _ready(trouble, source_trouble or ""),
        _overlaps(overlap),
        _exhausted(verdict, usages, is_known=capacity is None or capacity.size is not None),
    ]
    known = {one["type"]: one for one in before.get("conditions") or ()}
    status: dict[str, Any] = {
        "allocatedIPv4": 0,
        "allocatedIPv6": 0,
        "observedGeneration": verdict.generation,
        "conditions": [timed(one, known.get(one["type"]), now) for one in conditions],
    }
    group = verdict.group
    if trouble or group is None:
        return status
    match group.source:
        case PoolSource():
            status["announce"], status["ipam"] = group.source.scope.capitalize(), "Cluster"
        case SidecarSource():
            status["announce"], status["ipam"] = group.source.announce.capitalize(), group.source.provider
        case NetboxSource():
            status["announce"], status["ipam"] = "Local", "NetBox"
    status["addresses"] = [pool.text for family in Family for pool in group.pools if pool.family is family]
    if (
        group.node_selector.requirements
        and (known_nodes := before.get("nodes") if chosen is None else chosen) is not None
    ):
        status["nodes"] = list(known_nodes)
    if group.namespaces is not None:
        status["boundNamespaces"] = list(group.namespaces)
    if capacity is not None:
        status["addresses"] = list(capacity.display)
        for family, in_use in capacity.in_use.items():
            status[f"allocated{family}"] = min(in_use, MOST)
    for usage in usages:
        status[f"allocated{usage.family}"] = min(usage.in_use, MOST)
        status[f"available{usage.family}"] = min(max(usage.size - usage.in_use, 0), MOST)
    status["summary"] = summary(usages, status["addresses"], group.namespaces)
    return status


def status_change(wanted: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that makes ``before`` into ``wanted``; empty if nothing is to be done."""
    patch = {key: value for key, value in wanted.items() if before.get(key) != value}
    return patch | {key: None for key in _FIELDS if key in before and key not in wanted}


def _usages(capacity: Capacity) -> list[Usage]:
    """How full a source is, as far as it says so."""
    sizes = capacity.size or {}
    return [Usage("", family, size, capacity.in_use.get(family, 0)) for family, size in sizes.items() if size]


def _exhausted(verdict: Verdict, usages: Sequence[Usage], *, is_known: bool) -> dict[str, str]:
    """Whether a family has no address left. Of a group that isn't served there is nothing to tell."""
    if verdict.trouble is not None:
        return condition("Exhausted", None, "NotServed", "this ServiceGroup is not served, so it gives no addresses")
    if not is_known:
        return condition("Exhausted", None, "CapacityUnknown", "how full it is is not known")
    full = [str(usage.family) for usage in usages if usage.in_use >= usage.size]
    if full:
        return condition("Exhausted", True, "NoFreeAddress", f"no free {' and no free '.join(full)} address")
    if not usages:
        return condition("Exhausted", True, "NoAddresses", "it has no addresses at all")
    families = " and ".join(str(usage.family) for usage in usages)
    return condition("Exhausted", False, "FreeAddresses", f"there are free {families} addresses")


def _overlaps(sentence: str) -> dict[str, str]:
    if sentence:
        return condition("Overlaps", True, "Overlap", sentence)
    return condition("Overlaps", False, "NoOverlap", "no other ServiceGroup has these addresses")


def _ready(refused: str, unreachable: str) -> dict[str, str]:
    if refused:
        return condition("Ready", False, "Refused", refused)
    if unreachable:
        return condition("Ready", False, "SourceUnavailable", unreachable)
    return condition("Ready", True, "Served", "the allocator serves this ServiceGroup")
