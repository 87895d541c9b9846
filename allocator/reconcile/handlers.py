"""kopf handlers: they say that the program may begin.

What kopf isn't asked for, and why: purelb/kopfrunner.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from purelb.light_kopf import kopf


def build_registry(begun: asyncio.Event) -> kopf.OperatorRegistry:
    """A registry whose startup handler sets ``begun``: kopf has logged in, and serves."""
    registry = kopf.OperatorRegistry()

    async def startup(**_: Any) -> None:
        begun.set()

    kopf.on.startup(registry=registry, id="startup")(startup)
    return registry
