"""VIPs that are left to a node whose agent is away and comes back, while that node's kernel answers for them. Pure.

An agent that is replaced says in its meta within how many seconds the next one is there, and ends. Its kernel keeps the
VIPs. Whoever would have one instead leaves it there, and asks the wire for it ten times a second
(election/inquiries.py): a node that dies meanwhile is noticed as soon as ever, and so is an address that somebody
takes away. When the time is over, the VIP moves; it has a lifetime, a little longer than that.

Knows no wire: ``due`` says what to ask, ``heard`` is told of answers. ``now`` is monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lbnodeagent.election.inquiries import AGAIN, Inquiries, Inquiry
from purelb.addresses import IPAddress


@dataclass(frozen=True, slots=True)
class Ended:
    """What is asked for, and which VIPs are this node's now."""

    questions: tuple[IPAddress, ...] = ()
    silent: frozenset[IPAddress] = frozenset()
    """Since nobody answers for them."""
    late: frozenset[IPAddress] = frozenset()
    """Since the agent isn't back in time."""


class Absences:
    """As one node sees them."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        """The nodes whose agents are away, and when they should be back."""
        self._had: dict[IPAddress, str] = {}
        """The VIPs that were theirs, whoever would have them now."""
        self._of = Inquiries(AGAIN)
        """Those of them that would be this node's."""

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something to say next."""
        if not self._until:
            return None
        return min(*self._until.values(), max(self._of.soonest, self._of.not_before), math.inf)

    def to(self, vip: IPAddress) -> str | None:
        """The node to which ``vip``, which would be this one's, is left; None: to none."""
        inquiry = self._of.get(vip)
        return None if inquiry is None else inquiry.to

    def is_open(self, vip: IPAddress) -> bool:
        """Whether it is being asked for, and nobody has answered yet."""
        inquiry = self._of.get(vip)
        return inquiry is not None and not inquiry.is_answered

    def keeper(self, vip: IPAddress) -> str | None:
        """The node that is away and has ``vip``, whoever would have it now; None: none."""
        return self._had.get(vip)

    def away(self, until: Mapping[str, float]) -> set[IPAddress]:
        """Whose agents are away, and until when. The VIPs that were asked for of others: back, or gone for good."""
        over = set[IPAddress]()
        for node in self._until.keys() - until.keys():
            over |= self._forget(node)
        self._until = dict(until)
        return over

    def left(self, node: str, vips: Iterable[IPAddress]) -> None:
        """A node was the owner of these up to now."""
        if node in self._until:
            self._had.update(dict.fromkeys(vips, node))

    def won(self, vip: IPAddress, now: float) -> None:
        """``vip`` is this node's by what it hears: it is left to the node that is away, if that had it."""
        node = self._had.get(vip)
        if node is not None and self._of.get(vip) is None:
            self._of.begin(vip, Inquiry(node, now, now))

    def lost(self, vip: IPAddress) -> None:
        """``vip`` is another node's."""
        self._of.end(vip)

    def end(self, vip: IPAddress) -> None:
        """``vip`` is wanted no more, or no longer so."""
        self._of.end(vip)
        self._had.pop(vip, None)

    def heard(self, vip: IPAddress, by: str, now: float) -> None:
        """The node ``by`` answers for ``vip``."""
        inquiry = self._of.get(vip)
        if inquiry is not None and inquiry.to == by:
            self._of.heard(vip, by, now)

    def due(self, now: float) -> Ended:
        """What to ask now, and what is over."""
        late = set[IPAddress]()
        for node in [node for node, until in self._until.items() if now >= until]:
            late |= self._forget(node)
            del self._until[node]
        if now < self._of.not_before:
            return Ended(late=frozenset(late))
        questions, unanswered = self._of.due(now)
        silent = frozenset(vip for vip, _ in unanswered)
        for vip in silent:
            # Where one is gone, all may be: the node, and not only an address.
            self._of.hurry(self._had[vip], now)
            self.end(vip)
        return Ended(tuple(questions), silent, frozenset(late))

    def _forget(self, node: str) -> set[IPAddress]:
        """Its VIPs are whose they are. Those that were this node's but for it."""
        its = {vip for vip, had in self._had.items() if had == node}
        held = {vip for vip in its if self._of.get(vip) is not None}
        for vip in its:
            self.end(vip)
        return held
