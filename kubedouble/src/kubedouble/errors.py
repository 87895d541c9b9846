"""The refusals of the API: one exception, made by functions named after Kubernetes' reasons.

Owns the wording and the `Status` bodies (apimachinery's `errors` and `field` packages are the source of both).
Must not touch: HTTP, the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cause:
    """One invalid field, as in apimachinery's `field.Error`.

    `reason` is one of the `FieldValue*` reasons; `message` is the sentence without the field's path.
    """

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def sentence(self) -> str:
        return f"{self.field}: {self.message}"


class StatusError(Exception):
    """A request refused with a Kubernetes `Status`. `code` is the HTTP status, `retry_after` is in seconds."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: JsonObject | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after

    def status(self) -> JsonObject:
        """The body that goes over the wire."""
        body: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        details = dict(self.details or {})
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        if details:
            body["details"] = details
        body["code"] = self.code
        return body


def qualified(resource: str, group: str) -> str:
    """`servicegroups.purelb.io`, or `services` for the core group."""
    return f"{resource}.{group}" if group else resource


def _details(name: str, group: str, kind: str) -> JsonObject:
    details: JsonObject = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    details["kind"] = kind
    return details


def not_found(resource: str, group: str, name: str) -> StatusError:
    message = f'{qualified(resource, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, details=_details(name, group, resource))


def no_such_path() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(resource: str, group: str, name: str) -> StatusError:
    message = f'{qualified(resource, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details=_details(name, group, resource))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: str, group: str, name: str, why: str = MODIFIED) -> StatusError:
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, details=_details(name, group, resource))


def apply_conflict(message: str, causes: Sequence[JsonObject]) -> StatusError:
    """Server-side apply found fields that others own."""
    return StatusError(409, "Conflict", message, details={"causes": list(causes)})


def forbidden(resource: str, group: str, name: str, why: str) -> StatusError:
    subject = qualified(resource, group)
    message = f'{subject} "{name}" is forbidden: {why}' if name else f"{subject} is forbidden: {why}"
    return StatusError(403, "Forbidden", message, details=_details(name, group, resource))


def invalid(kind: str, group: str, name: str, causes: Iterable[Cause]) -> StatusError:
    """422 with all causes; one cause stands alone, several in brackets, repeated ones once."""
    listed = list(dict.fromkeys(causes))
    sentences = [cause.sentence() for cause in listed]
    joined = sentences[0] if len(sentences) == 1 else "[" + ", ".join(sentences) + "]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {joined}'
    details = _details(name, group, kind)
    details["causes"] = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in listed]
    return StatusError(422, "Invalid", message, details=details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def method_not_allowed(resource: str, group: str, verb: str) -> StatusError:
    message = f'{verb} is not supported on resources of kind "{qualified(resource, group)}"'
    return StatusError(405, "MethodNotAllowed", message, details=_details("", group, resource))


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return StatusError(415, "UnsupportedMediaType", message)


def not_acceptable(offered: Sequence[str]) -> StatusError:
    message = "only the following media types are accepted: " + ", ".join(offered)
    return StatusError(406, "NotAcceptable", message)


def too_many_requests(message: str, retry_after: int) -> StatusError:
    return StatusError(429, "TooManyRequests", message, retry_after=retry_after)


def internal_error(why: str) -> StatusError:
    return StatusError(500, "InternalError", f"Internal error occurred: {why}")


def timeout(message: str, retry_after: int) -> StatusError:
    return StatusError(504, "Timeout", message, retry_after=retry_after)


# The sentences of field.Error, by constructor.


def _shown(value: object) -> str:
    """A value as Go's field.Error prints it: strings quoted, the rest as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if value is None:
        return "null"
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(value, separators=(",", ":"))


def bad_value(field: str, value: object, why: str) -> Cause:
    return Cause(field, f"Invalid value: {_shown(value)}: {why}")


def missing(field: str, why: str = "") -> Cause:
    return Cause(field, "Required value" + (f": {why}" if why else ""), "FieldValueRequired")


def not_allowed(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def duplicate(field: str, value: object) -> Cause:
    return Cause(field, f"Duplicate value: {_shown(value)}", "FieldValueDuplicate")


def unsupported(field: str, value: object, allowed: Iterable[str]) -> Cause:
    listed = ", ".join(f'"{option}"' for option in sorted(allowed))
    return Cause(field, f"Unsupported value: {_shown(value)}: supported values: {listed}", "FieldValueNotSupported")


def too_long(field: str, limit: int) -> Cause:
    return Cause(field, f"Too long: may not be more than {limit} bytes", "FieldValueTooLong")


def too_many(field: str, actual: int, limit: int) -> Cause:
    return Cause(field, f"Too many: {actual}: must have at most {limit} items", "FieldValueTooMany")


def wrong_type(field: str, value: object, why: str) -> Cause:
    return Cause(field, f"Invalid value: {_shown(value)}: {why}", "FieldValueTypeInvalid")
