"""Steps towards an even plan: VIPs that are well where they are move, few at a time, when nobody was lost lately. Pure.

In this order: VIPs that should be on other nodes (preferred ones, or any but those of weight 0), VIPs that should be
apart, and then evenness. An owner gives a VIP away where that leaves it with no smaller a share than the one that gets
it; where nobody can do so directly, along a chain of nodes, each of which passes a VIP on (an augmenting path, by
which even VIPs with different eligibility come to an optimum). When nothing is left to move, stand-ins are put right,
which moves nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from allocator.placement.eligibility import Domain
from allocator.placement.place import Place
from allocator.placement.planner import Planner
from allocator.placement.values import Reason, order
from purelb.addresses import IPAddress

APPOINTMENTS: Final = 20
"""Stand-ins that are put right in one step: each is a write that all agents hear of."""


class _Move(NamedTuple):
    place: Place
    owner: str


class Balance:
    """Takes the steps of a planner; none that moves a VIP before ``not_before``. Times are monotonic seconds."""

    def __init__(self, planner: Planner, not_before: float = 0.0) -> None:
        self._planner = planner
        self._not_before = not_before
        self._next = 0.0
        self._seen = -1
        """The planner's changes when nothing was left to do."""
        self._appointed = -1
        """And when no stand-in was, while nothing may move."""

    def due(self, now: float) -> float | None:
        """When a step may have something to do; None: not before something happens."""
        planner = self._planner
        if self._seen == planner.changes:
            return planner.presence.next_release(now)
        earliest = max(now, self._next, planner.presence.calm_at(now))
        return max(earliest, self._not_before) if self._appointed == planner.changes else earliest

    def hasten(self, now: float) -> None:
        """Wait for nobody any more. Steps are no larger for that, nor do they follow each other any faster."""
        self._planner.settle()
        self._not_before = now

    def step(self, now: float) -> set[IPAddress]:
        """Take one step if it is time for one; the VIPs whose plan changed."""
        planner = self._planner
        planner.turn(now)
        if self._seen == planner.changes or now < max(self._next, planner.presence.calm_at(now)):
            return set()
        self._next = now + planner.tempo.interval
        may_move = now >= self._not_before
        changed = self._moves(planner.tempo.moves) if may_move else set()
        if not changed:
            changed = self._appointments(APPOINTMENTS)
        if not changed and may_move:
            self._seen = planner.changes
        elif not changed:
            self._appointed = planner.changes
        return changed

    # --- moves -------------------------------------------------------------------------------------------------------

    def _moves(self, most: int) -> set[IPAddress]:
        moved: set[IPAddress] = set()
        while len(moved) < most:
            reason, moves = self._next_moves(most - len(moved))
            if not moves:
                break
            for place, owner in moves:
                self._planner.move(place, owner, reason)
                moved.add(place.vip.address)
        return moved

    def _next_moves(self, most: int) -> tuple[Reason, list[_Move]]:
        """The next move and why, or a chain of moves that belong together, and aren't more than so many."""
        for reason, single in (
            (Reason.PREFERRED, self._misplaced),
            (Reason.APART, self._crowded),
            (Reason.SHARE, self._direct),
        ):
            move = single()
            if move is not None:
                return reason, [move]
        return Reason.SHARE, self._chain(most)

    def _misplaced(self) -> _Move | None:
        """From a node where a VIP is for want of a better one that is there now."""
        planner = self._planner
        has_weightless = any(node.weight == 0 for node in planner.eligibility.nodes.values())
        suspects = (one for one in planner.places.values() if has_weightless or one.vip.preference is not None)
        found = [place for place in suspects if self._is_misplaced(place)]
        for place in sorted(found, key=lambda place: order(place.vip.address)):
            owner = planner.pick_owner(place)
            if owner is not None and owner != place.owner:
                return _Move(place, owner)
        return None

    def _is_misplaced(self, place: Place) -> bool:
        planner, owner = self._planner, place.owner
        nodes, targets = planner.eligibility.nodes, planner.goal(place).targets
        if owner is None or owner not in place.domain.reach.able or owner in targets or not targets:
            return False
        if nodes[owner].is_behind:
            return False
        best = nodes[targets[0]]
        if place.domain.prefers(best) != place.domain.prefers(nodes[owner]):
            return place.domain.prefers(best)
        return best.weight > 0 and nodes[owner].weight == 0

    def _crowded(self) -> _Move | None:
        """From a node that has more of those that should be apart than another one would."""
        planner = self._planner
        for place in planner.crowded():
            owner, crowd = planner.pick_owner(place), planner.crowd(place)
            if place.owner is None or planner.eligibility.nodes[place.owner].is_behind:
                continue
            if owner is not None and crowd[owner] < crowd[place.owner]:
                return _Move(place, owner)
        return None

    def _direct(self) -> _Move | None:
        """From the largest share of which one can be given away; a VIP to where it was at home before others."""
        shares = self._planner.shares
        found: list[_Move] = []
        share, lowest = 0.0, dict[Domain, str | None]()
        for name in self._by_share():
            if found and shares.share(name) < share:
                break
            share = shares.share(name)
            found += self._given(name, lowest)
        return min(found, key=lambda move: (move.place.home != move.owner, order(move.place.vip.address)), default=None)

    def _given(self, name: str, lowest: dict[Domain, str | None]) -> Iterator[_Move]:
        """What a node can give away, and to whom; ``lowest``: who has the smallest share, where that is known."""
        planner, shares = self._planner, self._planner.shares
        share = shares.share(name)
        for address in shares.owned[name]:
            place = planner.places[address]
            goal = planner.goal(place)
            if goal not in lowest:
                lowest[goal] = min(goal.targets, key=shares.rank_as_owner, default=None)
            owner = lowest[goal]
            if owner is None or shares.share(owner, 1) >= share:
                continue
            if place.vip.spread is not None:
                owner, crowd = planner.pick_owner(place), planner.crowd(place)
                if owner is None or crowd[owner] > crowd[name] or shares.share(owner, 1) >= share:
                    continue
            yield _Move(place, owner)

    def _chain(self, most: int) -> list[_Move]:
        """The shortest chain from a node with a larger share to one with a smaller, over others."""
        shares = self._planner.shares
        reached: set[str] = set()
        unreached: dict[Domain, list[str]] = {}
        for first in self._by_share():
            came: dict[str, _Move | None] = {first: None}
            line = deque([first] if first not in reached else [])
            while line:
                name = line.popleft()
                reached.add(name)
                for move in self._passed_on(name, unreached):
                    if move.owner in came or move.owner in reached:
                        continue
                    came[move.owner] = move
                    line.append(move.owner)
                    if shares.share(move.owner, 1) < shares.share(first):
                        chain = list(_back(came, move.owner))
                        if len(chain) <= most:
                            return chain
        return []

    def _passed_on(self, name: str, unreached: dict[Domain, list[str]]) -> Iterator[_Move]:
        """To whom a node can give a VIP; ``unreached``: of a domain's nodes those to whom nobody could so far."""
        planner = self._planner
        for address in sorted(planner.shares.owned.get(name, ()), key=order):
            place = planner.places[address]
            goal = planner.goal(place)
            left = unreached.setdefault(goal, list(goal.targets))
            if not left:
                continue
            crowd = planner.crowd(place)
            unreached[goal] = [owner for owner in left if crowd[owner] > crowd[name]]
            for owner in left:
                if owner != name and crowd[owner] <= crowd[name]:
                    yield _Move(place, owner)

    def _by_share(self) -> list[str]:
        """Who may give VIPs away: one that is behind wouldn't hear of it, and there would be two for a while."""
        shares, nodes = self._planner.shares, self._planner.eligibility.nodes
        givers = (name for name, owned in shares.owned.items() if owned and name in nodes and not nodes[name].is_behind)
        return sorted(givers, key=lambda name: (-shares.share(name), name))

    # --- stand-ins ---------------------------------------------------------------------------------------------------

    def _appointments(self, most: int) -> set[IPAddress]:
        """Other stand-ins where, after an owner's death, that would leave the nodes more even."""
        planner, shares = self._planner, self._planner.shares
        changed: set[IPAddress] = set()
        lowest: dict[Domain, float] = {}
        for address in sorted(planner.places, key=order):
            if len(changed) == most:
                break
            place = planner.places[address]
            owner, heir = place.owner, place.heir
            if owner is None or heir is None:
                continue
            goal = planner.goal(place)
            if goal not in lowest:
                lowest[goal] = min((shares.share(name, 1) for name in goal.targets), default=0.0)
            inherited = shares.share_after(owner, heir)
            is_target = heir in goal.targets
            if is_target and inherited <= lowest[goal]:
                continue
            better = planner.pick_heir(place)
            if better is None or better == heir:
                continue
            if shares.share_after(owner, better, 1) < inherited or (not is_target and better in goal.targets):
                planner.appoint(place, better)
                changed.add(address)
        return changed


def _back(came: dict[str, _Move | None], last: str) -> Iterator[_Move]:
    """The moves of a chain, the last one first: so that no node has more than before meanwhile."""
    move = came[last]
    while move is not None:
        yield move
        assert move.place.owner is not None
        move = came[move.place.owner]
