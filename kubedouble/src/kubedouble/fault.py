"""A fault as a value, and a request as far as faults look at it. What a fault does is `misdeeds.py`'s."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .errors import JsonObject, StatusError, internal_error, no_such_path, too_many_requests

OF_WATCHES: Final = frozenset(("expire-watches", "broken-line", "cut-line"))
WRITES: Final = frozenset(("create", "update", "patch", "delete", "deletecollection"))
OVER_QUOTA: Final = "exceeded quota: lab, requested: count/objects=1, used: count/objects=1, limited: count/objects=1"
DENIED: Final = "ValidatingAdmissionPolicy 'lab' with binding 'lab' denied request: the lab refuses"
NO_RULES: Final = "forbidden: User cannot do this: RBAC: clusterrole.rbac.authorization.k8s.io not found"
"""What a server says to everybody until it has read its rules."""


@dataclass(slots=True)
class Fault:
    """One fault.

    kind: a name of the table in `misdeeds.py`; `code` and `retry_after` (seconds, of 429 and 503) are for `status`,
        `milliseconds` for `slow`.
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
            and (self.kind not in ("read-only", "admission") or request.verb in WRITES)
            and (self.kind != "quota" or (request.verb == "create" and not request.subresource))
            and (self.kind not in OF_WATCHES or request.verb == "watch")
        )

    def error(self) -> StatusError:
        """What a fault that refuses answers."""
        match self.kind:
            case "read-only":
                return StatusError(403, "Forbidden", "the server is read-only", details={})
            case "quota":
                return StatusError(403, "Forbidden", OVER_QUOTA, details={})
            case "admission":
                return StatusError(422, "Invalid", DENIED, details={})
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
            case 403:
                return StatusError(403, "Forbidden", NO_RULES, details={})
            case 404:
                return no_such_path()
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
