"""What faults do to the server as a whole: its connections, its sockets, its history.

Every method may be called from any thread, and has taken effect when it returns, or raises what went wrong. What faults
do to one request is `misdeeds.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from .connections import Connections
from .fault import Fault
from .faults import Faults
from .handlers import Handlers
from .journal import Journal
from .listeners import Listeners
from .store import Snapshot, Store

T = TypeVar("T")

_PATIENCE: Final = 10.0
"""Seconds that another thread waits for the server's loop."""


class Ground:
    """Of one server; `open` it on the server's loop."""

    def __init__(
        self,
        store: Store,
        handlers: Handlers,
        connections: Connections,
        journal: Journal | None,
        renew_keys: Callable[[], str],
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._connections = connections
        self._journal = journal
        self._renew_keys = renew_keys
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: Listeners | None = None
        self._restarting: asyncio.Task[None] | None = None

    def open(self, listeners: Listeners) -> None:
        self._loop, self._listeners = asyncio.get_running_loop(), listeners

    async def close(self) -> None:
        """End a restart that is under way."""
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)

    def drop_watches(self) -> int:
        """Cut every watch; returns how many there were."""
        return self._on_loop(self._drop_watches)

    def _drop_watches(self) -> int:
        for watch in list(self._handlers.watches):
            watch.cut()
        return len(self._handlers.watches)

    def strike(self, fault: Fault) -> None:
        """What a fault that begins does to the connections that stand already."""
        match fault.kind:
            case "down" | "reset" as kind:
                self._on_loop(lambda: self._connections.cut_all(fault, by_reset=kind == "reset"))
            case "half-open":
                self._on_loop(lambda: self._connections.freeze_all(fault))

    def compact(self) -> None:
        self._on_loop(self._store.compact)

    def restart(self, faults: Faults, refusing: float, loading: float, user_agent: str | None) -> None:
        def begin() -> None:
            if self._restarting is not None:
                self._restarting.cancel()
            self._restarting = asyncio.get_running_loop().create_task(
                self._restart(faults, refusing, loading, user_agent)
            )

        self._on_loop(begin)

    async def _restart(self, faults: Faults, refusing: float, loading: float, user_agent: str | None) -> None:
        assert self._listeners is not None, "the server has started"
        rules = None
        try:
            await self._listeners.refuse()
            self._connections.cut_all(by_reset=True)
            self._store.compact()  # its watch cache begins with what is
            await asyncio.sleep(refusing)
            rules = faults.status(403, user_agent=user_agent)
            await self._listeners.accept()
            await asyncio.sleep(loading)
        finally:
            if rules is not None:
                faults.clear(rules)

    def rotate(self) -> str:
        """Another authority and key for tokens, and no connection that knew the old ones; the authority, PEM."""

        def renew() -> str:
            authority = self._renew_keys()
            self._connections.cut_all()
            return authority

        return self._on_loop(renew)

    def snapshot(self) -> Snapshot:
        return self._on_loop(self._store.snapshot)

    def go_back(self, snapshot: Snapshot) -> None:
        def restore() -> None:
            self._store.go_back(snapshot)
            if self._journal is not None:
                self._journal.begin_again(self._store)
            self._connections.cut_all()

        self._on_loop(restore)

    def _on_loop(self, action: Callable[[], T]) -> T:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None or here is self._loop:
            return action()
        done: Future[T] = Future()

        def act() -> None:
            try:
                done.set_result(action())
            except Exception as failure:  # it is the caller's, who waits for it on another thread
                done.set_exception(failure)

        self._loop.call_soon_threadsafe(act)
        return done.result(_PATIENCE)
