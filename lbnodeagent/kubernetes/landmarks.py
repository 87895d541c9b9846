"""Addresses that are somebody's, beside the nodes': the API server's, and the resolvers of this node.

Reads what an agent is given anyway: its environment, its kubeconfig and /etc/resolv.conf. Host names aren't looked up:
who answers for a name would choose what users are warned of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from yarl import URL

from purelb.addresses import IPAddress, parse_address
from purelb.errors import AddressError

LOOK: Final = 60.0
"""Seconds between two looks at the resolvers."""
RESOLVERS: Final = Path("/etc/resolv.conf")
_MOST: Final = 16
"""Resolvers that are read; the C library uses three."""


async def follow(
    servers: tuple[str, ...], tell: Callable[[Mapping[IPAddress, str]], None], resolvers: Path = RESOLVERS
) -> None:
    """Tell of what is there whenever that is news, until cancelled. ``servers``: hosts or URLs of the API server."""
    told: Mapping[IPAddress, str] | None = None
    while True:
        found = landmarks(servers, await asyncio.to_thread(_read, resolvers))
        if found != told:
            told = found
            tell(found)
        await asyncio.sleep(LOOK)


def landmarks(servers: tuple[str, ...], resolv_conf: str) -> Mapping[IPAddress, str]:
    """What these say: each address with what it is."""
    whose = dict.fromkeys(nameservers(resolv_conf), "a resolver (/etc/resolv.conf)")
    whose |= {address: "the API server's address" for address in map(address_of, servers) if address is not None}
    return {address: of for address, of in whose.items() if not address.is_loopback}


def nameservers(resolv_conf: str) -> Iterator[IPAddress]:
    """Those that resolv.conf(5) names."""
    lines = (line.split() for line in resolv_conf.splitlines())
    named = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    for text in named[:_MOST]:
        try:
            yield parse_address(text)
        except AddressError:  # one with a zone is link-local, and no VIP
            continue


def address_of(server: str) -> IPAddress | None:
    """The address in a host or URL; None for a name."""
    host = URL(server).host if "://" in server else server
    try:
        return parse_address(host or "")
    except AddressError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
