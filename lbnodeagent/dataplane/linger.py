"""Make before break for routes: a node that lost its endpoints keeps a routed VIP until other nodes' routes are out.

Endpoints that move tell all agents at the same moment. Were the old node's withdrawal the first to reach the router, it
would have no route at all for as long as the new node's takes. Pure; ``now`` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final

from purelb.addresses import IPAddress

LINGER: Final = 0.5
"""Seconds; from an agent that hears of an endpoint to the router's kernel it takes a fifth of that."""


class Linger:
    """The VIPs on the dummy interface that are to go, and until when they stay."""

    def __init__(self) -> None:
        self._until: dict[IPAddress, float] = {}
        self._told: set[IPAddress] = set()
        """Whose time is up, as ``due`` has said."""

    @property
    def deadline(self) -> float | None:
        """When the next one's time is up."""
        return min((until for vip, until in self._until.items() if vip not in self._told), default=None)

    def look(self, vip: IPAddress, now: float, *, is_going: bool) -> None:
        """Whether this node has ``vip`` while only others have endpoints for it."""
        if is_going:
            self._until.setdefault(vip, now + LINGER)
        else:
            self._until.pop(vip, None)
            self._told.discard(vip)

    def lingers(self, vip: IPAddress, now: float) -> bool:
        """Whether it stays for now."""
        return now < self._until.get(vip, now)

    def due(self, now: float) -> set[IPAddress]:
        """Those whose time is up, each once."""
        vips = {vip for vip, until in self._until.items() if until <= now} - self._told
        self._told |= vips
        return vips
