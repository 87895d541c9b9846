"""Which requests the API server refuses us again and again, for lack of a right. Pure.

A program whose Role or binding was removed goes on, and what it can't do any more would wait without a word. Where that
is told is forbidden.py's; why a request was sent is its caller's.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Final

from purelb.errors import ConflictError, ForbiddenError, GoneError, InvalidError, KubeError, NotFoundError

PATIENCE: Final = 20.0
"""Seconds of refusals after which it is no accident: a server that has just started forbids everything for a moment."""
MEMORY: Final = 300.0
"""Seconds after which a request that nobody sends any more is forgotten: more than any pause between two tries."""
VERBS: Final = {"GET": "read", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_RBAC: Final = '" cannot '
"""In RBAC's sentence (apiserver's forbiddenMessage), and in none of a quota, of admission, of a namespace that ends."""


@dataclass(frozen=True, slots=True)
class _Refused:
    first: float
    last: float


class Rights:
    """Which requests were refused by RBAC lately, and haven't worked since. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._refused: dict[str, _Refused] = {}

    def failed(self, method: str, path: str, error: KubeError, now: float) -> None:
        """What came of a request. One that is refused for its content wasn't for lack of a right, which comes first."""
        if isinstance(error, ConflictError | NotFoundError | GoneError | InvalidError):
            self.worked(method, path)
        elif isinstance(error, ForbiddenError) and _RBAC in str(error):
            request = request_of(method, path)
            known = self._refused.get(request)
            is_old = known is None or now - known.last >= MEMORY
            self._refused[request] = _Refused(now, now) if known is None or is_old else replace(known, last=now)

    def worked(self, method: str, path: str) -> None:
        """A request was answered, or begun to be (method ``WATCH``)."""
        if self._refused:
            self._refused.pop(request_of(method, path), None)

    def missing(self, now: float) -> tuple[str, ...]:
        """The requests that are refused, such as ``patch services/status``, in their order."""
        known = tuple(self._refused.items())
        return tuple(
            sorted(request for request, its in known if its.last - its.first >= PATIENCE and now - its.last < MEMORY)
        )

    def trouble(self, now: float, *, but_for: Set[str] = frozenset()) -> str | None:
        """Why the program isn't ready on this account; None: it is.

        ``but_for``: the requests without which it works, as ``missing`` names them.
        """
        missing = [request for request in self.missing(now) if request not in but_for]
        if not missing:
            return None
        return f"the API server forbids to {', '.join(missing)}: are PureLB's roles and their bindings all there?"


def request_of(method: str, path: str) -> str:
    """A request without the names in it: ``patch services/status``."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    return f"{VERBS.get(method, method.lower())} {'/'.join((*rest[:1], *rest[2:]))}"
