"""Looks at the node's data path again and again: kube-proxy's health port, and an address that should answer.

Owns the sockets, their time limits and the schedule; what follows from what is found is gate.py's. A look costs a
connection or two, and no more than PATIENCE seconds, whatever the other side does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Final

from lbnodeagent.gate.looks import Look, Looked
from purelb.settings import HostPort

PATIENCE: Final = 1.0
"""Seconds that an answer may take."""
PAUSE: Final = 3.0
"""Seconds between two looks while all is well."""
PAUSE_SOON: Final = 1.0
"""Likewise while something isn't: so three of them, silent ones, are over within six seconds."""
_STATUS_LINE: Final = 64
"""Bytes that are read of an answer: ``HTTP/1.1 200 OK``."""


class GateWatch:
    """``proxies``: where kube-proxy's port may be, tried in their order while nothing listens; ``probe``: likewise."""

    def __init__(self, proxies: Sequence[HostPort], probe: HostPort | None) -> None:
        self._proxies = tuple(proxies)
        self._probe = probe

    @property
    def is_blind(self) -> bool:
        """Whether there's nothing to look at."""
        return not self._proxies and self._probe is None

    async def looks(self) -> AsyncIterator[Looked]:
        """Each look, for ever."""
        while True:
            looked = await self.look()
            yield looked
            await asyncio.sleep(PAUSE if looked.is_well else PAUSE_SOON)

    async def look(self) -> Looked:
        """One look."""
        proxy, probe = await asyncio.gather(self._look_at_proxy(), self._look_at_probe())
        return Looked(proxy, probe)

    async def _look_at_proxy(self) -> Look | None:
        found: Look | None = None
        for endpoint in self._proxies:
            found = await ask_health(endpoint)
            if found is not Look.REFUSED:
                break
        return found

    async def _look_at_probe(self) -> Look | None:
        return await knock(self._probe) if self._probe is not None else None


async def ask_health(endpoint: HostPort) -> Look:
    """``GET /healthz``: 200 is well. An address that this node hasn't (::1, say) is one where nothing listens."""
    try:
        async with asyncio.timeout(PATIENCE):
            try:
                reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, limit=4096)
            except TimeoutError:
                return Look.SILENT
            except OSError:
                return Look.REFUSED
            try:
                host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
                writer.write(f"GET /healthz HTTP/1.0\r\nHost: {host}:{endpoint.port}\r\n\r\n".encode())
                await writer.drain()
                words = (await reader.read(_STATUS_LINE)).split(maxsplit=2)
            finally:
                writer.transport.abort()
    except (TimeoutError, OSError):
        return Look.SILENT
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        return Look.SILENT
    return Look.ANSWERS if words[1] == b"200" else Look.SAYS_NO


async def knock(endpoint: HostPort) -> Look:
    """Whether a TCP connection comes about."""
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    except ConnectionRefusedError:
        return Look.REFUSED
    except (TimeoutError, OSError):
        return Look.SILENT
    with contextlib.suppress(OSError):
        writer.transport.abort()
    return Look.ANSWERS
