"""Which agents run, by the API, and aren't heard in the gossip: a port that is closed, or another key. Pure.

Who isn't heard elects for itself: an address may then be on two nodes. Both sources have their delays, so an agent
is told of only after a while: one that never was heard soon, for its pod is ready only when its gossip is; one that was
heard and failed later, for the API server calls the pod of a dead node running for 40 s and more. One that comes and
goes all the time, as where one direction is closed, counts as not heard until it stays.

``now`` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Final

NEVER_HEARD: Final = 15.0
"""Seconds after which an agent is told of that was never heard."""
LOST: Final = 60.0
"""Likewise for one that was."""
STEADY: Final = 10.0
"""Seconds for which one must be heard to count as heard again."""


@dataclass(slots=True)
class _Agent:
    unheard_since: float
    is_heard: bool = False
    heard_at: float = 0.0
    """When it was heard last after a silence."""
    was_steady: bool = False
    has_failed: bool = False
    """It was heard since ``unheard_since``, and then it wasn't."""
    is_told: bool = False

    def look(self, now: float) -> None:
        if self.is_heard and now - self.heard_at >= STEADY:
            self.was_steady, self.has_failed, self.is_told = True, False, False
        elif not self.is_heard or self.has_failed:
            self.is_told |= now - self.unheard_since >= (LOST if self.was_steady else NEVER_HEARD)

    def heard(self, now: float) -> None:
        if not self.is_heard:
            self.is_heard, self.heard_at = True, now

    def silent(self, now: float) -> None:
        if not self.is_heard:
            return
        self.look(now)
        if now - self.heard_at >= STEADY:
            self.unheard_since = now
        else:
            self.has_failed = True
        self.is_heard = False


class UnheardAgents:
    """Told of both sides as they change; ``look`` at it every second or so."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}
        self._members: Set[str] = frozenset()
        """Empty while this node itself takes no part: then nothing is known."""

    def agents(self, nodes: Set[str], now: float) -> None:
        """On these other nodes an agent runs, by the API."""
        for node in self._agents.keys() - nodes:
            del self._agents[node]
        for node in nodes - self._agents.keys():
            self._agents[node] = _Agent(now)
        self._compare(now)

    def members(self, nodes: Set[str], now: float) -> None:
        """These nodes take part in the gossip; none: it isn't known."""
        if nodes and not self._members:
            for agent in self._agents.values():
                agent.unheard_since = now
        self._members = nodes
        self._compare(now)

    def look(self, now: float, *, is_current: bool = True) -> tuple[str, ...]:
        """The nodes whose agents run and aren't heard, sorted.

        Unless the list of agents ``is_current``, nobody new is among them: a node may have died.
        """
        if not self._members:
            return ()
        if is_current:
            for agent in self._agents.values():
                agent.look(now)
        return tuple(sorted(node for node, agent in self._agents.items() if agent.is_told))

    def _compare(self, now: float) -> None:
        if not self._members:
            return
        for node, agent in self._agents.items():
            if node in self._members:
                agent.heard(now)
            else:
                agent.silent(now)
