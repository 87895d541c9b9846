"""The ledger of our addresses: holdings, kept in a file that outlives the agent but not the node's uptime.

Written before the kernel is asked for an address, so that there is never one of ours that it doesn't tell of. A new
file takes the old one's place in one step (rename(2)), so an agent that is killed leaves the one or the other. It isn't
synced: whatever loses a file that the kernel has taken loses the addresses too, and ends the boot that it speaks of.

One agent at a time: it holds a lock as long as it lives. An enemy who can write there is root on the node.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from lbnodeagent.errors import KernelError, LedgerError, LedgerHeld
from lbnodeagent.kernel.holdings import Entry, Holdings, Life, decode, encode
from lbnodeagent.tables import AddressKey, Place, PresentAddress, Remove

log = logging.getLogger(__name__)

LARGEST_FILE: Final = 10 << 20
"""Bytes; a hundred a line for as many entries as a ledger may have."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def this_life(node: str, boot_id: Path = _BOOT_ID) -> Life:
    """This boot of this node. Raises OSError."""
    return Life(boot_id.read_text().strip(), node)


class Ledger:
    """``with Ledger(folder, life) as ledger``: locked and read; then told of every change before and after it."""

    def __init__(self, folder: Path, life: Life) -> None:
        self._folder = folder
        self._file = folder / "ledger"
        self._life = life
        self._lock: int | None = None
        self.holdings = Holdings()
        self.trouble: str | None = None
        """Why it isn't kept: what we place now is unknown to the agent that comes after this one. None: it is."""

    def __enter__(self) -> Ledger:
        """Raises LedgerHeld if another agent has it. A ledger that can't be had is a warning, and an empty one."""
        try:
            self._take()
            self.holdings = Holdings(self._read())
        except (OSError, LedgerError) as error:
            self._complain("read", error)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # --- telling it --------------------------------------------------------------------------------------------------

    def expect(self, changes: Iterable[Place | Remove]) -> None:
        """The kernel is about to be asked for these."""
        self._save(is_news=self.holdings.expect(changes))

    def conclude(
        self, changes: Sequence[Place | Remove], results: Sequence[PresentAddress | KernelError | None]
    ) -> None:
        """What the kernel answered."""
        self._save(is_news=self.holdings.conclude(changes, results))

    def adopt(self, adopted: Iterable[tuple[PresentAddress, str]]) -> None:
        """These are ours, as it turned out; each with its interface."""
        self._save(is_news=self.holdings.adopt(adopted))

    def keep(self, present: Iterable[AddressKey]) -> None:
        """The kernel has no others."""
        self._save(is_news=self.holdings.keep(present))

    def swept(self, present: Iterable[AddressKey]) -> None:
        """No others are known of."""
        self._save(is_news=self.holdings.swept(present))

    # --- the file ----------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            self._lock = None
            if isinstance(error, BlockingIOError):
                raise LedgerHeld(f"another agent runs on this node: it holds {self._folder}") from None
            raise

    def _read(self) -> tuple[Entry, ...]:
        try:
            opened = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return ()
        with open(opened, "rb") as file:  # noqa: PTH123
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                raise LedgerError("others than this agent can write to it")
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise LedgerError(f"it has more than {LARGEST_FILE} bytes")
        life, entries = decode(content.decode(errors="replace"))
        if life.node != self._life.node:
            raise LedgerError(f'it is that of node "{life.node}"')
        return entries if life.boot == self._life.boot else ()

    def _save(self, *, is_news: bool) -> None:
        if not is_news and self.trouble is None:
            return
        try:
            self._write(encode(self._life, self.holdings.entries).encode())
        except (OSError, LedgerHeld) as error:  # another agent may have come while this one had no lock
            self._complain("written", error)
            return
        if self.trouble is not None:
            self.trouble = None
            log.info("the ledger of our addresses is kept again", extra={"file": str(self._file)})

    def _write(self, content: bytes) -> None:
        if self._lock is None:
            self._take()
        partial = self._file.with_suffix(".new")
        with suppress(FileNotFoundError):
            partial.unlink()
        opened = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(opened, "wb") as file:  # noqa: PTH123
            file.write(content)
        partial.replace(self._file)

    def _complain(self, verb: str, error: OSError | LedgerError | LedgerHeld) -> None:
        """Once until it is kept again: it's tried with each change."""
        reason = os.strerror(error.errno or errno.EIO) if isinstance(error, OSError) else str(error)
        if self.trouble is None:
            log.warning(
                "the ledger of our addresses can't be %s: the next agent will know IPv6 addresses by their looks alone",
                verb,
                extra={"file": str(self._file), "reason": reason},
            )
        self.trouble = reason
