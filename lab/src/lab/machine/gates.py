"""What holds tasks up while something is so: an event of asyncio's that is set as long as they may pass."""

from __future__ import annotations

import asyncio


def open_gate() -> asyncio.Event:
    """One that lets pass."""
    gate = asyncio.Event()
    gate.set()
    return gate
