"""Which VIPs' flows this node goes on serving, whom it tells of them, and when it looks at them again. Pure.

A VIP that is here and another's is being handed over: its flows are told of at once, and again and again until it is
gone for a while, so that those that begin meanwhile are among them; then now and then, until none is left. What is told
goes to the VIP's owner of the moment, whoever had it in between. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lbnodeagent.flows.tables import Look, Offer, OfferEnded, Stand
from lbnodeagent.gossip.members import Members
from purelb.addresses import IPAddress

SOON: Final = 0.15
"""Seconds between two looks while a VIP is on its way."""
SETTLED: Final = 0.2
"""Seconds after a VIP went from here until nothing new begins here: its neighbours have heard who has it."""
MOVING: Final = 1.0
"""Seconds after that for which it is looked at every SOON: neighbours that missed it are told again."""
LATER: Final = 1.0
"""Seconds between two looks for AFTER seconds."""
AFTER: Final = 10.0
SELDOM: Final = 5.0
"""Seconds between two looks from then on."""
HELD_LONG: Final = 5.0
"""Seconds after which a VIP that its new owner doesn't take is looked at every LATER only."""
UNTOLD: Final = 60.0
"""Seconds for which an owner that passes nothing on may come to."""


@dataclass(slots=True)
class _Given:
    stand: Stand
    since: float
    gone_at: float | None
    """None: the VIP is still here."""
    look_at: float
    looked_at: float | None = None
    """When the last look that has ended began."""
    count: int | None = None


class Offers:
    """Of the node ``members.node``."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._given: dict[IPAddress, _Given] = {}
        self._seen: set[IPAddress] = set()
        """Of others an earlier run of this agent may have left flows: they are looked at once."""
        self._under_way: tuple[float, tuple[Offer, ...]] | None = None

    @property
    def count(self) -> int:
        """The flows that this node serves though their VIP is another's."""
        return sum(given.count or 0 for given in self._given.values())

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something."""
        if self._under_way is not None:
            return None
        return min((given.look_at for given in self._given.values()), default=None)

    def is_settled(self) -> bool:
        """Whether the new owners have been told of all that began here, as far as they can be."""
        return all(self._is_told(given) for given in self._given.values())

    def _is_told(self, given: _Given) -> bool:
        if given.stand.owner is None or self._members.keeps_flows(given.stand.owner) is None:
            return True
        gone_at, looked_at = given.gone_at, given.looked_at
        return gone_at is not None and looked_at is not None and looked_at >= gone_at + SETTLED

    def look(self, stand: Stand, now: float) -> list[OfferEnded]:
        """How a VIP stands now."""
        vip, given = stand.vip, self._given.get(stand.vip)
        if stand.owner is None:
            self._seen.discard(vip)
            return self._end(vip)
        is_seen = vip in self._seen
        self._seen.add(vip)
        if stand.owner == self._members.node or stand.address is None:
            return self._end(vip)
        if given is None:
            if stand.is_here or not is_seen:
                self._given[vip] = _Given(stand, now, None if stand.is_here else now - MOVING, now)
            return []
        if stand.owner != given.stand.owner:
            given.look_at, given.since = now, now
        given.stand = stand
        if stand.is_here:
            given.gone_at = None
        elif given.gone_at is None:
            given.gone_at, given.look_at = now, now
        return []

    def due(self, now: float) -> Look | None:
        """What is to be looked at now."""
        if self._under_way is not None:
            return None
        offers: list[Offer] = []
        for vip, given in self._given.items():
            if now < given.look_at:
                continue
            owner, address = given.stand.owner, given.stand.address
            life = self._members.keeps_flows(owner) if owner is not None else None
            if owner is None or address is None or life is None:
                given.look_at = now + LATER
            else:
                offers.append(Offer(vip, owner, life, address))
        if not offers:
            return None
        self._under_way = now, tuple(offers)
        return Look(tuple(offers))

    def untold(self, now: float) -> list[OfferEnded]:
        """Give up telling those who pass nothing on."""
        over = [vip for vip, given in self._given.items() if given.count is None and now - given.since >= UNTOLD]
        return [ended for vip in over for ended in self._end(vip)]

    def looked(self, counts: Mapping[IPAddress, int], now: float) -> list[OfferEnded]:
        """A look has ended: so many flows are served here. What is missing couldn't be read, or told of."""
        assert self._under_way is not None
        (began, offers), self._under_way = self._under_way, None
        ended: list[OfferEnded] = []
        for vip, to in ((offer.vip, offer.to) for offer in offers):
            given = self._given.get(vip)
            if given is None:
                continue
            given.looked_at = began
            given.count = counts.get(vip, given.count)
            # Whose it has become meanwhile is told at once.
            given.look_at = now + _pause(given, now) if given.stand.owner == to else now
            gone_for = 0.0 if given.gone_at is None else began - given.gone_at
            if counts.get(vip) == 0 and gone_for >= MOVING and given.stand.owner == to:
                ended += self._end(vip)
        return ended

    def _end(self, vip: IPAddress) -> list[OfferEnded]:
        return [OfferEnded(vip)] if self._given.pop(vip, None) is not None else []


def _pause(given: _Given, now: float) -> float:
    if given.gone_at is None:
        return SOON if now - given.since < HELD_LONG else LATER
    gone_for = now - given.gone_at
    return SOON if gone_for < MOVING else LATER if gone_for < AFTER else SELDOM
