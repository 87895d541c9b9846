"""The store on disk: every change as one line, played back at the next start.

Owns the file. Lines are written in one go per turn of the event loop, so that a burst costs one system call.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import IO

from .errors import JsonObject
from .store import Event, Store, encode


class Journal:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._waiting: list[bytes] = []

    def replay(self, store: Store) -> int:
        """Brings the store to the state of the last whole line; returns how many changes that were."""
        count = 0
        if not self._path.exists():
            return count
        for line in self._path.read_bytes().splitlines():
            try:
                entry: JsonObject = json.loads(line)
            except ValueError:
                break  # the last line of a server that was killed while writing
            key = (entry["namespace"], entry["name"])
            store.restore(entry["table"], entry["type"], entry["rv"], key, entry["object"])
            count += 1
        return count

    def open(self, store: Store) -> None:
        """From now on every commit is written. Needs a running event loop."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab")
        store.on_commit.append(self._note)

    def _note(self, table: str, event: Event) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(_line(table, event))

    def begin_again(self, store: Store) -> None:
        """Keep what the store holds now, and nothing of how it came to that."""
        self._waiting.clear()
        if self._file is None:
            return
        records = [(record.rv, name, record) for name in store.tables() for record in store.records(name)]
        self._file.truncate(0)
        for rv, name, record in sorted(records, key=lambda one: one[0]):
            self._file.write(_line(name, Event("ADDED", rv, None, record)))
        self._file.flush()

    def flush(self) -> None:
        if self._file is not None and self._waiting:
            self._file.write(b"".join(self._waiting))
            self._file.flush()
        self._waiting.clear()

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None


def _line(table: str, event: Event) -> bytes:
    namespace, name = event.after.key
    entry = {
        "table": table,
        "type": event.type,
        "rv": event.rv,
        "namespace": namespace,
        "name": name,
        "object": event.after.obj,
    }
    return encode(entry) + b"\n"
