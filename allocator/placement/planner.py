"""The planner: for each VIP an owner and a stand-in, which agents follow as long as they live. Pure.

**Even.** Owners are even by weight over the nodes that can have them, and for each owner its stand-ins are such that
after its death the others are even at once, without the allocator.

**Steady.** A VIP stays where it is while its node is one of the best that there are. So a change of one node moves at
once only the VIPs that it owned (to their stand-ins, which the agents have done by then); all others stay. What is
well moves in steps only: at most ``Tempo.moves`` VIPs each ``Tempo.interval``, none to a node in its hold-down, and
none while a node that was lost hasn't been given up (``Tempo.give_up``). Where all nodes weigh the same and can have
all VIPs, a node that joins costs no more moves than its share, ⌈VIPs / nodes⌉.

The same calls give the same plan, whatever the order of sets and dicts. Times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from allocator.placement.eligibility import Domain, Eligibility, Reach
from allocator.placement.place import Place
from allocator.placement.presence import Presence
from allocator.placement.shares import Choice, Rank, Shares
from allocator.placement.values import Move, Node, Reason, Vip, order
from purelb.addresses import IPAddress
from purelb.election import owner as hash_owner
from purelb.tempo import Tempo

MOST_APART: Final = 64
"""VIPs of a spread group that are kept apart: any tenant can have more, and each is compared with all of them."""


class Asked(NamedTuple):
    """Among whom one is to be chosen: where the VIPs of a domain should be, or whoever can have those of a reach."""

    of: Domain | Reach
    is_heir: bool = False


class Planner:
    """Tell it who is there (``see``) and what is wanted (``want``, ``forget``); ask for each VIP's ``placement``.

    Steps towards evenness are balance.py's.
    """

    def __init__(self, tempo: Tempo) -> None:
        self.tempo = tempo
        self.shares = Shares()
        self.presence = Presence(tempo)
        self.eligibility = Eligibility()
        self.places: dict[IPAddress, Place] = {}
        self.changes = 0
        """Goes up with everything that may call for a step."""
        self.moves: list[Move] = []
        """The VIPs that had an owner and were given another one, since somebody took this list."""
        self._siblings: defaultdict[str, set[IPAddress]] = defaultdict(set)
        self._epoch = 0
        self._now = -math.inf
        self._choices: dict[Asked, tuple[int, int, Choice]] = {}

    # --- what is asked -----------------------------------------------------------------------------------------------

    def placement(self, address: IPAddress) -> tuple[str, ...] | None:
        """The nodes that are to have a VIP, in their order.

        Empty: the hash rule is to decide, as one of the agents on its networks knows no other. None: there is nothing
        to say, as nobody is there who could have it, or who it is isn't known yet; then what was said before stays.
        """
        place = self.places.get(address)
        if place is None:
            return None
        if place.domain.reach.is_mixed:
            return ()
        if place.owner is None:
            return None
        return (place.owner, place.heir) if place.heir is not None else (place.owner,)

    # --- what happens ------------------------------------------------------------------------------------------------

    def see(self, nodes: Iterable[Node], now: float) -> set[IPAddress]:
        """Who takes part now, with the same words for the same things as last time. The VIPs whose plan changed."""
        known, seen = self.eligibility.nodes, {node.name: node for node in nodes}
        changed = {name for name in known.keys() | seen.keys() if known.get(name) != seen.get(name)}
        if not changed:
            return set()
        self.presence.see(seen.values(), now)
        self.shares.weigh(seen)
        are_others, affected = self.eligibility.update(seen)
        self._pass(now)
        self._epoch += 1
        self.changes += 1
        if are_others:
            affected = set(self.places)
            for place in self.places.values():
                self._enter(place, place.vip)
        for name in changed:
            affected |= self.shares.owned.get(name, set()) | self.shares.stood.get(name, set())
        return self._repair(affected)

    def want(self, vip: Vip, now: float) -> bool:
        """A VIP is wanted, in this way from now on. Whether its plan changed."""
        self._pass(now)
        vip = self._within_bounds(vip)
        place = self.places.get(vip.address)
        if place is None:
            place = self.places[vip.address] = Place(vip, self.eligibility.domain(vip))
            self._join(vip)
        else:
            before, place.vip = place.vip, vip
            is_at_home = place.owner is not None and before.spread == vip.spread
            if is_at_home and _terms(before) == _terms(vip):
                return False  # what is said of where it is follows the plan
            if before.spread != vip.spread:
                self._part(before)
                self._join(vip)
            if _terms(before) != _terms(vip):
                self._enter(place, vip)
        self.changes += 1
        return bool(self._repair({vip.address}))

    def forget(self, address: IPAddress) -> None:
        """A VIP isn't wanted any more."""
        place = self.places.pop(address, None)
        if place is None:
            return
        self._clear(place)
        self._part(place.vip)
        self.eligibility.leave(place.domain, address)
        self.changes += 1

    def settle(self) -> None:
        """Nobody is waited for any more: who is gone is given up, and who serves may have VIPs."""
        self.presence.settle()
        self._epoch += 1
        self.changes += 1

    # --- what steps are made of --------------------------------------------------------------------------------------

    def turn(self, now: float) -> None:
        """Time has passed: nodes may have waited enough."""
        self._pass(now)

    def goal(self, place: Place) -> Domain:
        """The domain whose ``targets`` are where a VIP should be; the same one for as many VIPs as can be."""
        return place.domain.update(self.eligibility.nodes, self._is_held, self._epoch)

    def _is_held(self, name: str) -> bool:
        return self.presence.is_held(name, self._now) or self.eligibility.nodes[name].is_behind

    def crowd(self, place: Place) -> Counter[str]:
        """Of the VIPs from which it is to be apart: how many each node has."""
        if place.vip.spread is None:
            return Counter()
        others = (self.places[address] for address in self._siblings[place.vip.spread] if address != place.vip.address)
        return Counter(other.owner for other in others if other.owner is not None)

    def crowded(self) -> list[Place]:
        """The VIPs that are to be apart from others, and could be on a node with fewer of those."""
        found = []
        for siblings in self._siblings.values():
            counts = Counter(self.places[address].owner for address in siblings)
            if len(counts) == len(siblings):
                continue
            for place in (self.places[address] for address in siblings):
                fewest = counts[place.owner] - 1
                if place.owner is not None and any(counts[name] < fewest for name in self.goal(place).targets):
                    found.append(place)
        return sorted(found, key=lambda place: order(place.vip.address))

    def pick_owner(self, place: Place) -> str | None:
        """The node that is to have a VIP, if it is to be placed anew."""
        crowd = self.crowd(place)
        choice = self._choice(Asked(self.goal(place)), self.shares.rank_as_owner)
        return choice.pick(crowd) or (self._least_crowded(place, crowd) if crowd else None)

    def pick_heir(self, place: Place) -> str | None:
        """The node that is to stand in for a VIP of this owner."""
        owner = place.owner
        assert owner is not None
        share = partial(self.shares.share_after, owner, more=1)
        crowd = self.crowd(place)
        for asked in (Asked(self.goal(place), is_heir=True), Asked(place.domain.reach, is_heir=True)):
            choice = self._choice(asked, self.shares.rank_as_heir)
            if heir := choice.pick({owner, *crowd}, share) or (choice.pick({owner}, share) if crowd else None):
                return heir
        spare = place.domain.reach.spare
        return min(spare - {owner}, key=lambda name: (self.shares.rank_as_heir(name), name), default=None)

    def move(self, place: Place, owner: str, reason: Reason) -> None:
        """A VIP goes to another node; its stand-in stays, unless it's that one."""
        self.moves.append(Move(place.vip.address, reason))
        heir = place.heir
        self._settle(place, owner, heir if heir != owner else None)
        if place.home == owner:
            place.home = None
        if place.heir is None:
            self.appoint(place, self.pick_heir(place))

    def appoint(self, place: Place, heir: str | None) -> None:
        """Another node stands in."""
        assert place.owner is not None
        self._settle(place, place.owner, heir)

    def _choice(self, asked: Asked, rank: Callable[[str], Rank]) -> Choice:
        known = self._choices.get(asked)
        if known is not None and known[:2] == (self._epoch, self.shares.shrinks):
            return known[2]
        of = asked.of
        choice = Choice(of.targets if isinstance(of, Domain) else of.able, rank)
        self._choices[asked] = self._epoch, self.shares.shrinks, choice
        return choice

    # --- repair ------------------------------------------------------------------------------------------------------

    def _repair(self, addresses: Iterable[IPAddress]) -> set[IPAddress]:
        """See to it that these have an owner and a stand-in among the best; those that changed.

        First those that can be on the fewest nodes, and all owners before any stand-in, who depends on them all.
        """
        places = [self.places[address] for address in addresses]
        places.sort(key=lambda place: (len(place.domain.reach.able), order(place.vip.address)))
        before = [(place.owner, place.heir) for place in places]
        for place in places:
            self._repair_owner(place)
        for place in places:
            self._repair_heir(place)
        return {
            place.vip.address for place, was in zip(places, before, strict=True) if (place.owner, place.heir) != was
        }

    def _repair_owner(self, place: Place) -> None:
        reach = place.domain.reach
        if reach.is_mixed:
            self._clear(place)
        elif not reach.able or place.owner in reach.able:
            return
        elif place.owner is None:
            self._settle(place, *self._first(place))
        else:
            home = place.owner
            self._settle(place, self._successor(place), None)
            place.home = home
            self.moves.append(Move(place.vip.address, Reason.LOST))

    def _successor(self, place: Place) -> str | None:
        """Who has a VIP when its owner can't have it any more: whom the agents elect, where that is known.

        Where neither of the two has endpoints any more, as of a Service whose pods were all replaced, the agents have
        elected by the hash rule.
        """
        able = place.domain.reach.able
        if place.heir in able:
            return place.heir
        if place.vip.only is None and place.vip.rather is None:
            return self.pick_owner(place)
        return hash_owner(able, place.vip.address)

    def _without_heir(self, place: Place) -> None:
        if place.heir is not None and place.owner is not None:
            self.shares.stand_down(place.vip.address, place.owner, place.heir)

    def _repair_heir(self, place: Place) -> None:
        reach = place.domain.reach
        if place.owner is None or not reach.able:
            return
        good = reach.able if len(reach.able) > 1 else reach.spare
        if place.heir not in good or place.heir == place.owner:
            self.appoint(place, self.pick_heir(place))

    def _first(self, place: Place) -> tuple[str | None, str | None]:
        """Where a VIP is, as far as can be seen: by its plan, by who announces it, or by the hash rule."""
        able, vip = place.domain.reach.able, place.vip
        planned = [name for name in vip.plan if name in able]
        if planned:
            return planned[0], planned[1] if len(planned) > 1 else None
        if vip.at in able:
            return vip.at, None
        if vip.is_new:
            return self.pick_owner(place), None
        return hash_owner(able, vip.address), None

    def _least_crowded(self, place: Place, crowd: Counter[str]) -> str | None:
        """Where all nodes have one of its kind: the one with the fewest of them."""
        names = self.goal(place).targets
        return min(names, key=lambda name: (crowd[name], self.shares.rank_as_owner(name)), default=None)

    # --- books -------------------------------------------------------------------------------------------------------

    def _settle(self, place: Place, owner: str | None, heir: str | None) -> None:
        address = place.vip.address
        self._without_heir(place)
        if place.owner != owner:
            if place.owner is not None:
                self.shares.disown(address, place.owner)
            if owner is not None:
                self.shares.own(address, owner)
        if owner is not None and heir is not None:
            self.shares.stand_in(address, owner, heir)
        place.owner, place.heir = owner, heir

    def _clear(self, place: Place) -> None:
        self._settle(place, None, None)

    def _enter(self, place: Place, vip: Vip) -> None:
        """It belongs to the domain that its terms and the nodes' networks give it."""
        before = place.domain
        place.domain = self.eligibility.domain(vip)
        if place.domain is not before:
            self.eligibility.leave(before, vip.address)

    def _within_bounds(self, vip: Vip) -> Vip:
        """As it is wanted; without its spread group where that has enough VIPs."""
        siblings = self._siblings.get(vip.spread or "", ())
        return replace(vip, spread=None) if len(siblings) >= MOST_APART and vip.address not in siblings else vip

    def _join(self, vip: Vip) -> None:
        if vip.spread is not None:
            self._siblings[vip.spread].add(vip.address)

    def _part(self, vip: Vip) -> None:
        if vip.spread is not None:
            self._siblings[vip.spread].discard(vip.address)
            if not self._siblings[vip.spread]:
                del self._siblings[vip.spread]

    def _pass(self, now: float) -> None:
        """Time has passed: where that has ended a node's hold-down, domains have other targets."""
        until = self.presence.next_release(self._now) if now > self._now else None
        if until is not None and until <= now:
            self._epoch += 1
            self.changes += 1
        if self._epoch and len(self._choices) > 2 * len(self.places) + 16:
            self._choices.clear()  # of domains that are gone
        self._now = now


def _terms(vip: Vip) -> tuple[object, ...]:
    return vip.selector, vip.only, vip.rather, vip.preference
