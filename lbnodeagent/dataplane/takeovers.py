"""How long a VIP that this node won takes until it answers from here, and by what it was won; for metrics. Pure.

Owns that and decides nothing. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from purelb.addresses import IPAddress

Cause = Literal["died", "left", "planned", "new", "elected"]
"""By what this node won it: another node died or left, the plan or the Service itself says another one, nobody was told
of it before, or else the members or what they can do changed."""

RECENT: Final = 30.0
"""Seconds for which what the wire was asked for goes back to the last death."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """A VIP answers from here, so many seconds after it was noticed that it has to."""

    cause: Cause
    seconds: float


class Takeovers:
    """Those under way."""

    def __init__(self) -> None:
        self._under_way: dict[IPAddress, tuple[Cause, float]] = {}
        self._died_at: float | None = None
        self._over: list[Takeover] = []

    def __len__(self) -> int:
        return len(self._under_way)

    def peer_died(self, now: float) -> None:
        """Another node was just taken for dead."""
        self._died_at = now

    def asked(self, now: float) -> float:
        """When it was noticed that the wire had to be asked: with the last death, if that is recent."""
        return self._died_at if self._died_at is not None and now - self._died_at <= RECENT else now

    def won(self, vips: Iterable[IPAddress], cause: Cause, since: float) -> None:
        """These came to this node and aren't here yet."""
        for vip in vips:
            self._under_way.setdefault(vip, (cause, since))

    def look(self, vip: IPAddress, now: float, *, is_ours: bool, is_here: bool) -> None:
        """How a VIP stands after a pass."""
        if vip not in self._under_way or (is_ours and not is_here):
            return
        cause, since = self._under_way.pop(vip)
        if is_ours:
            self._over.append(Takeover(cause, now - since))

    def take(self) -> list[Takeover]:
        """Those that came to their end, once."""
        over, self._over = self._over, []
        return over
