"""The objects, their history and who watches them: what etcd and the watch cache are to Kubernetes.

Owns resourceVersions, the history ring of each table, snapshots of the recent past, expiry (410) and watch cursors.
Pure: no clock, no I/O, no asyncio (a watcher is woken by a callback). Knows nothing of kinds: a table is a string, an
object is a dict that nobody changes after it was committed.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from .errors import JsonObject

Key = tuple[str, str]
"""Namespace ("" for cluster-scoped objects) and name."""

EventType = Literal["ADDED", "MODIFIED", "DELETED"]

HISTORY: Final = 16384
"""Events kept per table. Kubernetes' watch cache holds 100 to 102,400, by load (cacher/watch_cache.go)."""


class Record:
    """One state of one object. Frozen once it is committed; its encodings are made once, when first asked for."""

    __slots__ = ("_encoded", "key", "obj", "rv")

    def __init__(self, key: Key, rv: int, obj: JsonObject) -> None:
        self.key = key
        self.rv = rv
        self.obj = obj
        self._encoded: dict[str, bytes] = {}

    def encoded(self, view: str, convert: Callable[[JsonObject], JsonObject] | None) -> bytes:
        """JSON in the API version `view`; `convert` makes that version of it (None when it is stored so)."""
        raw = self._encoded.get(view)
        if raw is None:
            obj = self.obj if convert is None else convert(self.obj)
            raw = self._encoded[view] = encode(obj)
        return raw


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def encode(obj: object) -> bytes:
    """Compact JSON, as everything on the wire."""
    return _encoder.encode(obj).encode()


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `before` is None for an addition; for a deletion `after` is the last state at the deletion's rv."""

    type: EventType
    rv: int
    before: Record | None
    after: Record


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All objects of a moment."""

    rv: int
    tables: dict[str, dict[Key, Record]]


class TooOldError(Exception):
    """The history does not reach back to the resourceVersion asked for. Carries that one and the oldest kept."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")


class Table:
    """All objects of one resource, and the ring of their last changes."""

    def __init__(self, history: int) -> None:
        self.records: dict[Key, Record] = {}
        self.events: deque[Event] = deque()
        self.first = 0
        """Absolute position of `events[0]`: watchers remember positions, which never move."""
        self.forgotten = 0
        """resourceVersion of the newest event that is no longer in the ring."""
        self.last_rv = 0
        self.listeners: set[Callable[[], None]] = set()
        self._history = history
        self._sorted: list[Key] | None = None

    @property
    def end(self) -> int:
        return self.first + len(self.events)

    def sorted_keys(self) -> list[Key]:
        if self._sorted is None:
            self._sorted = sorted(self.records)
        return self._sorted

    def append(self, event: Event) -> None:
        key = event.after.key
        if event.type == "DELETED":
            del self.records[key]
            self._sorted = None
        else:
            if event.before is None:
                self._sorted = None
            self.records[key] = event.after
        self.events.append(event)
        self.last_rv = event.rv
        if len(self.events) > self._history:
            self.forgotten = self.events.popleft().rv
            self.first += 1
        for notify in self.listeners:
            notify()

    def forget(self) -> None:
        """Drops the history, as compaction does."""
        if self.events:
            self.forgotten = self.events[-1].rv
            self.first += len(self.events)
            self.events.clear()

    def go_back(self, records: dict[Key, Record], rv: int) -> list[Event]:
        """Holds these records, as of `rv`, and knows nothing from before; gives what that changed."""
        now, self.records = self.records, dict(records)
        self.forget()
        self.forgotten = rv
        self.last_rv = max((record.rv for record in records.values()), default=0)
        self._sorted = None
        changes = [
            Event("ADDED" if key not in now else "MODIFIED", record.rv, now.get(key), record)
            for key, record in records.items()
            if now.get(key) is not record
        ]
        return changes + [Event("DELETED", rv, gone, gone) for key, gone in now.items() if key not in records]

    def position_after(self, rv: int) -> int:
        """Where a watch from `rv` starts. Raises TooOldError."""
        if rv < self.forgotten:
            raise TooOldError(rv, self.forgotten)
        low, high = 0, len(self.events)
        while low < high:
            middle = (low + high) // 2
            if self.events[middle].rv <= rv:
                low = middle + 1
            else:
                high = middle
        return self.first + low


@dataclass(slots=True)
class Cursor:
    """A watcher's place in a table. `drain` gives what happened since; it costs nothing while nothing happens."""

    table: Table
    position: int
    notify: Callable[[], None]
    after: int = 0
    """Events up to this resourceVersion are not for this watcher, which can be one that has seen a later future."""
    closed: bool = field(default=False)

    def drain(self) -> Iterator[Event]:
        """Raises TooOldError when the ring has overtaken this watcher."""
        table = self.table
        while self.position < table.end:
            if self.position < table.first:
                raise TooOldError(table.forgotten - 1, table.forgotten)
            event = table.events[self.position - table.first]
            self.position += 1
            if event.rv > self.after:
                yield event

    def close(self) -> None:
        self.closed = True
        self.table.listeners.discard(self.notify)


class Store:
    """All tables and the one counter of resourceVersions."""

    def __init__(self, *, history: int = HISTORY) -> None:
        self.rv = 1
        self._tables: dict[str, Table] = {}
        self._history = history
        self.on_commit: list[Callable[[str, Event], None]] = []
        """Called after every change with the table's name: the controllers and the journal."""

    def table(self, name: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(self._history)
        return table

    def tables(self) -> dict[str, Table]:
        return self._tables

    def get(self, table: str, namespace: str, name: str) -> Record | None:
        return self.table(table).records.get((namespace, name))

    def records(self, table: str, namespace: str = "") -> list[Record]:
        """By namespace, then name. An empty namespace means all."""
        found = self.table(table)
        if namespace:
            return [found.records[key] for key in found.sorted_keys() if key[0] == namespace]
        return [found.records[key] for key in found.sorted_keys()]

    def list_at(self, table: str, rv: int, namespace: str = "") -> list[Record]:
        """The table as it was at `rv`, from the present and the history. Raises TooOldError."""
        found = self.table(table)
        if rv >= found.last_rv:
            return self.records(table, namespace)
        if rv < found.forgotten:
            raise TooOldError(rv, found.forgotten)
        past = dict(found.records)
        for event in reversed(found.events):
            if event.rv <= rv:
                break
            if event.before is None:
                past.pop(event.after.key, None)
            else:
                past[event.before.key] = event.before
        return [past[key] for key in sorted(past) if not namespace or key[0] == namespace]

    def put(self, table: str, namespace: str, name: str, obj: JsonObject) -> Record:
        """Commits `obj` (which is the store's from now on) as a new state and stamps its resourceVersion."""
        before = self.get(table, namespace, name)
        self.rv += 1
        obj["metadata"]["resourceVersion"] = str(self.rv)
        record = Record((namespace, name), self.rv, obj)
        event = Event("ADDED" if before is None else "MODIFIED", self.rv, before, record)
        self._commit(table, event)
        return record

    def delete(self, table: str, namespace: str, name: str) -> Record:
        """Removes an object that exists; gives its last state, stamped with the deletion's resourceVersion."""
        before = self.table(table).records[namespace, name]
        self.rv += 1
        last = {**before.obj, "metadata": {**before.obj["metadata"], "resourceVersion": str(self.rv)}}
        record = Record(before.key, self.rv, last)
        self._commit(table, Event("DELETED", self.rv, before, record))
        return record

    def restore(self, table: str, event_type: EventType, rv: int, key: Key, obj: JsonObject) -> None:
        """Replays one journalled change, with the resourceVersion that it had."""
        before = self.table(table).records.get(key)
        self.rv = rv
        self.table(table).append(Event(event_type, rv, before, Record(key, rv, obj)))

    def _commit(self, table: str, event: Event) -> None:
        self.table(table).append(event)
        for listener in self.on_commit:
            listener(table, event)

    def watch_from(self, table: str, rv: int, notify: Callable[[], None]) -> Cursor:
        """All changes after `rv`. Raises TooOldError."""
        found = self.table(table)
        cursor = Cursor(found, found.position_after(rv), notify, rv)
        found.listeners.add(notify)
        return cursor

    def compact(self) -> None:
        """Forgets all history: whoever asks for a past resourceVersion then gets 410."""
        for table in self._tables.values():
            if table.events:
                table.forget()

    def snapshot(self) -> Snapshot:
        """What there is now, to go back to."""
        return Snapshot(self.rv, {name: dict(table.records) for name, table in self._tables.items()})

    def go_back(self, snapshot: Snapshot) -> None:
        """Everything, resourceVersions too, is as it was; the history begins there.

        As after a restore of etcd, a watch may ask for what is the future now: it gets nothing until that is past.
        """
        self.rv = snapshot.rv
        for name, table in self._tables.items():
            for change in table.go_back(snapshot.tables.get(name, {}), snapshot.rv):
                for listener in self.on_commit:
                    listener(name, change)
