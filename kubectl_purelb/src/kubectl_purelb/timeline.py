"""What happened, in its order: where addresses went, who else had them, what was refused. Pure.

From events, which the API server keeps for an hour. One that was said several times is known by its first and its last
time alone.
"""

from __future__ import annotations

import datetime
import enum
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from kubectl_purelb.happenings import Event
from purelb import names

_ANNOUNCING: Final = re.compile(r"Node (\S+) announcing (\S+) on interface (\S+)")
"""The agents' sentence (lbnodeagent/kubernetes/reporter.py), PureLB's."""
_TAKING: Final = re.compile(r"Node (\S+) took announcement of (\S+) from node (\S+)")
"""Likewise (annotator.py): what the Service's annotation said before."""
_SOON: Final = datetime.timedelta(seconds=30)
"""Between an address's placing and its annotation."""
_CONFLICTS: Final = frozenset({names.REASON_ADDRESS_CONFLICT, names.REASON_ADDRESS_REMOVED})


class Kind(enum.Enum):
    """What sort of thing happened."""

    MOVED = "Moved"
    """An address came to another node."""
    ANNOUNCED = "Announced"
    """An address came to a node, and where it was before isn't known."""
    CONFLICT = "Conflict"
    """Somebody else has an address, or takes it away."""
    WARNING = "Warning"
    TOLD = "Normal"


@dataclass(frozen=True, slots=True)
class Happening:
    """One of them."""

    at: datetime.datetime
    kind: Kind
    about: str
    """The object: its kind, where that isn't a Service, and its name."""
    told: str
    reason: str
    times: int = 1
    address: str = ""
    before: str = ""
    """The node that had the address."""
    node: str = ""
    """The node that has it."""


def timeline(events: Iterable[Event], since: datetime.datetime | None = None) -> tuple[Happening, ...]:
    """The oldest first; ``since``: nothing older than that, though it counts for where an address was."""
    points = sorted(_points(events), key=lambda point: point[0])
    where: dict[tuple[str, str], str] = {}
    taken = _takings(points)
    found = []
    for at, event in points:
        happening = _happening(at, event, where, taken)
        if happening is not None and (since is None or at >= since):
            found.append(happening)
    return tuple(found)


class _Arrival(NamedTuple):
    about: str
    node: str
    address: str


class _Taking(NamedTuple):
    at: datetime.datetime
    before: str


def _takings(points: Iterable[tuple[datetime.datetime, Event]]) -> Mapping[_Arrival, Sequence[_Taking]]:
    """Who had an address before, by its arrivals; each may be told again and again."""
    found: dict[_Arrival, list[_Taking]] = {}
    for at, event in points:
        if event.reason == names.REASON_ANNOUNCE_SLOT_STEAL and (said := _TAKING.fullmatch(event.message)):
            node, address, before = said.groups()
            found.setdefault(_Arrival(_about(event), node, address), []).append(_Taking(at, before))
    return found


def _points(events: Iterable[Event]) -> Iterator[tuple[datetime.datetime, Event]]:
    for event in events:
        is_placing = event.reason == names.REASON_ANNOUNCING_LOCAL
        if is_placing and event.count > 1 and event.first < event.last:
            yield event.first, event
        yield event.last, event


def _happening(
    at: datetime.datetime, event: Event, where: dict[tuple[str, str], str], taken: Mapping[_Arrival, Sequence[_Taking]]
) -> Happening | None:
    """``where`` is each address of each object, and is brought up to date."""
    about = _about(event)
    if event.reason == names.REASON_ANNOUNCE_SLOT_STEAL:
        return None  # who has it says so too
    placed = _ANNOUNCING.fullmatch(event.message) if event.reason == names.REASON_ANNOUNCING_LOCAL else None
    if placed is not None:
        node, address, interface = placed.groups()
        before = where.get((about, address)) or _taken_from(taken.get(_Arrival(about, node, address), ()), at)
        where[about, address] = node
        if before and before != node:
            told = f"{address}: {before} → {node} ({interface})"
            return Happening(at, Kind.MOVED, about, told, event.reason, 1, address, before, node)
        return Happening(
            at, Kind.ANNOUNCED, about, f"{address}: {node} ({interface})", event.reason, 1, address, "", node
        )
    kind = Kind.CONFLICT if event.reason in _CONFLICTS else Kind.WARNING if event.is_warning else Kind.TOLD
    return Happening(at, kind, about, event.message, event.reason, event.count)


def _taken_from(taken: Sequence[_Taking], at: datetime.datetime) -> str:
    """Who had an address before, where the event of its placing there has been forgotten."""
    first = bisect_left(taken, at - _SOON, key=lambda one: one.at)
    return taken[first].before if first < len(taken) and taken[first].at <= at + _SOON else ""


def _about(event: Event) -> str:
    name = f"{event.namespace}/{event.name}" if event.namespace else event.name
    return name if event.kind == "Service" else f"{event.kind} {name}"
