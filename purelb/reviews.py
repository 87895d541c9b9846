"""Who may read the metrics: asks the API server whose token it is (TokenReview), and whether that one may.

Owns what is remembered of tokens, by their hash, and how often strangers can make us ask. The right is ``get`` on the
nonResourceURL ``/metrics``, as controller-runtime's filter and kube-rbac-proxy have it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from purelb.answers import JsonObject
from purelb.errors import KubeError
from purelb.kube import Kube, group_path
from purelb.pace import Pace

log = logging.getLogger(__name__)

TOKENS: Final = group_path("authentication.k8s.io/v1", "tokenreviews")
ACCESS: Final = group_path("authorization.k8s.io/v1", "subjectaccessreviews")
READABLE: Final = "/metrics"

FRESH: Final = 60.0
"""Seconds for which an answer counts."""
STALE: Final = 600.0
"""Seconds for which who could read may go on while the API server doesn't answer: that is when somebody looks."""
PATIENCE: Final = 2.0
"""Seconds that the API server may take for either question: Prometheus gives up a scrape after 10, and what is fallen
back to must be said before."""
MOST: Final = 64
"""Tokens of each kind, taken and refused, that are remembered."""
STRANGERS: Final = 0.2
"""Seconds between two questions about tokens that weren't taken lately: so fast can strangers make us ask."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status, and a sentence."""

    status: int
    sentence: str


NO_TOKEN: Final = Refusal(401, "a bearer token is needed")
UNKNOWN: Final = Refusal(401, "the API server doesn't know this token")
NOT_ALLOWED: Final = Refusal(403, f"whose token this is may not get {READABLE}")
TOO_MANY: Final = Refusal(429, "too many unknown tokens, try again")
UNANSWERED: Final = Refusal(503, "the API server doesn't say whose token this is")

Create = Callable[[str, JsonObject], Awaitable[JsonObject]]
"""Kube's own. Raises KubeError."""


@dataclass(frozen=True, slots=True)
class _Refused:
    at: float
    why: Refusal


class Reviews:
    """To be used on one loop. ``clock`` gives monotonic seconds."""

    def __init__(self, create: Create, clock: Callable[[], float]) -> None:
        self._create = create
        self._clock = clock
        self._taken: dict[bytes, float] = {}
        self._refused: dict[bytes, _Refused] = {}
        self._next_stranger = 0.0

    async def refusal(self, authorization: str) -> Refusal | None:
        """Why who sends this header may not read; None: it may."""
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return NO_TOKEN
        key, now = sha256(token.encode()).digest(), self._clock()
        taken_at = self._taken.get(key)
        if taken_at is not None and now - taken_at < FRESH:
            return None
        refused = self._refused.get(key)
        if refused is not None and now - refused.at < FRESH:
            return refused.why
        if taken_at is None:
            if now < self._next_stranger:
                return TOO_MANY
            self._next_stranger = now + STRANGERS
        try:
            why = await self._ask(token)
        except KubeError as error:
            log.warning("the API server doesn't say who may read the metrics", extra={"error": str(error)})
            return None if taken_at is not None and now - taken_at < STALE else UNANSWERED
        self._remember(key, now, why)
        return why

    async def _ask(self, token: str) -> Refusal | None:
        review = await self._create(TOKENS, _review("authentication.k8s.io/v1", "TokenReview", {"token": token}))
        status = _mapping(review.get("status"))
        user = _mapping(status.get("user"))
        if status.get("authenticated") is not True or not user.get("username"):
            return UNKNOWN
        about = {key: user[key] for key in ("uid", "groups", "extra") if user.get(key)}
        question = {"user": user["username"], **about, "nonResourceAttributes": {"path": READABLE, "verb": "get"}}
        access = await self._create(ACCESS, _review("authorization.k8s.io/v1", "SubjectAccessReview", question))
        return None if _mapping(access.get("status")).get("allowed") is True else NOT_ALLOWED

    def _remember(self, key: bytes, now: float, why: Refusal | None) -> None:
        self._taken.pop(key, None)
        self._refused.pop(key, None)
        if why is None:
            self._taken[key] = now
            _limit(self._taken)
        else:
            self._refused[key] = _Refused(now, why)
            _limit(self._refused)


@asynccontextmanager
async def reviewing(kubeconfig: Path | None, user_agent: str) -> AsyncIterator[Reviews]:
    """With a connection of their own to the API server. Raises UnavailableError, SettingsError."""
    async with Kube(kubeconfig, user_agent=user_agent, pace=Pace(request=PATIENCE)) as kube:
        yield Reviews(kube.create, asyncio.get_running_loop().time)


def _limit(known: dict[bytes, Any]) -> None:
    while len(known) > MOST:
        del known[next(iter(known))]


def _review(group_version: str, kind: str, spec: JsonObject) -> JsonObject:
    return {"apiVersion": group_version, "kind": kind, "metadata": {}, "spec": spec}


def _mapping(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}
