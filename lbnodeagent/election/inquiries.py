"""VIPs for which the wire is being asked who has them, question by question. Pure.

Of each: three questions within 90 ms, of which any may be answered (RFC 5227 section 2.1.1, RFC 4862 section 5.4.2); a
VIP that is answered for is asked for again after a pause, and so on. At most BURST at once, as the answers come at
once too. What follows from answer or silence is its owner's. ``now`` is monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lbnodeagent.wire.neighbours import BURST, SPACING
from purelb.addresses import IPAddress

QUESTIONS: Final = 3
"""Without an answer to any of them nobody has it."""
PAUSE: Final = 0.03
"""Seconds between two of them: hosts answer within a millisecond or two, where they aren't swamped."""
AGAIN: Final = 0.1
"""Seconds from an answer to the next question, at first; twice as many each time."""
RATE: Final = 200.0
"""VIPs for which it is asked again in a second: with more of them each has to wait longer."""


@dataclass(slots=True)
class Inquiry:
    """About one VIP, which ``to`` may have."""

    to: str
    since: float
    """When the first of the questions was asked to which there was no answer yet."""
    ask_at: float
    pause: float = AGAIN
    unanswered: int = 0
    is_answered: bool = False


class Inquiries:
    """``most``: seconds from an answer to the next question, at the most."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._of: dict[IPAddress, Inquiry] = {}
        self._not_before = 0.0
        """When the next BURST may be asked for."""

    def __len__(self) -> int:
        return len(self._of)

    def __iter__(self) -> Iterator[IPAddress]:
        return iter(self._of)

    @property
    def soonest(self) -> float:
        """When there is something to ask or to say; infinity: never."""
        return min((one.ask_at for one in self._of.values()), default=math.inf)

    @property
    def not_before(self) -> float:
        """Until when nothing more is asked."""
        return self._not_before

    def get(self, vip: IPAddress) -> Inquiry | None:
        """What is asked of ``vip``; None: nothing is."""
        return self._of.get(vip)

    def begin(self, vip: IPAddress, inquiry: Inquiry) -> None:
        """Ask for ``vip``."""
        self._of[vip] = inquiry

    def end(self, vip: IPAddress) -> None:
        """Ask for it no more."""
        self._of.pop(vip, None)

    def clear(self) -> None:
        """Ask for nothing more."""
        self._of.clear()

    def heard(self, vip: IPAddress, by: str, now: float) -> bool:
        """The node ``by`` answers for ``vip``. Whether that is news: it goes on answering as long as it has it."""
        inquiry = self._of.get(vip)
        if inquiry is None:
            return False
        if inquiry.unanswered:
            inquiry.unanswered = 0
            inquiry.ask_at = now + max(inquiry.pause, len(self._of) / RATE)
            inquiry.pause = min(2 * inquiry.pause, self._most)
        before = inquiry.is_answered, inquiry.to
        inquiry.is_answered, inquiry.to = True, by
        return before != (True, by)

    def due(self, now: float, asked: int = 0) -> tuple[list[IPAddress], list[tuple[IPAddress, float]]]:
        """What to ask now, beside as many as are ``asked`` anyway, and what was asked in vain, since when."""
        questions: list[IPAddress] = []
        silent: list[tuple[IPAddress, float]] = []
        for vip, inquiry in self._of.items():
            if now < inquiry.ask_at:
                continue
            if inquiry.unanswered >= QUESTIONS:
                silent.append((vip, inquiry.since))
                continue
            if asked + len(questions) >= BURST:
                continue
            if not inquiry.unanswered:
                inquiry.since = now
            inquiry.unanswered += 1
            inquiry.ask_at = now + PAUSE
            questions.append(vip)
        if asked + len(questions) >= BURST:
            self._not_before = now + SPACING
        return questions, silent

    def put_off(self, vip: IPAddress, until: float) -> None:
        """Nothing is known of ``vip``: begin anew at ``until``."""
        inquiry = self._of[vip]
        inquiry.unanswered, inquiry.ask_at = 0, until

    def hurry(self, to: str, now: float) -> None:
        """Ask at once for all that the node ``to`` may have, but for what is being asked."""
        for inquiry in self._of.values():
            if inquiry.to == to and not inquiry.unanswered:
                inquiry.ask_at = min(inquiry.ask_at, now)
