"""VIPs that are this node's by what it hears, while it may be the one that is cut off: the wire is asked first. Pure.

A node that hears no peer any more would take all VIPs, though their owners serve: they don't hear each other, that is
all. So it asks for each VIP on its subnet (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2). While another host answers
it is left there and asked for again, ever more seldom; when nobody does it is this node's. Of its own VIPs those are
given up that a node of the cluster turns out to have: the others heard each other, and elected.

Knows no wire: ``due`` says what to ask, ``heard`` is told of answers. ``now`` is monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lbnodeagent.election.inquiries import AGAIN, Inquiries, Inquiry
from lbnodeagent.wire.neighbours import BURST
from purelb.addresses import IPAddress

PATIENCE: Final = 3 * AGAIN
"""Seconds for which a node that others have taken for dead keeps its own VIP beside another one that has it."""
AGAIN_MOST: Final = 1.0
"""A dead agent's kernel lets its VIPs go after a while: for so long nobody has them then."""
DETECTING: Final = 3.0
"""Seconds for which a new IPv6 address isn't asked for: who places it just then looks for duplicates, and would take
the question for one (RFC 4862 section 5.4.3)."""
OVER: Final = 1.0
"""Seconds after which own VIPs are asked for once more when peers are heard again."""
RETRY: Final = 0.5
"""Seconds until it is asked again where the wire itself says nothing."""
CATCH_UP: Final = 3.0
"""Seconds for which what peers are heard to say is doubted by one that stood still: by then they have heard of it."""
OWN_MOST: Final = 32.0
"""Own VIPs are asked for at once, after a second, two, four, and so on up to this; then as seldom as ever."""


@dataclass(slots=True)
class _Claim:
    """A node was heard to have an own VIP."""

    first: float
    last: float
    ask_at: float = math.inf


@dataclass(frozen=True, slots=True)
class Due:
    """What is due now."""

    questions: tuple[IPAddress, ...] = ()
    """VIPs that are to be asked for."""
    own: bool = False
    """And all that are here."""
    silent: tuple[tuple[IPAddress, float], ...] = ()
    """VIPs for which nobody answered since then, if anything was heard at all: ``settle`` or ``hold`` them."""


class Doubts:
    """Of this node."""

    def __init__(self) -> None:
        self._of = Inquiries(AGAIN_MOST)
        self._own_at: float | None = None
        self._own_pause = 1.0
        self._catches_up_until: float | None = None
        self._claimed: dict[IPAddress, _Claim] = {}

    def __len__(self) -> int:
        return len(self._of)

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something to say next."""
        own = math.inf if self._own_at is None else self._own_at
        claims = (claim.ask_at for claim in self._claimed.values())
        own = own if self._catches_up_until is None else min(own, self._catches_up_until)
        soonest = min(own, max(min(*claims, self._of.soonest, math.inf), self._of.not_before))
        return soonest if soonest < math.inf else None

    def to(self, vip: IPAddress) -> str | None:
        """The node that may have ``vip`` instead of this one; None: there is no doubt."""
        doubt = self._of.get(vip)
        return None if doubt is None else doubt.to

    def is_open(self, vip: IPAddress) -> bool:
        """Whether it is being asked for, and nobody has answered yet."""
        doubt = self._of.get(vip)
        return doubt is not None and not doubt.is_answered

    def begin(self, now: float) -> None:
        """This node may be cut off: does another one have its VIPs?"""
        self._own_at, self._own_pause = now, 1.0

    @property
    def is_catching_up(self) -> bool:
        """Whether this node stood still, and may not have heard yet what followed."""
        return self._catches_up_until is not None

    def catch_up(self, vips: Iterable[IPAddress], to: str, now: float) -> None:
        """This node stood still. These VIPs of its own are in doubt: here or not, another one may have them."""
        self._catches_up_until = now + CATCH_UP
        self._own_at, self._own_pause = now + 1.0, 2.0
        self.doubt(vips, to, now)

    def has_caught_up(self, now: float) -> bool:
        """Whether that is over now."""
        if self._catches_up_until is None or now < self._catches_up_until:
            return False
        self._catches_up_until = None
        return True

    def give_back(self, vip: IPAddress, by: str) -> bool:
        """The node ``by`` asks for an owner of ``vip``, which it holds so long. Whether it was left to that one."""
        doubt = self._of.get(vip)
        if doubt is None or not doubt.is_answered or doubt.to != by:
            return False
        self._of.end(vip)
        return True

    def doubt(self, vips: Iterable[IPAddress], to: str, now: float, *, are_new: bool = False) -> None:
        """These became this node's; ``to`` was the last one to fall silent. ``are_new``: nobody had them before."""
        for vip in vips:
            if self._of.get(vip) is None:
                late = DETECTING if are_new and vip.version == 6 else 0.0
                self._of.begin(vip, Inquiry(to, now, now + late))

    def heard(self, vip: IPAddress, by: str, now: float) -> bool:
        """The node ``by`` answers for ``vip``. Whether that is news: it goes on answering as long as it has it."""
        return self._of.heard(vip, by, now)

    def claimed_own(self, vip: IPAddress, by: str, now: float, *, is_first: bool) -> bool:
        """The node ``by`` has ``vip``, which is here and this node's. Whether it is left to that one from now on.

        Not at the first answer: in the middle of a hand-over that node may just be about to let go. And of two nodes
        that are both cut off and have it both, the one that ``is_first`` by the hash rule waits for the other one.
        """
        claim = self._claimed.get(vip)
        if claim is None or now - claim.last > 2 * AGAIN:
            claim = self._claimed[vip] = _Claim(now, now)
        claim.last = now
        if now - claim.first < (PATIENCE if is_first else AGAIN):
            # For this one alone: else who speaks as a node has this one ask for all that it has, over and over.
            claim.ask_at = min(claim.ask_at, now + AGAIN)
            return False
        del self._claimed[vip]
        self._of.begin(vip, Inquiry(by, now, now + AGAIN_MOST, AGAIN_MOST, is_answered=True))
        return True

    def due(self, now: float) -> Due:
        """What to ask now, and what was asked in vain."""
        own = self._own_at is not None and now >= self._own_at
        if own:
            self._own_at = now + self._own_pause if self._own_pause <= OWN_MOST else None
            self._own_pause *= 2
        self._claimed = {vip: claim for vip, claim in self._claimed.items() if now - claim.last <= 2 * AGAIN}
        if now < self._of.not_before:
            return Due(own=own)
        claimed: list[IPAddress] = []
        for vip, claim in self._claimed.items():
            if now >= claim.ask_at and len(claimed) < BURST:
                claim.ask_at = math.inf
                claimed.append(vip)
        questions, silent = self._of.due(now, asked=len(claimed))
        return Due((*claimed, *questions), own, tuple(silent))

    def settle(self, vip: IPAddress) -> None:
        """Nobody has it, on a wire where others are heard: it is this node's."""
        self._of.end(vip)

    def hold(self, vip: IPAddress, now: float) -> None:
        """Nobody is heard at all: nothing is known, and nobody to serve either."""
        self._of.put_off(vip, now + RETRY)

    def end(self, vip: IPAddress) -> None:
        """It isn't this node's any more, or nobody wants it."""
        self._of.end(vip)
        self._claimed.pop(vip, None)

    def over(self, now: float) -> set[IPAddress]:
        """Peers are heard again: what they say counts. The VIPs that were in doubt.

        Own ones are asked for once more: who has one too, and was taken for a node, is told of now.
        """
        vips = set(self._of)
        self._of.clear()
        self._claimed.clear()
        self._own_at, self._own_pause = now + OVER, math.inf
        return vips
