"""Keeps one complaint of asyncio's out of the log: a connection that is reset twice over.

In Python 3.11, a TLS connection that is reset while much is being written to it is closed by the write that fails and
again by the TLS layer above, and asyncio calls ``_call_connection_lost`` for both; the second call finds nothing to
close. Nothing is lost by it. Everything else goes to the log as ever.
"""

from __future__ import annotations

import asyncio
from typing import Any


def ignore_double_resets(loop: asyncio.AbstractEventLoop) -> None:
    """To be called once for a loop that serves."""
    loop.set_exception_handler(_complain)


def is_double_reset(context: dict[str, Any]) -> bool:
    """Whether asyncio complains of that."""
    return isinstance(context.get("exception"), AttributeError) and "_call_connection_lost" in str(
        context.get("message", "")
    )


def _complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not is_double_reset(context):
        loop.default_exception_handler(context)
