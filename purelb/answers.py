"""What an answer of the API server means: an object, a page of a list, an event of a watch, or a refusal.

Bytes in, values or a KubeError out. Whatever the API server would not have said (a proxy's page, half an object, an
endless line) is an UnavailableError: somebody else answered, or it was cut short, and the next try may fare better.
It must not know sockets, and what objects are about.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from purelb.errors import (
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)

JsonObject: TypeAlias = dict[str, Any]

LONGEST_LINE: Final = 16 * 1024 * 1024
"""Bytes of one event of a watch: etcd takes objects of 1.5 MiB, which JSON makes several times as long at worst."""
LONGEST_WAIT: Final = 60.0
"""Seconds of a Retry-After that are obeyed: the API server asks for one or a few."""

_REFUSALS: Final[Mapping[int, type[KubeError]]] = {
    400: InvalidError,
    403: ForbiddenError,
    404: NotFoundError,
    405: InvalidError,
    409: ConflictError,
    410: GoneError,
    413: InvalidError,
    415: InvalidError,
    422: InvalidError,
}
"""What these say of an object holds only if the API server says it: a proxy's 404 deletes nothing."""
_DENIALS: Final = (" denied request: ", " denied the request")
"""In what a ValidatingAdmissionPolicy and a webhook answer (apiserver's policy/validating, webhook/errors): with 400 or
422, as for content that is wrong, and yet it is somebody's rule, which may be another one tomorrow."""
_CHANGES: Final = frozenset(("ADDED", "MODIFIED", "DELETED", "BOOKMARK"))


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a collection, the resourceVersion of the whole, and the token for the next part, if there is one."""

    items: list[JsonObject]
    resource_version: str
    token: str


def decode_document(data: bytes, what: str) -> JsonObject:
    """What the server says of itself, in an answer that is no object: kinds, its version. Raises UnavailableError."""
    answer = _decode(data, what)
    if not (isinstance(answer, dict) and isinstance(answer.get("kind", answer.get("gitVersion")), str)):
        raise UnavailableError(f"the answer to {what} is not Kubernetes': {_shown(data)}")
    return answer


def decode_object(data: bytes, what: str) -> JsonObject:
    """The object in an answer; ``what`` was asked for. Raises UnavailableError."""
    answer = _decode(data, what)
    if not (isinstance(answer, dict) and isinstance(answer.get("kind"), str) and _has_metadata(answer)):
        raise UnavailableError(f"the answer to {what} is no Kubernetes object: {_shown(data)}")
    return answer


def decode_page(answer: JsonObject, what: str) -> Page:
    """The part of a collection that an object is. Raises UnavailableError."""
    items = [] if answer.get("items") is None else answer["items"]  # Go's empty list
    version, token = answer["metadata"].get("resourceVersion"), answer["metadata"].get("continue") or ""
    if not (isinstance(items, list) and isinstance(version, str) and isinstance(token, str) and _are_named(items)):
        raise UnavailableError(f"the answer to {what} is no list")
    return Page(items, version, token)


def decode_event(line: bytes, what: str) -> JsonObject:
    """An event of the watch ``what``. Raises what its ERROR stands for; UnavailableError for what is no event."""
    event = _decode(line, what)
    if isinstance(event, dict) and isinstance(event.get("object"), dict):
        body = event["object"]
        if event.get("type") == "ERROR":
            code = body.get("code")
            raise _refusal(code if isinstance(code, int) else 500, body, None)
        version = body["metadata"].get("resourceVersion") if _has_metadata(body) else None
        is_named = event.get("type") == "BOOKMARK" or _are_named([body])
        if event.get("type") in _CHANGES and isinstance(version, str) and is_named:
            return event
    raise UnavailableError(f"{what} tells what is no event: {_shown(line)}")


def refusal(status: int, headers: Mapping[str, str], data: bytes) -> KubeError:
    """The error that an answer stands for which isn't the one that was hoped for."""
    retry_after = headers.get("Retry-After", "")
    wait = min(float(retry_after), LONGEST_WAIT) if retry_after.isdecimal() else None
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and body.get("kind") == "Status":
        return _refusal(status, body, wait)
    words = f"HTTP status {status}" + (f": {_shown(data)}" if data.strip() else "")
    kind = UnauthorizedError if status == 401 else UnavailableError
    return kind(words, status=status, retry_after=wait)


def _refusal(code: int, status: JsonObject, retry_after: float | None) -> KubeError:
    kind = UnauthorizedError if code == 401 else _REFUSALS.get(code, UnavailableError)
    if kind is NotFoundError and not _names_an_object(status):
        kind = UnavailableError  # the path isn't served, or not yet: a server that starts knows no custom resources
    message = str(status.get("message") or f"HTTP status {code}")
    if kind is InvalidError and any(words in message for words in _DENIALS):
        kind = ForbiddenError
    return kind(message, status=code, reason=str(status.get("reason") or ""), retry_after=retry_after)


class Lines:
    """Cuts a stream into lines, and takes no longer ones than an API server sends."""

    def __init__(self, what: str, longest: int = LONGEST_LINE) -> None:
        self._what = what
        self._longest = longest
        self._begun: list[bytes] = []
        self._length = 0

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """The lines that ``chunk`` completes, without their ends. Raises UnavailableError for one that is too long."""
        first, *others = chunk.split(b"\n")
        self._begin(first)
        for part in others:
            line = b"".join(self._begun)
            self._begun, self._length = [], 0
            self._begin(part)
            if line:
                yield line

    def end(self) -> None:
        """The stream has ended. Raises UnavailableError if that was in the middle of a line."""
        if self._length:
            raise UnavailableError(f"{self._what} ended in the middle of an event")

    def _begin(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > self._longest:
            raise UnavailableError(f"{self._what} tells more than {self._longest} bytes in one line")
        if part:
            self._begun.append(part)


def _decode(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise UnavailableError(f"the answer to {what} is no JSON: {_shown(data)}") from None


def _names_an_object(status: JsonObject) -> bool:
    """Whether a Status says what it is about (metav1 StatusDetails)."""
    details = status.get("details")
    return isinstance(details, dict) and bool(details.get("name"))


def _has_metadata(body: JsonObject) -> bool:
    return isinstance(body.get("metadata"), dict)


def _are_named(bodies: list[Any]) -> bool:
    return all(
        isinstance(body, dict) and _has_metadata(body) and isinstance(body["metadata"].get("name"), str)
        for body in bodies
    )


def _shown(data: bytes) -> str:
    """The beginning of an answer in one line, for a log."""
    return " ".join(data[:200].decode(errors="replace").split()) or "it is empty"
