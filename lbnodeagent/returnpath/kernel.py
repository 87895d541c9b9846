"""Has the kernel send answers by these ways: marks, routes, rules. Blocking: to be used in a thread.

Each time all of it is read and compared, so that what an earlier run left goes, and what somebody else took away comes
back. Owns the two sockets, for as long as they are needed; decides nothing.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from lbnodeagent.errors import KernelError
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.kernel.placing import NOT_FOUND
from lbnodeagent.returnpath import marks
from lbnodeagent.returnpath.routing import (
    VERSIONS,
    Entry,
    Rule,
    decode,
    encode_drop,
    encode_have,
    encode_routes_dump,
    encode_rules_dump,
    entries_of,
    plan,
)
from lbnodeagent.returnpath.ways import TABLES, TABLES_MOST, Way

_SOL_NETLINK: Final = 270
_STRICT_CHECK: Final = 12
PATIENCE: Final = 5.0
"""Seconds; rtnetlink answers within the send, a dump in parts."""
_GONE: Final = NOT_FOUND | {errno.ESRCH, errno.ENOENT}
_UNKNOWN: Final = {errno.ENOENT, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EINVAL}
"""What a kernel answers that has no such table, or knows of no such things: then there is nothing of ours either."""


class ReturnKernel:
    """``have`` the ways that there are to be, again and again; none at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        """Whose task was cancelled meanwhile is still at it."""
        self._marked: tuple[Way, ...] | None = None
        """The ways that our rules of nf_tables are about; None: nothing is known of them."""

    def have(self, ways: Sequence[Way]) -> bool:
        """Have these and no others; whether there was something to do. Raises KernelError, when all else was tried."""
        with self._lock:
            has_changed, refusals = _route(entries_of(ways))
            has_changed = self._mark(tuple(ways)) or has_changed
            for refusal in refusals:
                raise refusal
            return has_changed

    def _mark(self, ways: tuple[Way, ...]) -> bool:
        if not ways and self._marked == ():
            return False
        try:
            with Netfilter() as netfilter:
                if ways and ways == self._marked and _is_there(netfilter):
                    return False
                self._marked = None
                if ways:
                    netfilter.commit(marks.marking(ways))
                else:
                    _sweep(netfilter)
        except OSError as error:
            if ways or error.errno not in _UNKNOWN:
                raise KernelError("nf_tables", error.errno or errno.EIO) from error
        had, self._marked = self._marked, ways
        return bool(ways) or bool(had)


def _is_there(netfilter: Netfilter) -> bool:
    try:
        netfilter.ask(marks.look())
    except KernelError as error:
        if error.code == errno.ENOENT:
            return False
        raise
    return True


def _sweep(netfilter: Netfilter) -> None:
    try:
        netfilter.commit(marks.swept())
    except KernelError as error:
        if error.code not in _UNKNOWN:
            raise


def _route(wanted: Sequence[Entry]) -> tuple[bool, list[KernelError]]:
    """Whether there was something to do, and what of it was refused."""
    refusals: list[KernelError] = []
    try:
        with _RouteSocket() as rtnetlink:
            going, coming = plan(wanted, rtnetlink.read())
            for do, entries in ((rtnetlink.drop, going), (rtnetlink.have, coming)):
                for entry in entries:
                    try:
                        do(entry)
                    except KernelError as refusal:
                        refusals.append(refusal)
    except OSError as error:
        raise KernelError("routing", error.errno or errno.EIO) from error
    return bool(going or coming), refusals


class _RouteSocket:
    """Rules and routes; OSError, if the socket itself fails."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0

    def __enter__(self) -> _RouteSocket:
        self._socket.settimeout(PATIENCE)
        with suppress(OSError):  # before Linux 4.20 it tells of all tables
            self._socket.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)
        self._socket.bind((0, 0))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read(self) -> list[Entry]:
        """All that is ours. Raises KernelError."""
        found: dict[Entry, None] = {}
        for version in VERSIONS:
            found.update(dict.fromkeys(self._dump(encode_rules_dump(version, self._next()))))
            for table in range(TABLES + 1, TABLES + TABLES_MOST + 1):
                found.update(dict.fromkeys(self._dump(encode_routes_dump(version, table, self._next()))))
        return list(found)

    def have(self, entry: Entry) -> None:
        """Raises KernelError."""
        self._do(encode_have(entry, self._next()), {errno.EEXIST}, f"adding {_text(entry)}")

    def drop(self, entry: Entry) -> None:
        """Raises KernelError."""
        self._do(encode_drop(entry, self._next()), _GONE, f"removing {_text(entry)}")

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _do(self, request: bytes, well: Iterable[int], what: str) -> None:
        self._socket.send(request)
        _, code = self._answer()
        if code and code not in well:
            raise KernelError(what, code)

    def _dump(self, request: bytes) -> list[Entry]:
        self._socket.send(request)
        found, code = self._answer()
        if code and code not in _UNKNOWN:  # a table without routes isn't there
            raise KernelError("reading rules and routes", code)
        return found

    def _answer(self) -> tuple[list[Entry], int]:
        found: list[Entry] = []
        while True:
            for one in decode(self._socket.recv(1 << 17), self._sequence):
                if isinstance(one, int):
                    return found, one
                found.append(one)


def _text(entry: Entry) -> str:
    """As ip(8) writes it."""
    if isinstance(entry, Rule):
        return f"rule fwmark {entry.mark:#x}/{entry.mask:#x} lookup {entry.table}"
    return f"route {entry.network} table {entry.table}"
