"""Whom to join, and when: whoever should be a member and isn't, again and again, so that a partition heals. Pure.

Whom to join comes from the agents' pods (the control plane tells) and from whoever was a member before; both stay
known while the API server is away. ``now`` is monotonic seconds.
"""

from __future__ import annotations

import random
from collections.abc import Set
from typing import Final

from lbnodeagent.tables import FOREVER

BACKOFF: Final = (0.2, 0.4, 0.8, 1.5, 3.0)
"""Seconds until an address that didn't answer is tried again, if a member was there before; the last value repeats."""
BACKOFF_STRANGER: Final = 30.0
"""The longest such pause for an address where no member has been: it may be another program's pod."""
AT_ONCE: Final = 8
FORGET: Final = 400
"""Failed tries, some 20 minutes, after which a former member that has no pod any more is given up."""


class Joining:
    """Addresses of agents, as text, and how tries to join them went."""

    def __init__(self, chance: random.Random) -> None:
        self.addresses: frozenset[str] = frozenset()
        """Where the other agents' pods are."""
        self._chance = chance
        self._seen: set[str] = set()
        self._failures: dict[str, int] = {}
        self._try_at: dict[str, float] = {}

    @property
    def known(self) -> frozenset[str]:
        """Where an agent is, or was."""
        return self.addresses | self._seen

    def seen(self, address: str) -> None:
        """A member is, or was, there."""
        self._seen.add(address)

    def start_over(self) -> None:
        """Try everybody at once."""
        self._failures.clear()
        self._try_at.clear()

    def due(self, members: Set[str], now: float) -> list[str]:
        """The addresses to try now; ``members``: where live members are, this one included."""
        known = self.known
        for memory in (self._failures, self._try_at):
            for address in memory.keys() - known:
                del memory[address]
        due = [address for address in known - members if self._try_at.get(address, 0.0) <= now]
        chosen = self._chance.sample(sorted(due), min(AT_ONCE, len(due)))
        self._try_at.update(dict.fromkeys(chosen, FOREVER))
        return chosen

    def next_due(self, members: Set[str]) -> float:
        """When there is next somebody to try; a time that is past: now. A try that is under way ends first."""
        missing = self.known - members
        return min((self._try_at.get(address, 0.0) for address in missing), default=FOREVER)

    def tried(self, address: str, now: float, *, worked: bool) -> None:
        """How a try ended."""
        failures = 0 if worked else self._failures.get(address, 0) + 1
        self._failures[address] = failures
        pause = BACKOFF[min(failures, len(BACKOFF) - 1)]
        if address not in self._seen and failures > len(BACKOFF):
            pause = min(BACKOFF_STRANGER, pause * 1.5 ** min(failures - len(BACKOFF), 20))
        self._try_at[address] = now + pause * self._chance.uniform(0.8, 1.2)
        if address not in self.addresses and failures > FORGET:
            self._seen.discard(address)
