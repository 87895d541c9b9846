"""A pseudo-terminal for one command: `kubectl exec -t`.

Owns its two ends (pty(7)): the command's, and ours, which is read and written without blocking the loop.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import termios


class Terminal:
    """`theirs` is for the command's input and output; `started` says that it has it."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.openpty()
        os.set_blocking(self._ours, False)

    def started(self) -> None:
        """The command's end is the command's alone: when that ends, reading does."""
        os.close(self.theirs)
        self.theirs = -1

    async def read(self, size: int) -> bytes:
        """What the command wrote; nothing when it has ended."""
        while True:
            try:
                return os.read(self._ours, size)
            except BlockingIOError:
                await self._until_readable()
            except OSError as failure:
                if failure.errno != errno.EIO:
                    raise
                return b""

    async def write(self, data: bytes) -> None:
        """For the command to read, however long that takes. Raises OSError when it has ended."""
        while data:
            try:
                data = data[os.write(self._ours, data) :]
            except BlockingIOError:
                await self._until_writable()

    def resize(self, columns: int, rows: int) -> None:
        """As large as the client's (tty_ioctl(4), TIOCSWINSZ)."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        """The command is hung up on."""
        for end in (self._ours, self.theirs):
            if end >= 0:
                os.close(end)

    async def _until_readable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._ours, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._ours)

    async def _until_writable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self._ours, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._ours)
