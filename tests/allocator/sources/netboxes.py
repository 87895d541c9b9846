"""The NetBox source and the NetBox of the tests, together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from allocator.sources.netbox import NetboxSource
from allocator.sources.source import Ask
from purelb.addresses import Family
from tests.allocator.builders import key
from tests.allocator.sources.netboxserver import TOKEN, Netbox

V4, V6 = Family.IPV4, Family.IPV6
SETTLE, LATE = 0.1, 0.6


@asynccontextmanager
async def source_of(netbox: Netbox, cluster: str = "here", late: float = LATE) -> AsyncIterator[NetboxSource]:
    source = NetboxSource(netbox.url, TOKEN, "lb", cluster, time.monotonic, SETTLE, late)
    try:
        yield source
    finally:
        await source.close()


def play(
    scenario: Callable[[Netbox, NetboxSource], Coroutine[Any, Any, None]], *addresses: str, **options: Any
) -> None:
    async def run() -> None:
        netbox = Netbox(**options)
        netbox.add(*addresses)
        async with netbox.serve(), source_of(netbox) as source:
            await scenario(netbox, source)

    asyncio.run(run())


def ask(name: str = "a", *families: Family, **more: Any) -> Ask:
    return Ask(key(name), families or (V4,), **more)


async def given_to(source: NetboxSource, what: Ask) -> list[str]:
    return [str(address) for address in await source.allocate(what)]
