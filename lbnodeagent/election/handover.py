"""Make before break: a VIP that we lose while we live stays until its new owner has it. Pure; ``now`` is an argument.

The old owner asks the new one, again every ASK seconds, and lets go when that says that it has the VIP. The new owner
answers at once for what it has, and later for what it was asked about and gets. So nobody must know who held a VIP
before. Two owners after a healed partition are the same case: the loser asks, and goes.

A new owner that doesn't take it (it doesn't hear of the plan that made it the owner, or its kernel refuses) is no
reason to let go: the VIP would be nowhere. Who shuts down lets go at a deadline, and so does who has no answer to
expect. A new owner that is heard to tell its neighbours that it has it, but not us, has it all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from purelb.addresses import IPAddress

ASK: Final = 0.15
"""Seconds between two questions."""
ASK_LATE: Final = 1.0
"""Likewise after PATIENCE."""
PATIENCE: Final = 15.0
"""Seconds for which the word of a new owner that understands us is waited for, whatever the wire says."""
PATIENCE_LEAVING: Final = 3.0
"""Seconds for which one that shuts down keeps a VIP; it is given four seconds for all."""
PATIENCE_WITH_PURELB: Final = 0.5
"""Seconds for one that doesn't answer such questions (PureLB's own agents place at once, and tell nobody)."""


@dataclass(slots=True)
class _Held:
    to: str
    deadline: float
    """Infinity: until the new owner has it."""
    ask_at: float
    late_at: float
    """When the new owner should have had it."""


class Handover:
    """What we hold for others, and what others hold for us."""

    def __init__(self) -> None:
        self._held: dict[IPAddress, _Held] = {}
        self._released: set[IPAddress] = set()
        """No longer held, and not yet taken away."""
        self._asked_by: dict[IPAddress, set[str]] = {}

    @property
    def held(self) -> frozenset[IPAddress]:
        """VIPs that we keep although they're another's now."""
        return frozenset(self._held)

    def is_held(self, vip: IPAddress) -> bool:
        """Whether we keep ``vip`` although it's another's now."""
        return vip in self._held

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something to say next, monotonic seconds; None: nothing is held."""
        return min((min(held.ask_at, held.deadline) for held in self._held.values()), default=None)

    def lose(self, vip: IPAddress, to: str, now: float, *, understands: bool, is_leaving: bool = False) -> None:
        """``vip``, which we have, belongs to the live node ``to`` now. ``is_leaving``: we shut down."""
        if vip in self._released:
            return
        held = self._held.get(vip)
        patience = PATIENCE_LEAVING if is_leaving else math.inf
        deadline = now + (patience if understands else PATIENCE_WITH_PURELB)
        if held is None:
            self._held[vip] = _Held(to, deadline, now, now + PATIENCE)
        elif held.to != to:
            self._held[vip] = _Held(to, min(held.deadline, deadline), now, now + PATIENCE)
        elif is_leaving:
            held.deadline = min(held.deadline, deadline)

    def claimed(self, vip: IPAddress, by: str, now: float) -> None:
        """The node ``by`` tells its neighbours that it has ``vip``."""
        held = self._held.get(vip)
        if held is not None and held.to == by:
            held.deadline = min(held.deadline, max(now, held.late_at))

    def is_for(self, vip: IPAddress, to: str) -> bool:
        """Whether we keep ``vip`` until the node ``to`` has it."""
        held = self._held.get(vip)
        return held is not None and held.to == to

    def end(self, vip: IPAddress) -> None:
        """``vip`` is no longer to be handed over: it's ours again, nobody wants it, or it's gone from here."""
        self._held.pop(vip, None)
        self._released.discard(vip)

    def confirm(self, by: str, vips: Iterable[IPAddress]) -> set[IPAddress]:
        """``by`` has these VIPs; returns those that we can let go."""
        done = {vip for vip in vips if (held := self._held.get(vip)) is not None and held.to == by}
        self._release(done)
        return done

    def due(self, now: float) -> tuple[dict[str, tuple[IPAddress, ...]], set[IPAddress]]:
        """Whom to ask about which VIPs now, and the VIPs whose time is up."""
        expired = {vip for vip, held in self._held.items() if now >= held.deadline}
        self._release(expired)
        questions: dict[str, list[IPAddress]] = {}
        for vip, held in self._held.items():
            if now >= held.ask_at:
                held.ask_at = now + (ASK if now < held.late_at else ASK_LATE)
                questions.setdefault(held.to, []).append(vip)
        return {to: tuple(vips) for to, vips in questions.items()}, expired

    def _release(self, vips: set[IPAddress]) -> None:
        for vip in vips:
            del self._held[vip]
        self._released |= vips

    def asked(self, by: str, vip: IPAddress) -> None:
        """``by`` holds ``vip``, which is ours, and waits for us to have it."""
        self._asked_by.setdefault(vip, set()).add(by)

    def not_ours(self, vip: IPAddress) -> None:
        """``vip`` is another's, or nobody wants it: who waits for us to have it waits in vain."""
        self._asked_by.pop(vip, None)

    def placed(self, vip: IPAddress) -> frozenset[str]:
        """We have ``vip``: who waits to hear it."""
        return frozenset(self._asked_by.pop(vip, ()))
