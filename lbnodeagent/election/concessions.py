"""VIPs of ours that are left to another node, which has them and takes itself for their owner. Pure.

Two agents that know different things, as one of them doesn't hear from the API server, may both be right by what they
know; neither can tell. One of the two, by the hash rule, then leaves the VIP to the other one, for as long as that says
that it has it, is a candidate as it was then, and nothing else that this agent knows of the VIP changes. ``now`` is
monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Final

from lbnodeagent.gossip.members import Candidate
from purelb.addresses import IPAddress

ASK: Final = 5.0
"""Seconds between two questions whether the other one still has it."""
PATIENCE: Final = 16.0
"""Seconds without such an answer after which it hasn't."""


@dataclass(slots=True)
class _Conceded:
    to: str
    candidate: Candidate
    """As it was then."""
    ask_at: float
    until: float


class Concessions:
    """Of this node; few and short-lived."""

    def __init__(self) -> None:
        self._of: dict[IPAddress, _Conceded] = {}

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something to say next."""
        return min((min(one.ask_at, one.until) for one in self._of.values()), default=None)

    def to(self, vip: IPAddress) -> str | None:
        """Who has ``vip`` instead of this node; None: it isn't conceded."""
        conceded = self._of.get(vip)
        return None if conceded is None else conceded.to

    def add(self, vip: IPAddress, to: str, candidate: Candidate, now: float) -> None:
        """``to`` says that it has ``vip``, and it is left to it."""
        self._of[vip] = _Conceded(to, candidate, now + ASK, now + PATIENCE)

    def confirm(self, by: str, vips: Iterable[IPAddress], now: float) -> None:
        """``by`` still has these."""
        for vip in vips:
            conceded = self._of.get(vip)
            if conceded is not None and conceded.to == by:
                conceded.until = now + PATIENCE

    def take_back(self, vip: IPAddress, by: str) -> None:
        """``by`` says that ``vip`` isn't its own."""
        if self.to(vip) == by:
            del self._of[vip]

    def end(self, vip: IPAddress) -> None:
        """Something else is known of ``vip`` now."""
        self._of.pop(vip, None)

    def elected(self, changed: Set[IPAddress], candidates: Mapping[str, Candidate]) -> set[IPAddress]:
        """The VIPs whose concession is over, as by the election these have ``changed``, or with a candidate."""
        over = {vip for vip, one in self._of.items() if vip in changed or candidates.get(one.to) != one.candidate}
        for vip in over:
            del self._of[vip]
        return over

    def due(self, now: float) -> tuple[dict[str, tuple[IPAddress, ...]], set[IPAddress]]:
        """Whom to ask about which VIPs now, and the VIPs that are this node's again."""
        over = {vip for vip, one in self._of.items() if now >= one.until}
        for vip in over:
            del self._of[vip]
        questions: dict[str, tuple[IPAddress, ...]] = {}
        for vip, one in self._of.items():
            if now >= one.ask_at:
                one.ask_at = now + ASK
                questions[one.to] = (*questions.get(one.to, ()), vip)
        return questions, over
