"""The one way in which our programs follow a collection of the API: list, watch from there, and for ever.

It owns the talk with the API server about one collection, its pace, and what to say about it when it fails. It must
not know what objects mean (``parse`` does), nor which news counts (ordering.py does).

Whatever goes wrong (no rights, no such kind yet, a stale token, an overloaded or restarting server, garbage, silence)
leads to another try after a while, and never to an end. What was told before stays true until a list says otherwise.

How it lists: a page at a time, so that a large collection is never in memory as a whole, and always what is now (no
resourceVersion). Pages come from the API server's memory since 1.34, and from etcd before; but a list is made at a
start and after a gap only, never on an interval. The three cheaper ways were tried. A list from memory as it is
(resourceVersion=0) may be stale: an agent that was restarted would take a VIP away that was given a moment before, and
one that has followed for a while would take it for a history that went back. One "not older than" what was told was
refused after 3 s (504, kube-apiserver 1.36.2) in a quiet collection, where the API server's memory is behind the
version of its own list. A watch that begins with all there is (a streaming list, KEP-3157) ended at once, with an
internal error: 1.36.2 needs RequestWatchProgress for it, which etcd 3.4.23 hasn't; where it works, pages come from
memory as well.

How it watches: from the position of what was told, with bookmarks, for a while that the server is asked to bound. That
bound is the only one on silence: a real server sent no bookmark at all for 230 s in a quiet collection. After
an end that wasn't the server's ordinary one it first looks whether history has gone back, because a server whose etcd
was restored from an older snapshot takes a watch from its future and then says nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from purelb.answers import JsonObject
from purelb.backoff import Backoff
from purelb.errors import GoneError, KubeError, UnavailableError
from purelb.kube import Kube
from purelb.metrics import ClientMetrics
from purelb.ordering import Change, News, ObjectKey, Ordering, State, key_of
from purelb.recovery import Recovery

T = TypeVar("T")
H = TypeVar("H")

log = logging.getLogger(__name__)

LIST: Final = 60.0
"""Seconds that a whole list may take."""
STEADY: Final = 10.0
"""Seconds after which a watch that ends counts as one that worked."""
AFTER_FAILURE: Final = Backoff(first=0.2, most=5.0)
"""Between tries, each by up to half shorter or longer, so that a thousand agents don't come at once; who finds the
server well before wakes the others of its program (recovery.py)."""
AT_ONCE: Final = 2.0
"""Seconds since the last list within which a history that is too short has to be waited out, too."""
LONGEST_WAIT: Final = 30.0
"""Seconds of a server's Retry-After that are believed."""
PATIENCE: Final = 20.0
"""Seconds for which what was read before may be behind, before a program says that it isn't ready."""
ABSENT: Final = 300.0
"""Seconds, give or take a fifth, after which a server is asked again for a kind that it needn't have and hasn't."""
BREATH: Final = 64
"""Objects in a row before other tasks get their turn."""


@dataclass(frozen=True, slots=True)
class Source:
    """A collection, or a part of it."""

    kind: str
    """What is followed, as users call it ("Services"): for sentences, and the label of metrics."""
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    """Selectors."""
    may_lack: bool = False
    """Whether there are servers without this kind, older ones; of theirs there is no object."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a follower stands, for readiness and metrics. Times are monotonic seconds."""

    kind: str
    is_synced: bool = False
    """Whether everything was listed once."""
    behind_since: float | None = 0.0
    """Since when changes may go unseen; None: it follows."""
    trouble: str = ""
    """Why, in one sentence; it may be a trouble that has just begun."""
    heard_at: float = 0.0
    """When the server last said something of use; before it ever did, when we began to ask."""

    def complaint(self, now: float, patience: float) -> str | None:
        """Why the program isn't ready on this account; None: it is."""
        if self.behind_since is None or (self.is_synced and now - self.behind_since < patience):
            return None
        return self.trouble or f"the {self.kind} have not been read yet"


class Follower(Generic[T]):
    """Follows one collection: iterate over ``news``, one at a time."""

    def __init__(
        self,
        kube: Kube,
        source: Source,
        parse: Callable[[JsonObject], T | None],
        *,
        clock: Callable[[], float],
        rng: random.Random,
        pace: Backoff = AFTER_FAILURE,
        recovery: Recovery | None = None,
    ) -> None:
        """``parse`` takes what the program needs from an object, or returns None if that's nothing; it doesn't raise.

        ``clock`` is monotonic seconds; ``pace`` is that of tries after a failure; ``recovery`` is shared with others
        that follow the same server.
        """
        self._kube = kube
        self._source = source
        self._parse = parse
        self._clock = clock
        self._rng = rng
        self._pace = pace
        self._recovery = recovery or Recovery()
        self._ordering: Ordering[T] = Ordering()
        self._needs_list = True
        self._is_history_doubtful = False
        self._listed_at = float("-inf")
        self.standing = Standing(source.kind, behind_since=clock(), heard_at=clock())

    # --- what the program asks ---------------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """To be noted when a request is sent whose answer is to be told by ``answered``."""
        return self._ordering.epoch

    def begin_again(self) -> None:
        """Have the next iteration of ``news`` begin with a list of what is then."""
        self._needs_list = True

    def answered(self, body: JsonObject, epoch: int) -> Change[T] | None:
        """What the answer to a read or a write of ours says that wasn't told yet; None: nothing.

        The consumer treats it as if it had come from ``news``. Nothing is lost if it isn't told: the watch will.
        """
        state = self._state_of(body)
        return None if state is None else self._ordering.answered(state, epoch)

    async def news(self) -> AsyncGenerator[News[T], None]:
        """What happens, in order, beginning with a list of all there is. It never ends, and raises nothing."""
        delays = self._delays()
        while True:
            begun, retry_after = self._clock(), 0.0
            try:
                async with aclosing(self._follow()) as news:
                    async for one in news:
                        yield one
            except GoneError as error:
                # A server that has just started has no history; that is no failure of its own.
                self._needs_list = True
                self._fails(error)
                wait = next(delays) if self._clock() - self._listed_at < AT_ONCE else 0.0
            except KubeError as error:
                self._fails(error)
                retry_after = min(LONGEST_WAIT, error.retry_after or 0.0)
                wait = next(delays)
            except Exception as error:  # our mistake, and no reason to be deaf from now on
                log.exception("following failed", extra={"kind": self._source.kind})
                self._needs_list = True
                self._fails(error)
                wait = next(delays)
            else:
                wait = next(delays)
            if self._clock() - begun >= STEADY:
                delays = self._delays()
            if retry_after:
                await asyncio.sleep(retry_after)
            else:
                await self._recovery.pause(wait, self._rng)

    def _delays(self) -> Iterator[float]:
        return (delay * self._rng.uniform(0.5, 1.5) for delay in self._pace.delays())

    def show(self, metrics: ClientMetrics) -> None:
        """Let ``metrics`` tell how it stands, whenever they are read."""
        kind = self._source.kind
        metrics.synced.labels(kind).set_function(lambda: self.standing.behind_since is None)
        metrics.silence.labels(kind).set_function(lambda: self._clock() - self.standing.heard_at)

    # --- listing and watching ----------------------------------------------------------------------------------------

    async def _follow(self) -> AsyncGenerator[News[T], None]:
        """Until something fails, or a watch ends sooner than it was to."""
        while True:
            if not self._needs_list and self._is_history_doubtful:
                await self._look_back()
            if self._needs_list:
                listed = await self._list()
                self._listed_at = self._clock()
                self._follows()
                self._needs_list = False
                yield self._ordering.listed(*listed)
            if not self._ordering.position:
                self._needs_list = True
                await asyncio.sleep(ABSENT * self._rng.uniform(0.8, 1.2))
                continue
            seconds = self._kube.pace.watch * self._rng.uniform(0.8, 1.2)
            begun = self._clock()
            self._is_history_doubtful = True
            async with aclosing(self._watch(seconds)) as changes:
                async for change in changes:
                    yield change
            if self._clock() - begun < 0.9 * seconds:
                return
            self._is_history_doubtful = False

    async def _look_back(self) -> None:
        """Whether the server's history still reaches as far as what it told us before."""
        answer = await self._kube.get(self._source.path, **self._source.query, limit="1")
        version = _metadata(answer).get("resourceVersion", "")
        if self._ordering.is_behind(version):
            log.warning("history went back", extra={"kind": self._source.kind, "to": version})
            self._needs_list = True

    async def _list(self) -> tuple[dict[ObjectKey, T], str]:
        """All objects, and when it was so; no version where the server may lack the kind, and does."""
        items, version = dict[ObjectKey, T](), ""
        self._ordering.listing()
        pages = self._kube.pages(self._source.path, **self._source.query)
        try:
            async with asyncio.timeout(LIST), aclosing(pages):
                async for page in pages:
                    version = page.resource_version
                    for body in page.items:
                        state = self._state_of(body)
                        if state is not None and state.item is not None:
                            items[state.key] = state.item
                    await asyncio.sleep(0)
        except TimeoutError:
            raise UnavailableError(f"the API server did not list them in {LIST:g} s") from None
        except KubeError as error:
            # From one that has shown it, it is a failure: what was told of it stays true.
            if self._source.may_lack and error.status == HTTPStatus.NOT_FOUND and not self._ordering.position:
                return {}, ""
            raise
        if not version:
            raise UnavailableError("the API server sent a list without a version")
        return items, version

    async def _watch(self, seconds: float) -> AsyncGenerator[News[T], None]:
        events = self._kube.watch(
            self._source.path, self._ordering.position, **self._source.query, timeoutSeconds=f"{seconds:.0f}"
        )
        seen = 0
        async with aclosing(events):
            async for event in events:
                self._follows()
                news = self._news_of(event)
                if news is not None:
                    yield news
                seen += 1
                if seen % BREATH == 0:
                    await asyncio.sleep(0)

    def _news_of(self, event: JsonObject) -> Change[T] | None:
        body = event["object"]
        version = str(_metadata(body).get("resourceVersion", ""))
        if self._ordering.is_behind(version):
            self._needs_list = True
            raise UnavailableError(f"history went back to version {version}")
        match event["type"]:
            case "BOOKMARK":
                self._ordering.passed(version)
            case "ADDED" | "MODIFIED" | "DELETED" as kind:
                state = self._state_of(body)
                if state is not None:
                    return self._ordering.heard(state, is_deleted=kind == "DELETED")
                self._ordering.passed(version)
            case other:
                raise UnavailableError(f'the API server sent an event of the type "{other}"')
        return None

    def _state_of(self, body: JsonObject) -> State[T] | None:
        """None for an object that can't be read: what was known of it stays, and the others are followed on."""
        metadata = _metadata(body)
        try:
            key, uid, version = key_of(body), str(metadata.get("uid", "")), str(metadata.get("resourceVersion", ""))
            return State(key, uid, version, self._parse(body))
        except Exception:  # our mistake, and on one object
            log.exception("object not understood", extra={"kind": self._source.kind, "object": metadata.get("name")})
            return None

    # --- how it stands -----------------------------------------------------------------------------------------------

    def _follows(self) -> None:
        before = self.standing
        self.standing = replace(before, is_synced=True, behind_since=None, trouble="", heard_at=self._clock())
        if before.trouble:
            log.info("followed again", extra={"kind": self._source.kind})
            self._recovery.is_back()

    def _fails(self, error: Exception) -> None:
        trouble = f"the {self._source.kind} can't be followed: {error}"
        if trouble != self.standing.trouble:
            log.warning("not followed", extra={"kind": self._source.kind, "reason": str(error)})
        since = self.standing.behind_since
        self.standing = replace(self.standing, behind_since=self._clock() if since is None else since, trouble=trouble)


async def pour(follower: Follower[T], wrap: Callable[[News[T]], H], into: asyncio.Queue[H]) -> None:
    """Put all news of a follower into a queue, until cancelled: there that of several meets in one order."""
    async with aclosing(follower.news()) as stream:
        async for news in stream:
            await into.put(wrap(news))


def whole(body: JsonObject) -> Mapping[str, Any]:
    """``parse`` of a kind of which there are few: the object as it is."""
    return body


def complaint(standings: Iterable[Standing], now: float, patience: float = PATIENCE) -> str | None:
    """Why a program that follows all these isn't ready; None: it is."""
    complaints = (standing.complaint(now, patience) for standing in standings)
    return "; ".join(one for one in complaints if one is not None) or None


def _metadata(body: Any) -> Mapping[str, Any]:
    """Of an object, a list or a bookmark. Raises UnavailableError if it's none of them."""
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if not isinstance(metadata, dict):
        raise UnavailableError("the API server sent what is no object")
    return metadata
