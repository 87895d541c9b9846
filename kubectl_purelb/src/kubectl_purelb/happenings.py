"""Events and endpoints, as values. Pure; anybody may have written them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from purelb import names
from purelb.addresses import IPAddress
from purelb.endpoints import endpoint_nodes
from purelb.services import parse_time

Json: TypeAlias = Mapping[str, Any]

_OURS: Final = frozenset({names.ALLOCATOR_COMPONENT, names.AGENT_COMPONENT})


@dataclass(frozen=True, slots=True)
class Event:
    """What one of PureLB's programs said of an object."""

    reason: str
    message: str
    last: datetime.datetime
    first: datetime.datetime
    """When it was said the first time of ``count``."""
    is_warning: bool = False
    count: int = 1
    kind: str = ""
    """Of the object that it is about."""
    namespace: str = ""
    name: str = ""

    def speaks_of(self, address: IPAddress) -> bool:
        """Whether its sentence names an address."""
        # Neither a part of a longer one, nor with its end or beginning taken for punctuation.
        text = re.escape(str(address))
        return (
            re.search(rf"(?<![0-9A-Fa-f.])(?<![0-9A-Fa-f]:){text}(?![0-9A-Fa-f]|[.:][0-9A-Fa-f])", self.message)
            is not None
        )


@dataclass(frozen=True, slots=True)
class Backends:
    """The endpoints of a Service."""

    ready: int
    nodes: frozenset[str]
    """With a ready one."""


def view_events(bodies: Iterable[Json]) -> tuple[Event, ...]:
    """Those of PureLB's programs, the newest first."""
    found = [_event(body) for body in bodies if is_ours(body)]
    return tuple(sorted(found, key=lambda event: event.last, reverse=True))


def _event(body: Json) -> Event:
    about, last = body.get("involvedObject") or {}, body.get("lastTimestamp") or body.get("eventTime") or _created(body)
    return Event(
        reason=str(body.get("reason") or ""),
        message=str(body.get("message") or ""),
        last=parse_time(last),
        is_warning=body.get("type") == "Warning",
        first=parse_time(body.get("firstTimestamp") or last),
        count=body.get("count") or 1,
        kind=str(about.get("kind") or ""),
        namespace=str(about.get("namespace") or ""),
        name=str(about.get("name") or ""),
    )


def is_ours(body: Json) -> bool:
    """Whether one of PureLB's programs has said it."""
    return _source(body) in _OURS


def _source(body: Json) -> str:
    source: str = (body.get("source") or {}).get("component") or body.get("reportingComponent") or ""
    return source


def _created(body: Json) -> str | None:
    created: str | None = body["metadata"].get("creationTimestamp")
    return created


def latest(
    events: Sequence[Event], reason: str, address: IPAddress | None = None, since: datetime.datetime | None = None
) -> Event | None:
    """The newest of a reason, that names ``address``, and isn't older than ``since``, where those are said."""
    return next(
        (
            event
            for event in events
            if event.reason == reason
            and (address is None or event.speaks_of(address))
            and (since is None or event.last >= since)
        ),
        None,
    )


def view_backends(bodies: Iterable[Json]) -> Backends:
    """Read the EndpointSlices of one Service."""
    ready, nodes = set[str](), set[str]()
    for body in bodies:
        nodes |= endpoint_nodes(body).ready
        for endpoint in body.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            if conditions.get("ready") is not False and not conditions.get("terminating"):
                ready.update(map(str, endpoint.get("addresses") or ()))
    return Backends(len(ready), frozenset(nodes))
