"""What can go wrong in this package, and whose fault it is.

PureLBError
├── AddressError            text that is no address, range, network or aggregation: refuse it with its sentence
├── SpecError               a custom resource that can't be served as it stands: likewise
├── SettingsError           the program was started with wrong flags or environment: exit with the sentence
└── KubeError               the API server said no, or nothing
    ├── ConflictError       409: decided on an old resourceVersion; decide again
    ├── NotFoundError       404: the object isn't there
    ├── ForbiddenError      403: a rule is missing, or a server that has just started doesn't know its rules yet; or
    │                       whatever admission denied with, by a rule that may be another one tomorrow
    ├── GoneError           410: list again
    ├── InvalidError        400, 422 and their like: refused for what it is; trying again unchanged can't help
    └── UnavailableError    429, 5xx, timeouts, no connection, an answer that isn't the API server's: try later
        └── UnauthorizedError  401: our token isn't taken now, though it was read again: try later
"""

from __future__ import annotations


class PureLBError(Exception):
    """Root of this package's errors."""


class AddressError(PureLBError, ValueError):
    """A text is not the address, range, network or aggregation that it should be."""


class SpecError(PureLBError, ValueError):
    """A custom resource can't be served; the text is one sentence for its owner."""


class SettingsError(PureLBError):
    """Wrong flags or environment; the text is one sentence for whoever starts the program."""


class KubeError(PureLBError):
    """The API server refused or didn't answer.

    ``status`` is the HTTP status, 0 if there was no answer. ``retry_after`` is in seconds, where the server named it.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class ConflictError(KubeError):
    """409: the object changed since it was read, or exists already."""

    @property
    def is_there(self) -> bool:
        """Whether it exists already; else it is to be created again (a quota that changed meanwhile)."""
        return self.reason == "AlreadyExists"


class NotFoundError(KubeError):
    """404, in the API server's own words: no such object. A path that it doesn't serve is an UnavailableError."""


class ForbiddenError(KubeError):
    """403, and what admission denies: we may not, or not yet."""


class GoneError(KubeError):
    """410: the resourceVersion is too old."""


class InvalidError(KubeError):
    """400, 405, 413, 415 or 422: refused for its content, not by admission."""


class UnavailableError(KubeError):
    """429, 5xx, a timeout, no connection, or what no API server answers."""


class UnauthorizedError(UnavailableError):
    """401: the server doesn't take our token now. It may well take it, or the next one, in a moment."""
