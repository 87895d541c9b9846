"""Who else meddles with our VIPs: hosts that answer for them (RFC 5227), and programs that take them away. Pure.

``now`` is monotonic seconds. It only notices; what follows is the data plane's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress

DEFEND_INTERVAL: Final = 10.0
"""Seconds between two defences of an address (RFC 5227 section 1.1)."""
REPORT_INTERVAL: Final = 60.0
"""Seconds between two reports of the same trouble."""
PATIENCE: Final = 3.0
"""Seconds after which a host that answered is asked again, before it's told. A node that has just started may not have
been heard of by gossip yet; then it is known, or it has let go."""
WIPED_TIMES: Final = 3
"""Removals within REPORT_INTERVAL that make a habit."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a host that uses a VIP of ours."""

    defend: bool
    """Announce the VIP again."""
    report: bool
    """Tell the user."""
    ask_again: float | None = None
    """When to ask whether it still does."""


class Conflicts:
    """Remembers what was noticed, so that trouble is answered and reported at a bounded rate."""

    def __init__(self) -> None:
        self._defended: dict[IPAddress, float] = {}
        self._heard: dict[tuple[IPAddress, Mac], float] = {}
        self._reported: dict[tuple[IPAddress, Mac], float] = {}
        self._removals: dict[IPAddress, deque[float]] = {}
        self._told: dict[IPAddress, float] = {}

    def heard(self, vip: IPAddress, mac: Mac, now: float, *, is_peer: bool, is_sure: bool = False) -> Verdict:
        """A host with ``mac`` speaks as ``vip``, which is here. A peer may for a moment, while it lets go.

        Unless ``is_sure``, who is no peer is asked a second time before it's told.
        """
        defend = now - self._defended.get(vip, -DEFEND_INTERVAL) >= DEFEND_INTERVAL
        if defend:
            self._defended[vip] = now
        key = (vip, mac)
        if is_peer or now - self._reported.get(key, -REPORT_INTERVAL) < REPORT_INTERVAL:
            return Verdict(defend, report=False)
        if now - self._heard.get(key, -REPORT_INTERVAL) >= REPORT_INTERVAL:
            self._heard[key] = now
        if not is_sure and now - self._heard[key] < PATIENCE:
            return Verdict(defend, report=False, ask_again=self._heard[key] + PATIENCE)
        self._reported[key] = now
        return Verdict(defend, report=True)

    def removed(self, vip: IPAddress, now: float) -> int:
        """Somebody took ``vip`` away. How often that was within REPORT_INTERVAL, if it's time to say so; else 0."""
        removals = self._removals.setdefault(vip, deque(maxlen=100))
        removals.append(now)
        while now - removals[0] > REPORT_INTERVAL:
            removals.popleft()
        if len(removals) < WIPED_TIMES or now - self._told.get(vip, -REPORT_INTERVAL) < REPORT_INTERVAL:
            return 0
        self._told[vip] = now
        return len(removals)

    def forget(self, vip: IPAddress) -> None:
        """``vip`` is no longer here."""
        self._defended.pop(vip, None)
        self._removals.pop(vip, None)
        self._told.pop(vip, None)
        for memory in (self._heard, self._reported):
            for key in [key for key in memory if key[0] == vip]:
                del memory[key]
