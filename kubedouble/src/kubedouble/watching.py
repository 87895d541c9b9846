"""Watches: the stream of changes of one table to one client.

Owns what a watcher sees (selectors, transitions, bookmarks, initial events, expiry) and the streaming. What events are
is the store's affair.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from .errors import JsonObject, StatusError, expired
from .selectors import Predicate
from .store import Cursor, Event, EventType, Record, Store, TooOldError, encode

BOOKMARK_EVERY: Final = 60.0
"""Seconds between bookmarks (the watch cache sends one about every minute)."""
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"

Render = Callable[[Record], bytes]


class Sink(Protocol):
    async def write(self, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a table are watched or listed."""

    table: str
    namespace: str = ""
    predicates: tuple[Predicate, ...] = ()

    def takes(self, record: Record) -> bool:
        if self.namespace and record.key[0] != self.namespace:
            return False
        return all(predicate(record.obj) for predicate in self.predicates)


class Watch:
    """One watcher. `run` ends when the time is up, the client is gone, or somebody calls `cut`."""

    def __init__(
        self,
        store: Store,
        selection: Selection,
        render: Render,
        *,
        api_version: str,
        kind: str,
        bookmarks: bool,
        seconds: float,
    ) -> None:
        self._store = store
        self._selection = selection
        self._render = render
        self._shell: JsonObject = {"kind": kind, "apiVersion": api_version}
        self._bookmarks = bookmarks
        self._seconds = seconds
        self._wake = asyncio.Event()
        self._cut = False
        self._ending = False
        self._cursor: Cursor | None = None
        self.wrap_bookmark: Callable[[JsonObject], JsonObject] | None = None
        """Set when the stream carries Tables, also in bookmarks."""

    def cut(self) -> None:
        """Ends the stream where it is."""
        self._cut = True
        self._wake.set()

    def end(self) -> None:
        """Ends the stream after what has happened so far."""
        self._ending = True
        self._wake.set()

    def start(self, version: str, *, initial_events: bool) -> list[bytes]:
        """Takes the place in the history; returns what is to be sent first. Raises `StatusError` 410."""
        first: list[bytes] = []
        if initial_events or version in ("", "0"):
            records = self._store.records(self._selection.table, self._selection.namespace)
            first = [self._frame("ADDED", record) for record in records if self._selection.takes(record)]
            start = self._store.rv
        else:
            start = int(version)
        try:
            self._cursor = self._store.watch_from(self._selection.table, start, self._wake.set)
        except TooOldError as too_old:
            raise expired(str(too_old)) from None
        if initial_events and self._bookmarks:
            first.append(self._bookmark(ended=True))
        return first

    async def run(self, sink: Sink) -> None:
        assert self._cursor is not None, "start() comes first"
        deadline = asyncio.get_running_loop().time() + self._seconds
        next_bookmark = asyncio.get_running_loop().time() + BOOKMARK_EVERY
        try:
            while not self._cut:
                self._wake.clear()
                try:
                    chunks = list(self._frames())
                except TooOldError as too_old:
                    await sink.write(error_frame(expired(str(too_old))))
                    return
                now = asyncio.get_running_loop().time()
                if self._bookmarks and now >= next_bookmark:
                    chunks.append(self._bookmark(ended=False))
                    next_bookmark = now + BOOKMARK_EVERY
                if chunks:
                    await sink.write(b"".join(chunks))
                if self._ending or now >= deadline:
                    return
                if not self._wake.is_set():
                    until = min(deadline, next_bookmark) if self._bookmarks else deadline
                    try:
                        async with asyncio.timeout(max(0.0, until - now)):
                            await self._wake.wait()
                    except TimeoutError:
                        continue
        finally:
            self._cursor.close()

    def close(self) -> None:
        if self._cursor is not None:
            self._cursor.close()

    def _frames(self) -> Iterator[bytes]:
        assert self._cursor is not None
        takes = self._selection.takes
        for event in self._cursor.drain():
            frame = self._seen(event, takes)
            if frame is not None:
                yield frame

    def _seen(self, event: Event, takes: Callable[[Record], bool]) -> bytes | None:
        """A change as this watcher sees it: leaving the selection is a deletion, entering it an addition."""
        after = event.type != "DELETED" and takes(event.after)
        before = event.before is not None and takes(event.before)
        if after:
            return self._frame("MODIFIED" if before else "ADDED", event.after)
        if not before:
            return None
        if event.type == "DELETED":
            return self._frame("DELETED", event.after)
        assert event.before is not None
        old = event.before.obj
        meta = {**old["metadata"], "resourceVersion": str(event.rv)}
        return self._frame("DELETED", Record(event.before.key, event.rv, {**old, "metadata": meta}))

    def _frame(self, kind: EventType, record: Record) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (kind.encode(), self._render(record))

    def _bookmark(self, *, ended: bool) -> bytes:
        meta: JsonObject = {"resourceVersion": str(self._store.rv), "creationTimestamp": None}
        if ended:
            meta["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj: JsonObject = {**self._shell, "metadata": meta}
        if self.wrap_bookmark is not None:
            obj = self.wrap_bookmark(obj)
        return b'{"type":"BOOKMARK","object":%b}\n' % encode(obj)


def error_frame(error: StatusError) -> bytes:
    """How a running watch says that it failed."""
    return b'{"type":"ERROR","object":%b}\n' % encode(error.status())
