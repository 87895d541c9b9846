"""What must show at two looks in a row before it counts: one packet is lost, one entry of a table is old. Pure.

Neighbours of the kernel's table may be long gone; whoever is asked again and still there is there. A TCP connection
that didn't come about once is tried again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from random import Random
from typing import Final

from lbnodeagent.checkup.facts import Expected, Facts
from lbnodeagent.messages import Peer
from purelb.addresses import IPAddress
from purelb.checks import Check, Finding

TRIED: Final = 4
"""Peers whose TCP port is tried at one look: with a thousand nodes each is still tried by somebody all the time."""
ASKED: Final = 16
"""Neighbours that are asked at one look."""
_MAY_PASS: Final = frozenset({Check.DUMMY_DRIVER, Check.PORT_TAKEN})
"""An interface is made when it's needed; an agent that is replaced may end just now."""


class Suspicion:
    """Between two looks."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._strangers: Mapping[IPAddress, str] = {}
        self._closed: frozenset[str] = frozenset()
        self._passing: frozenset[Check] = frozenset()

    def lasting(self, found: Iterable[Finding]) -> tuple[Finding, ...]:
        """What was found, but for what just may not be there yet."""
        now = tuple(found)
        before, self._passing = self._passing, frozenset(one.check for one in now) & _MAY_PASS
        return tuple(one for one in now if one.check not in _MAY_PASS or one.check in before)

    def to_try(self, peers: Iterable[Peer]) -> tuple[Peer, ...]:
        """Whose port to try now: first those that were closed last time."""
        known = sorted(peers)
        again = [peer for peer in known if peer.node in self._closed][:TRIED]
        others = [peer for peer in known if peer not in again]
        return (*again, *self._chance.sample(others, min(TRIED, len(others))))

    def tried(self, closed: Collection[str]) -> tuple[str, ...]:
        """The nodes that were closed twice in a row. ``closed``: those that are now."""
        twice = self._closed & frozenset(closed)
        self._closed = frozenset(closed)
        return tuple(sorted(twice))

    def seen(self, facts: Facts, expected: Expected, own: Set[str]) -> Mapping[IPAddress, str]:
        """The neighbours with addresses of a pool that nobody was given, seen twice with one MAC.

        ``own``: the MACs of the cluster's nodes, which had such an address until a moment ago.
        """
        ranges = [pool for _, pool in expected.pools]
        now = {
            address: mac
            for address, mac in facts.neighbours.items()
            if mac not in own and address not in expected.vips and any(address in pool for pool in ranges)
        }
        twice = {address: mac for address, mac in now.items() if self._strangers.get(address) == mac}
        self._strangers = dict(sorted(now.items(), key=lambda one: int(one[0]))[:ASKED])
        return twice

    @property
    def to_ask(self) -> tuple[IPAddress, ...]:
        """Neighbours of whom the kernel is to find out whether they are there still."""
        return tuple(self._strangers)
