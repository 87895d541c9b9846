"""The pools as rows: what a ServiceGroup says of itself, and what the leading allocator says in its status. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from allocator.page.rows import Fill, PoolRow, legible
from purelb.addresses import Family
from purelb.errors import SpecError
from purelb.servicegroups import ServiceGroup, parse_service_group

MOST_RANGES: Final = 16
"""Ranges of a pool that are shown."""
_LONGEST: Final = 1024
"""Characters of a sentence."""

Json = Mapping[str, Any]


class Known(NamedTuple):
    """A group as it was read."""

    body: Json
    row: PoolRow
    spec: ServiceGroup | None
    """None: it isn't served, or can't be read."""


class Pools:
    """Reads groups, each anew only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}

    def see(self, bodies: Iterable[Json]) -> None:
        """These are all that there are."""
        known: dict[str, Known] = {}
        for body in bodies:
            key = f"{body['metadata'].get('namespace', '')}/{body['metadata']['name']}"
            before = self._known.get(key)
            known[key] = before if before is not None and before.body is body else _read(key, body)
        self._known = known

    @property
    def rows(self) -> dict[str, PoolRow]:
        return {key: one.row for key, one in sorted(self._known.items())}

    @property
    def served(self) -> dict[str, ServiceGroup]:
        """By name."""
        return {one.spec.name: one.spec for one in self._known.values() if one.spec is not None}


def _read(key: str, body: Json) -> Known:
    metadata, status = body["metadata"], body.get("status") or {}
    is_served, said = _ready(status)
    spec: ServiceGroup | None = None
    try:
        spec = parse_service_group(body)
    except SpecError as error:
        is_served, said = False, str(error)
    else:
        if spec.node_selector.requirements and isinstance(nodes := status.get("nodes"), list):
            spec = replace(spec, announcers=frozenset(map(str, nodes)))
    row = PoolRow(
        key=legible(key, 2 * _LONGEST),
        name=legible(metadata["name"]),
        namespace=legible(metadata.get("namespace", "")),
        announce=legible(str(status.get("announce") or "")),
        source=legible(str(status.get("ipam") or "")),
        ranges=tuple(legible(str(text)) for text in (status.get("addresses") or ())[:MOST_RANGES]),
        fill=tuple(_fills(status)),
        is_served=is_served,
        trouble="" if is_served is not False else legible(said, _LONGEST),
    )
    return Known(body, row, spec if is_served is not False else None)


def _ready(status: Json) -> tuple[bool | None, str]:
    for one in status.get("conditions") or ():
        if one.get("type") == "Ready" and one.get("status") in ("True", "False"):
            return one["status"] == "True", str(one.get("message") or "")
    return None, ""


def _fills(status: Json) -> Iterable[Fill]:
    for family in Family:
        used, free = status.get(f"allocated{family}") or 0, status.get(f"available{family}")
        if used or free is not None:
            yield Fill(str(family), used, free)
