"""Clients of other subnets whose answers leave by another NIC than the one that they come in by. Pure.

One that was seen is remembered for some looks: who comes seldom isn't seen at each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from purelb.addresses import IPAddress

KEPT: Final = 30
"""Looks for which a client is remembered: five minutes or so."""


class Client(NamedTuple):
    """One that has sent something to a VIP on this node."""

    address: IPv4Address
    vip: IPv4Address


class Detour(NamedTuple):
    """The two ways of a connection."""

    client: Client
    nic: str
    """By which it comes in."""
    by: str
    """The interface by which what is sent to that client leaves."""


def detour_of(client: Client, nic: str, by: str | None, marked: Iterable[str | None]) -> Detour | None:
    """Of a client that comes in by ``nic``, if what answers it leaves ``by`` another interface, marked or not."""
    return None if by in (None, nic) or nic in marked else Detour(client, nic, by)


class FarClients:
    """Between two looks; one client of each NIC."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Client, int]] = {}

    def seen(self, now: Mapping[str, Client], vips: Iterable[IPAddress]) -> Mapping[str, Client]:
        """By NIC: who came lately for a VIP that there still is; the first one of them, as long as it lasts."""
        there = frozenset(vips)
        before, self._known = self._known, {}
        for nic in (*before, *(nic for nic in now if nic not in before)):
            client, left = before.get(nic) or (now[nic], 0)
            left = KEPT if nic in now else left - 1
            if left > 0 and client.vip in there:
                self._known[nic] = client, left
        return {nic: client for nic, (client, _) in self._known.items()}
