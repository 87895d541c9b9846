"""When a changed set of gossip keys takes effect, so that no agent is ever deaf to another. Pure.

Agents see a change at different times, one that can't reach the API server not at all. So each says in its meta which
keys it opens and, first, which it seals with. A new key is opened with at once, but sealed with only when every live
member says that it opens it; and one that was taken out of the Secret is opened with for as long as somebody seals with
it. As serf's and memberlist's keyrings want it done by hand (install, use, remove), in the order that is always safe.
An agent that starts meanwhile has heard nobody yet and begins with the new key; when it has, it waits as the others do.

A time of waiting alone would not be sound, as none is long enough for an agent whose API server is away. It stands in
for the word of those that say nothing (agents of an older version, PureLB's own), and where nobody is heard. Who has an
old key can claim to be a member that never learns the new one: so nobody is waited for longer than ``PATIENCE``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NewType

Mark = NewType("Mark", bytes)
"""By which agents tell each other of a key without saying it: 6 bytes."""

SETTLE: Final = 45.0
"""Seconds after which every agent that says nothing of its keys has seen a change."""
PATIENCE: Final = 600.0
"""Seconds after which those that say that they have not seen a change, or seal with a key that is gone, are left."""


def mark(key: bytes) -> Mark:
    """Of a key, in a meta."""
    return Mark(hashlib.sha256(b"purelb gossip key\0" + key).digest()[:6])


def fingerprint(key: bytes) -> str:
    """By which users tell keys apart without seeing them: the first 8 digits of ``sha256sum``."""
    return hashlib.sha256(key).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Others:
    """What the other live members say of their keys."""

    marks: Collection[tuple[Mark, ...]]
    """Of each, the one that it seals with first; empty: it says nothing."""

    def open(self, key: bytes) -> bool | None:
        """Whether all say that they open a key; None: nobody says that they don't, and not everybody says it."""
        its = mark(key)
        if any(marks and its not in marks for marks in self.marks):
            return False
        return True if self.marks and all(self.marks) else None

    def seal(self, key: bytes) -> bool:
        """Whether one of them seals with a key."""
        its = mark(key)
        return any(marks[:1] == (its,) for marks in self.marks)


NOBODY: Final = Others(())


class Rotation:
    """The keys in use by one agent. Times are monotonic seconds."""

    def __init__(self, keys: Sequence[bytes], now: float) -> None:
        """``keys``: those of an agent that starts, in use at once."""
        self._wanted = tuple(keys)
        self._sealing = keys[0]
        self._sealing_since = now
        self._since = dict.fromkeys(keys, now - SETTLE)
        """Since when each key of the Secret has been there, as far as this agent knows."""
        self._needed = dict.fromkeys(keys, now)
        """All keys that are opened with, and when each was last in the Secret or sealed with here."""

    @property
    def is_at_rest(self) -> bool:
        """Whether the keys of the Secret are in use, and no others."""
        return self._wanted[0] == self._sealing and self._needed.keys() == set(self._wanted)

    def seen(self, keys: Sequence[bytes], now: float) -> None:
        """The keys of the Secret, the one that is to seal first."""
        self._use_wanted(now)
        self._wanted = tuple(keys)
        self._since = {key: self._since.get(key, now) for key in keys}
        self._use_wanted(now)

    def ring(self, now: float, others: Others) -> tuple[bytes, ...]:
        """The keys to use now: the first one seals, all open."""
        first = self._wanted[0]
        if first != self._sealing and self._may_seal(first, now, others):
            self._seal_with(first, now)
        elif (instead := self._instead(now, others)) is not None:
            self._seal_with(instead, now)
        self._use_wanted(now)
        if first == self._sealing:  # else others may be as far behind, with any of the earlier keys
            self._needed = {key: at for key, at in self._needed.items() if self._is_needed(key, at, now, others)}
        keys = (key for key in (*self._wanted, *self._needed) if key != self._sealing)
        return (self._sealing, *dict.fromkeys(keys))

    def _seal_with(self, key: bytes, now: float) -> None:
        self._needed[self._sealing] = now
        self._sealing, self._sealing_since = key, now

    def _instead(self, now: float, others: Others) -> bytes | None:
        """The key that all others open, while one of them says that it doesn't open that which seals here.

        An agent that starts during a rotation seals with the new key before it has heard anybody; and one may be heard
        again that has missed the rotation.
        """
        if self._sealing not in self._since or others.open(self._sealing) is not False:
            return None
        if self._may_seal(self._sealing, now, others):
            return None  # it was waited for
        return next((key for key in self._wanted if others.open(key)), None)

    def _use_wanted(self, now: float) -> None:
        for key in (*self._wanted, self._sealing):
            self._needed[key] = now

    def _may_seal(self, key: bytes, now: float, others: Others) -> bool:
        waited = now - self._since[key]
        match others.open(key):
            case True:
                return True
            case None:
                return waited >= SETTLE
            case False:
                return waited >= PATIENCE

    def _is_needed(self, key: bytes, at: float, now: float, others: Others) -> bool:
        waited = now - max(at, self._sealing_since)
        return waited < SETTLE or (waited < PATIENCE and others.seal(key))
