"""What became of the flows of each move whose flows this node passes on: how many they were, and how they ended. Pure.

One move is a VIP and the node that had it before. It is told of when its flows are known, and again when the last one
of them has ended, or when they are lost. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lbnodeagent.flows.tables import Account, Server
from lbnodeagent.tables import Stage
from purelb.addresses import IPAddress

SETTLED: Final = 3.0
"""Seconds after which a move is over: what begins with the last owner until then is among its flows, and those that
ended so long ago were the last ones."""


@dataclass(slots=True)
class _Move:
    server: Server
    since: float
    count: int = 0
    most: int = 0
    ended_at: float | None = None
    """When there was none left."""
    is_told: bool = False

    @property
    def deadline(self) -> float | None:
        if self.ended_at is not None:
            return self.ended_at + SETTLED
        return None if self.is_told else self.since + SETTLED


class Accounts:
    """Of all moves to this node that still have flows."""

    def __init__(self) -> None:
        self._moves: dict[tuple[IPAddress, str], _Move] = {}
        self._accounts: list[Account] = []
        self.kept = 0
        """Flows that were passed on, of each move as many as there were at once."""
        self.lost = 0
        """Of these, those whose node failed or whose agent didn't come back."""

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something."""
        deadlines = (move.deadline for move in self._moves.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def take(self) -> list[Account]:
        """What is to be told, once; before the rules of those flows go, as the kernel counts their packets."""
        accounts, self._accounts = self._accounts, []
        return accounts

    def counts(self, vip: IPAddress, server: Server, count: int, now: float) -> None:
        """A node serves so many flows of a VIP now, which are passed on to it."""
        move = self._moves.setdefault((vip, server.node), _Move(server, now))
        move.server, move.count = server, count
        self.kept += max(count - move.most, 0)
        move.most = max(count, move.most)
        if count:
            move.ended_at = None
        elif move.ended_at is None:
            move.ended_at = now

    def lose(self, vip: IPAddress, node: str, now: float) -> None:
        """What a node served of a VIP is not passed on any more: nobody serves it."""
        move = self._moves.pop((vip, node), None)
        if move is not None and move.count:
            self.lost += move.count
            self._tell("lost", vip, move, move.count, now)

    def forget(self, vip: IPAddress) -> None:
        """It is another node's to pass on what goes to a VIP, or nobody's."""
        for key in [key for key in self._moves if key[0] == vip]:
            del self._moves[key]

    def due(self, now: float) -> list[tuple[IPAddress, str]]:
        """The VIPs, and the nodes that served flows of them, whose last flow has ended: nothing needs passing on."""
        ended: list[tuple[IPAddress, str]] = []
        for (vip, node), move in list(self._moves.items()):
            if move.deadline is None or now < move.deadline:
                continue
            if move.ended_at is None:
                move.is_told = True
                self._tell("begun", vip, move, move.most, now)
                continue
            del self._moves[vip, node]
            ended.append((vip, node))
            if move.most:
                self._tell("ended", vip, move, move.most, move.ended_at)
        return ended

    def _tell(self, what: Stage, vip: IPAddress, move: _Move, flows: int, until: float) -> None:
        self._accounts.append(Account(vip, move.server, what, flows, until - move.since))
