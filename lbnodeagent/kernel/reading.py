"""Whole tables of the kernel, each read by a socket of its own: what is left of one that broke off goes with it."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

from lbnodeagent.errors import KernelError
from lbnodeagent.kernel.rtnetlink import Raw, messages_in, read

_ATTEMPTS: Final = 5
_PATIENCE: Final = 5.0
"""Seconds for a part of a table: the kernel has each ready when it is asked for it."""
_PART: Final = 65536
"""Bytes; the kernel's own parts have half of that at most."""


async def read_table(what: str, question: bytes, wanted: Callable[[Raw], bool] = lambda raw: True) -> list[Any]:
    """What ``question`` asks for and ``wanted`` takes, read again when it changed meanwhile (NLM_F_DUMP_INTR).

    To read a message takes a hundred times as long as to look whether it's wanted, and a router has a million routes.
    ``what``, for errors, is the name of the table. Raises KernelError.
    """
    for attempt in range(_ATTEMPTS):
        try:
            messages = await _whole(question, wanted)
        except TimeoutError:
            raise KernelError(f"reading {what}", errno.ETIMEDOUT) from None
        except OSError as error:
            raise KernelError(f"reading {what}", error.errno or errno.EIO) from error
        if messages is not None:
            return list(read(messages))
        await asyncio.sleep(0.01 * attempt)
    raise KernelError(f"reading {what}", errno.EINTR)


async def _whole(question: bytes, wanted: Callable[[Raw], bool]) -> list[Raw] | None:
    """None: it changed meanwhile. Raises OSError, with what the kernel says of the question too."""
    loop = asyncio.get_running_loop()
    flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    found: list[Raw] = []
    is_interrupted = False
    with socket.socket(socket.AF_NETLINK, flags, socket.NETLINK_ROUTE) as asking:
        asking.bind((0, 0))
        asking.send(question)
        while True:
            async with asyncio.timeout(_PATIENCE):
                part = await loop.sock_recv(asking, _PART)
            for raw in messages_in(part):
                is_interrupted |= raw.is_interrupted
                if raw.is_end:
                    if raw.errno:
                        raise OSError(raw.errno, "the kernel refuses")
                    return None if is_interrupted else found
                if wanted(raw):
                    found.append(raw)
            await asyncio.sleep(0)  # the other tasks have their turn too
