"""Faults on demand: which are active, and the choice of the one that meets a request.

What a fault does to a request is `misdeeds.py`'s, and to the server as a whole `ground.py`'s. Knows nothing of objects.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Protocol

from .fault import Fault, Meeting
from .misdeeds import MISDEEDS
from .store import Snapshot


class Ground(Protocol):
    """What faults lay hands on. Every method takes effect at once, whatever thread calls it."""

    def drop_watches(self) -> int: ...
    def strike(self, fault: Fault) -> None: ...
    def compact(self) -> None: ...
    def restart(self, faults: Faults, refusing: float, loading: float, user_agent: str | None) -> None: ...
    def rotate(self) -> str: ...
    def snapshot(self) -> Snapshot: ...
    def go_back(self, snapshot: Snapshot) -> None: ...


class Faults:
    """The handle `server.faults`. Every method takes effect at once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._active: list[Fault] = []
        self._ids = itertools.count(1)
        self._remembered: Snapshot | None = None

    def add(self, kind: str, **options: Any) -> Fault:
        """Starts a fault; `options` are the fields of `Fault`. Raises ValueError for an unknown kind."""
        if kind not in MISDEEDS:
            raise ValueError(f"unknown fault {kind!r}: one of {', '.join(MISDEEDS)}")
        fault = Fault(kind, **options, id=next(self._ids))
        self._active.append(fault)
        self._ground.strike(fault)
        return fault

    def status(self, code: int, **options: Any) -> Fault:
        """Answers `code` (409, 410, 429 with `retry_after` seconds, 500, ...)."""
        return self.add("status", code=code, **options)

    def hang(self, **options: Any) -> Fault:
        return self.add("hang", **options)

    def slow(self, milliseconds: float, **options: Any) -> Fault:
        return self.add("slow", milliseconds=milliseconds, **options)

    def down(self, **options: Any) -> Fault:
        """Cuts all connections, now and later, until cleared."""
        return self.add("down", **options)

    def read_only(self, **options: Any) -> Fault:
        return self.add("read-only", **options)

    def drop_watches(self) -> int:
        """Cuts every running watch, as a restarting API server does. Returns how many there were."""
        return self._ground.drop_watches()

    def expire(self) -> int:
        """Forgets the history and cuts every watch: who resumes from an old resourceVersion gets 410."""
        self._ground.compact()
        return self._ground.drop_watches()

    def restart(self, refusing: float = 1.0, loading: float = 1.0, user_agent: str | None = None) -> None:
        """Ends all connections and refuses new ones for `refusing` seconds; then says 403 for `loading`.

        That to all, or to those who have `user_agent` in theirs.
        """
        self._ground.restart(self, refusing, loading, user_agent)

    def rotate(self) -> str:
        """Has another CA and another key for ServiceAccounts' tokens from now on. Returns the CA, PEM."""
        return self._ground.rotate()

    def remember(self) -> None:
        """Takes a snapshot of all objects, as a backup of etcd."""
        self._remembered = self._ground.snapshot()

    def go_back(self) -> None:
        """Restores the last snapshot: objects and resourceVersions are as they were. Raises ValueError without one."""
        if self._remembered is None:
            raise ValueError("there is no snapshot to go back to")
        self._ground.go_back(self._remembered)

    def clear(self, fault: Fault | None = None) -> None:
        """Ends one fault, or all."""
        self._active = [] if fault is None else [other for other in self._active if other is not fault]

    def clear_id(self, fault_id: int) -> bool:
        found = [fault for fault in self._active if fault.id == fault_id]
        self._active = [fault for fault in self._active if fault.id != fault_id]
        return bool(found)

    def active(self) -> Iterable[Fault]:
        return tuple(self._active)

    def met_by(self, request: Meeting) -> list[Fault]:
        """The faults that meet this request, each counted: all `slow` ones, and the first of the others."""
        met: list[Fault] = []
        decided = False
        for fault in list(self._active):
            if (decided and fault.kind != "slow") or not fault.meets(request):
                continue
            met.append(fault)
            decided = decided or fault.kind != "slow"
            fault.hits += 1
            if fault.count is not None and fault.hits >= fault.count:
                self.clear(fault)
        return met
