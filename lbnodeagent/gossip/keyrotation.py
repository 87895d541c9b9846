"""When a changed set of gossip keys takes effect, so that no agent is ever deaf to another. Pure.

Agents see a change at different times. So a new key is opened with at once, but sealed with only when everybody has
it; and one that was taken out of the Secret is opened with for as long as somebody may still seal with it. As serf's
and memberlist's keyrings want it done by hand (install, use, remove), in the order that is always safe.
"""

from __future__ import annotations

from collections.abc import Sequence


class Rotation:
    """The keys in use by one agent. Times are monotonic seconds."""

    def __init__(self, keys: Sequence[bytes], now: float, settle: float) -> None:
        """``keys``: those of an agent that starts, in use at once; ``settle``: seconds until all have seen a change."""
        self._settle = settle
        self._wanted = tuple(keys)
        self._sealing = keys[0]
        self._sealing_since = now
        self._since = dict.fromkeys(keys, now - settle)
        """Since when each key of the Secret has been there, as far as this agent knows."""
        self._needed = dict.fromkeys(keys, now)
        """All keys that are opened with, and when each was last in the Secret or sealed with here."""

    def seen(self, keys: Sequence[bytes], now: float) -> None:
        """The keys of the Secret, the one that is to seal first."""
        self._advance(now)
        self._wanted = tuple(keys)
        self._since = {key: self._since.get(key, now) for key in keys}
        self._advance(now)

    def ring(self, now: float) -> tuple[bytes, ...]:
        """The keys to use now: the first one seals, all open."""
        self._advance(now)
        others = [key for key in (*self._wanted, *self._needed) if key != self._sealing]
        return (self._sealing, *dict.fromkeys(others))

    def _advance(self, now: float) -> None:
        first = self._wanted[0]
        if first != self._sealing and now - self._since[first] >= self._settle:
            self._needed[self._sealing] = now
            self._sealing, self._sealing_since = first, now
        for key in (*self._wanted, self._sealing):
            self._needed[key] = now
        if first != self._sealing:
            return  # others may be as far behind, with any of the earlier keys
        for key, at in list(self._needed.items()):
            if now - max(at, self._sealing_since) >= self._settle:
                del self._needed[key]
