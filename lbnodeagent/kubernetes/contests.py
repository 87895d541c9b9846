"""Who gives way when others write over a node's name, or take it away, for one address of one Service. Pure.

Two agents that don't hear each other both believe to own an address, and each corrects what the other one wrote: a
partition of the gossip that isn't one of the API, for as long as it lasts. That a name came back over ours is the proof
that its node lives; and of the two, the election would choose one. Both compute the same, so the other one leaves that
name where it is. It may be wrong (the other one may have died since, or be an agent of an earlier version that never
gives way), so nobody gives way for ever: both go on to write, after pauses that double. A name that nobody wrote back
is a dead node's or an old one, and is replaced at once, as ever: no failover waits for this. When a node is heard
again, what it wrote meanwhile is contested no more: both see alike who the owner is, and the annotation is put right.

Somebody else may take the name away again and again, with an object of its own in its hands: then it is written back at
once, and after pauses that double.

``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from purelb.addresses import IPAddress
from purelb.election import owner
from purelb.services import ServiceKey

INSIST: Final = (2.0, 60.0)
"""Seconds, the first and the longest, for which a name stands that the election would not choose."""
GIVE_WAY: Final = (60.0, 600.0)
"""Likewise for one that it would."""
STRIPPED: Final = (2.0, 600.0)
"""Likewise until a name that was taken away for the second time is written back."""
OVER: Final = 1200.0
"""Seconds after which a name that comes back over ours begins a new contest."""


@dataclass(slots=True)
class _Contest:
    wrote_at: float
    is_answered: bool = False
    """Another name came back over ours since we wrote it."""
    name: str | None = None
    """That one."""
    gives_way: bool = False
    times: int = 0
    until: float = 0.0


class Contests:
    """Of the node ``node``, about what it announces; an entry for each address that it wrote its name for."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._of: dict[ServiceKey, dict[IPAddress, _Contest]] = {}

    def wrote(self, key: ServiceKey, vip: IPAddress, now: float) -> None:
        """Our name was written for ``vip``."""
        contest = self._of.setdefault(key, {}).setdefault(vip, _Contest(now))
        if now - contest.wrote_at > OVER:
            contest.times = 0
        contest.wrote_at, contest.is_answered = now, False

    def stands_until(
        self, key: ServiceKey, vip: IPAddress, name: str | None, now: float, *, is_heard: bool = False
    ) -> float:
        """When the name of another node (None: nobody's) may be replaced by ours; not later than ``now``: at once.

        ``is_heard``: that node's agent is heard, so that both will see alike who the owner is.
        """
        contest = self._of.get(key, {}).get(vip)
        if contest is None or (is_heard and contest.gives_way):
            self.released(key, vip)
            return now
        if not contest.is_answered:
            contest.is_answered, contest.name = True, name
            contest.gives_way = name is not None and not is_heard and owner((self._node, name), vip) == name
            contest.until = now + self._pause(contest, is_stripped=name is None)
            contest.times += 1
        return contest.until

    def heard_again(self, nodes: Collection[str]) -> set[ServiceKey]:
        """These nodes are heard again: the Services with a name of theirs, which may be replaced at once."""
        found = set()
        for key, of in self._of.items():
            for contest in of.values():
                if contest.is_answered and contest.name in nodes:
                    contest.times, contest.until, contest.gives_way = 0, 0.0, False
                    found.add(key)
        return found

    @staticmethod
    def _pause(contest: _Contest, *, is_stripped: bool) -> float:
        if is_stripped:
            first, longest = STRIPPED
            return 0.0 if not contest.times else min(longest, first * 2.0 ** min(contest.times - 1, 16))
        first, longest = GIVE_WAY if contest.gives_way else INSIST
        return min(longest, first * 2.0 ** min(contest.times, 16))

    def released(self, key: ServiceKey, vip: IPAddress) -> bool:
        """We announce ``vip`` no longer: the name of its next owner is no answer to ours. Whether ours was there."""
        contests = self._of.get(key, {})
        if contests.pop(vip, None) is None:
            return False
        if not contests:
            del self._of[key]
        return True

    def forget(self, key: ServiceKey) -> None:
        """A Service is gone."""
        self._of.pop(key, None)

    def contested(self) -> set[ServiceKey]:
        """The Services with a name that came back over ours: to be looked at when other nodes are heard."""
        return {key for key, of in self._of.items() if any(one.times for one in of.values())}
