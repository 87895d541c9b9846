"""Faults on demand: what the server does wrong, to whom, how often.

Owns the list of active faults and the choice of the one that meets a request. What a fault does to a connection is
carried out by `server.py`. Knows nothing of objects.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from .errors import JsonObject, StatusError, internal_error, too_many_requests

KINDS: Final = ("status", "hang", "slow", "down", "read-only", "expire-watches")
WRITES: Final = frozenset(("create", "update", "patch", "delete", "deletecollection"))


@dataclass(slots=True)
class Fault:
    """One fault.

    kind: `status` answers with `code`; `hang` never answers; `slow` waits `milliseconds` first; `down` cuts the
        connection; `read-only` refuses writes with 403; `expire-watches` answers a watch with an ERROR event of code
        410 (as a server does; `status` with code 410 is the other form, 410 as the answer's own code).
    verb, method, resource, subresource, namespace, name, user_agent: whom it meets; None meets all. `resource` is the
        plural name, `user_agent` a part of the header.
    count: how many requests it meets before it is gone; None: until cleared.
    """

    kind: str
    code: int = 500
    retry_after: int = 1
    milliseconds: float = 0
    verb: str | None = None
    method: str | None = None
    resource: str | None = None
    subresource: str | None = None
    namespace: str | None = None
    name: str | None = None
    user_agent: str | None = None
    count: int | None = None
    id: int = field(default=0)
    hits: int = field(default=0)

    def meets(self, request: Meeting) -> bool:
        return (
            (self.verb is None or self.verb == request.verb)
            and (self.method is None or self.method.upper() == request.method)
            and (self.resource is None or self.resource == request.resource)
            and (self.subresource is None or self.subresource == request.subresource)
            and (self.namespace is None or self.namespace == request.namespace)
            and (self.name is None or self.name == request.name)
            and (self.user_agent is None or self.user_agent in request.user_agent)
            and (self.kind != "read-only" or request.verb in WRITES)
            and (self.kind != "expire-watches" or request.verb == "watch")
        )

    def error(self) -> StatusError:
        """What a `status` or `read-only` fault answers."""
        if self.kind == "read-only":
            return StatusError(403, "Forbidden", "the server is read-only", details={})
        match self.code:
            case 429:
                return too_many_requests("the server has received too many requests", self.retry_after)
            case 500:
                return internal_error("a fault was asked for")
            case 409:
                why = "the object has been modified; please apply your changes to the latest version and try again"
                return StatusError(409, "Conflict", f"Operation cannot be fulfilled: {why}")
            case 410:
                return StatusError(410, "Expired", "too old resource version: 1 (2)")
            case 401:
                return StatusError(401, "Unauthorized", "Unauthorized")
            case 503:
                return StatusError(
                    503,
                    "ServiceUnavailable",
                    "the server is currently unable to handle the request",
                    retry_after=self.retry_after,
                )
            case _:
                return StatusError(self.code, "Unknown", f"the server answered with {self.code}, as asked for")

    def as_json(self) -> JsonObject:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Meeting:
    """A request, as far as faults look at it."""

    method: str
    verb: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    user_agent: str = ""


class Faults:
    """The handle `server.faults`. Every method takes effect at once."""

    def __init__(self, drop_watches: Callable[[bool], int], compact: Callable[[], None]) -> None:
        self._drop_watches = drop_watches
        self._compact = compact
        self._active: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, kind: str, **options: Any) -> Fault:
        """Starts a fault; `options` are the fields of `Fault`. Raises ValueError for an unknown kind."""
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}: one of {', '.join(KINDS)}")
        fault = Fault(kind, **options, id=next(self._ids))
        self._active.append(fault)
        if kind == "down":
            self._drop_watches(True)
        return fault

    def status(self, code: int, **options: Any) -> Fault:
        """Answers `code` (409, 410, 429 with `retry_after` seconds, 500, ...)."""
        return self.add("status", code=code, **options)

    def hang(self, **options: Any) -> Fault:
        return self.add("hang", **options)

    def slow(self, milliseconds: float, **options: Any) -> Fault:
        return self.add("slow", milliseconds=milliseconds, **options)

    def down(self, **options: Any) -> Fault:
        """Cuts all connections, now and later, until cleared."""
        return self.add("down", **options)

    def read_only(self, **options: Any) -> Fault:
        return self.add("read-only", **options)

    def drop_watches(self) -> int:
        """Cuts every running watch, as a restarting API server does. Returns how many there were."""
        return self._drop_watches(False)

    def expire(self) -> int:
        """Forgets the history and cuts every watch: who resumes from an old resourceVersion gets 410."""
        self._compact()
        return self._drop_watches(False)

    def clear(self, fault: Fault | None = None) -> None:
        """Ends one fault, or all."""
        self._active = [] if fault is None else [other for other in self._active if other is not fault]

    def clear_id(self, fault_id: int) -> bool:
        found = [fault for fault in self._active if fault.id == fault_id]
        self._active = [fault for fault in self._active if fault.id != fault_id]
        return bool(found)

    def active(self) -> Iterable[Fault]:
        return tuple(self._active)

    def met_by(self, request: Meeting) -> list[Fault]:
        """The faults that meet this request, each counted: all `slow` ones, and the first of the others."""
        met: list[Fault] = []
        decided = False
        for fault in list(self._active):
            if (decided and fault.kind != "slow") or not fault.meets(request):
                continue
            met.append(fault)
            decided = decided or fault.kind != "slow"
            fault.hits += 1
            if fault.count is not None and fault.hits >= fault.count:
                self.clear(fault)
        return met
