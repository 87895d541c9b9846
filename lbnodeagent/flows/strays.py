"""Connections to routed VIPs whose packets come to a node that doesn't know them: whose they are. Pure.

A router that hashes plainly throws connections about whenever its set of next hops changes. The kernel holds back what
comes in mid-flow and is unknown, and says of which connections; this node asks its fellows, those that keep flows too
and are on one subnet with it, and passes on what one of them serves. What none does is let go, and reset as ever.

Nothing is told beforehand: who serves a connection is known to its kernel, whatever has become of its agent meanwhile,
and only what did move costs anything. Believed is an answer to a question of ours, from one who was asked, with an
address of its own on the subnet. ``now`` is monotonic seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lbnodeagent.flows.tables import (
    STRAY,
    Ask,
    Fellows,
    Find,
    Located,
    OwnSubnet,
    Released,
    Routed,
    Settled,
    Stand,
    Stray,
    StrayRule,
)
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.meta import Meta
from lbnodeagent.gossip.straymessage import STRAYS_MOST, StrayAnswer, StrayQuestion
from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress

DECIDED: Final = 0.15
"""Seconds for which a connection that somebody serves waits for others who say so too: one of them may have an old
one's entry, whose end it never saw; the one that heard of it last is right. TCP sends again after 0.2 s."""
HELD: Final = 5.0
"""Seconds for which what is unknown is held back at most; the kernel sees to it."""
BURST: Final = 1 << 17
"""Connections that are asked for at once, as many as the kernel holds back,"""
RATE: Final = 1000
"""and per second from then on: whoever sends packets of connections that don't exist has all fellows asked."""
FELLOWS_MOST: Final = 64
"""Nodes that are asked; where there are more, none is, and nothing is held back: few routers have more next hops."""
SOON: Final = 0.2
"""Seconds after which what is new of a node is taken up: many may come at once."""
SETTLED: Final = 60.0
"""Seconds after which an agent that has begun knows all fellows and all VIPs; until then its kernel goes on by what an
earlier run knew."""
LEFT: Final = 120.0
"""Seconds for which a node whose agent left is passed on to: most of those are upgraded."""


@dataclass(frozen=True, slots=True)
class _Fellow:
    addresses: frozenset[IPAddress]
    macs: frozenset[Mac]


@dataclass(slots=True)
class _Question:
    strays: tuple[Stray, ...]
    waiting: set[str]
    """Who hasn't answered."""
    asked_at: float
    open: set[int]
    """The places of those that aren't located."""
    best: dict[int, tuple[int, IPAddress]] = field(default_factory=dict)
    """Of those by their places, who serves it and heard of it last: the seconds that it has left."""


class Strays:
    """Of the node ``members.node``. Each change returns what is to be done."""

    def __init__(self, members: Members) -> None:
        self.refused = 0
        """What wasn't asked, as there was too much, and answers that weren't believed."""
        self.asked = 0
        self.located = 0
        self._members = members
        self._numbers = itertools.count(1)
        self._subnets: tuple[OwnSubnet, ...] = ()
        self._routed: dict[int, set[bytes]] = {4: set(), 6: set()}
        """VIPs by their IP version, packed. Where there are none, nothing looks at packets."""
        self._known: dict[str, _Fellow] = {}
        self._left: dict[str, tuple[float, _Fellow]] = {}
        """Nodes whose agent left: until when they are passed on to."""
        self._here: dict[int, OwnSubnet] = {}
        """The subnet of each IP version on which this node has the most fellows."""
        self._said: dict[int, Fellows] = {4: Fellows(4), 6: Fellows(6)}
        self._questions: dict[int, _Question] = {}
        self._refresh_at: float | None = None
        self._settles_at: float | None = None
        self._budget, self._budget_at = float(BURST), 0.0

    @property
    def deadline(self) -> float | None:
        """When ``due`` has something."""
        questions = (one.asked_at + (DECIDED if one.best else HELD) for one in self._questions.values())
        others = (at for at in (self._refresh_at, self._settles_at) if at is not None)
        return min((*others, *questions, *(until for until, _ in self._left.values())), default=None)

    def begin(self, now: float) -> None:
        """The kernel goes on by what an earlier run left."""
        self._settles_at = now + SETTLED

    # --- how things are ----------------------------------------------------------------------------------------------

    def look(self, stand: Stand, now: float) -> list[StrayRule]:
        """How a VIP stands now."""
        packed, routed = stand.vip.packed, self._routed[stand.vip.version]
        if stand.is_routed == (packed in routed):
            return []
        had_any = bool(routed)
        (routed.add if stand.is_routed else routed.discard)(packed)
        if bool(routed) != had_any:
            self._refresh_at = now
            return [*self._refresh(now), Routed((stand.vip,), stand.is_routed)]
        return [Routed((stand.vip,), stand.is_routed)]

    def subnets(self, subnets: tuple[OwnSubnet, ...], now: float) -> list[StrayRule]:
        """Where this node is. What is new of others is taken up at once: a VIP may be on its way here."""
        if subnets != self._subnets or self._refresh_at is not None:
            self._subnets, self._refresh_at = subnets, now
        return self._refresh(now)

    def alive(self, node: str, now: float) -> None:
        """Another node takes part, or says something else of itself."""
        is_back = self._left.pop(node, None) is not None
        if is_back or _fellow(self._members.others.get(node)) != self._known.get(node):
            self._refresh_at = now + SOON if self._refresh_at is None else min(self._refresh_at, now + SOON)

    def gone(self, node: str, now: float, *, for_good: bool) -> list[StrayRule]:
        """It failed, or its agent left (``for_good``)."""
        fellow, _ = self._known.pop(node, None), self._left.pop(node, None)
        if for_good and fellow is not None:
            self._left[node] = now + LEFT, fellow
        if fellow is not None:
            self._refresh_at = now
        for question in self._questions.values():
            question.waiting.discard(node)
        return self._decide(now)

    # --- asking ------------------------------------------------------------------------------------------------------

    def astray(self, version: int, strays: Sequence[Stray], now: float) -> list[Ask]:
        """The kernel holds these back, since just now."""
        here, nodes = self._here.get(version), self._nodes(version)
        self._budget = min(BURST, self._budget + (now - self._budget_at) * RATE)
        self._budget_at = now
        some = strays[: int(self._budget)] if here is not None and nodes else ()
        self.refused += len(strays) - len(some)
        self._budget -= len(some)
        self.asked += len(some)
        asks: list[Ask] = []
        for at in range(0, len(some), STRAYS_MOST):
            number, part = next(self._numbers), tuple(some[at : at + STRAYS_MOST])
            assert here is not None
            # An agent that left may be back soon: what nobody else serves isn't let go for that long.
            self._questions[number] = _Question(part, {*nodes, *self._left}, now, set(range(len(part))))
            asks.append(Ask(nodes, StrayQuestion(self._members.node, number, here.address, part)))
        return asks

    def answered(self, answer: StrayAnswer, now: float) -> list[StrayRule]:
        """A fellow says which of them it serves."""
        question = self._questions.get(answer.number)
        fellow = self._known.get(answer.sender)
        if question is None or answer.sender not in question.waiting:
            return []  # it comes late
        if fellow is None or answer.server not in fellow.addresses or not self._is_near(answer.server):
            self.refused += len(answer.found)
            return []
        question.waiting.discard(answer.sender)
        for place, left in answer.found:
            if place in question.open and left > question.best.get(place, (-1, None))[0]:
                question.best[place] = left, answer.server
        return self._decide(now)

    def due(self, now: float) -> list[StrayRule]:
        """What is due."""
        for node in [node for node, (until, _) in self._left.items() if now >= until]:
            del self._left[node]
            self._refresh_at = now
        rules: list[StrayRule] = [*self._refresh(now), *self._decide(now)]
        if self._settles_at is not None and now >= self._settles_at:
            self._settles_at = None
            rules += [*self._said.values(), Settled()]
        for number in [number for number, one in self._questions.items() if now >= one.asked_at + HELD]:
            del self._questions[number]
        return rules

    def _decide(self, now: float) -> list[StrayRule]:
        rules: list[StrayRule] = []
        for number, question in list(self._questions.items()):
            if question.waiting and not (question.best and now >= question.asked_at + DECIDED):
                continue
            located = [
                (question.strays[place], server)
                for place, (_, server) in question.best.items()
                if self._is_routed(question.strays[place])
            ]
            question.open -= question.best.keys()
            question.best.clear()
            self.located += len(located)
            if located:
                rules.append(Located(tuple(located)))
            if question.waiting and question.open:
                continue
            if question.open:
                rules.append(Released(tuple(question.strays[place] for place in sorted(question.open))))
            del self._questions[number]
        return rules

    # --- answering ---------------------------------------------------------------------------------------------------

    def asked_by(self, question: StrayQuestion) -> Find | None:
        """A fellow doesn't know these connections. Of VIPs that aren't known here, or not yet, nothing is said: what no
        node serves is reset.
        """
        subnet = next((one for one in self._subnets if question.asker in one.network), None)
        fellow = self._known.get(question.sender)
        if subnet is None or fellow is None or question.asker not in fellow.addresses:
            self.refused += len(question.strays)
            return None
        strays = [Stray(stray) for stray in question.strays]
        if not all(self._is_routed(stray) for stray in strays):
            return None
        return Find(question.sender, question.number, subnet.address, tuple(enumerate(strays)))

    # --- fellows -----------------------------------------------------------------------------------------------------

    def _refresh(self, now: float) -> list[StrayRule]:
        if self._refresh_at is None or now < self._refresh_at:
            return []
        self._refresh_at = None
        others = ((node, _fellow(meta)) for node, meta in self._members.others.items())
        self._known = {node: fellow for node, fellow in others if fellow is not None}
        rules: list[StrayRule] = []
        for version, said in self._said.items():
            fellows = self._fellows(version)
            if fellows != said:
                self._said[version] = fellows
                rules.append(fellows)
        return rules

    def _fellows(self, version: int) -> Fellows:
        all_of_them = [*self._known.values(), *(fellow for _, fellow in self._left.values())]
        self._here.pop(version, None)
        best = Fellows(version)
        subnets = [one for one in self._subnets if one.network.version == version and self._routed[version]]
        most = 0
        for subnet in subnets:
            near = [[one for one in fellow.addresses if one in subnet.network] for fellow in all_of_them]
            servers, count = frozenset(one for its in near for one in its), sum(1 for its in near if its)
            if count > most:
                most, self._here[version] = count, subnet
                macs = frozenset(mac for fellow in all_of_them for mac in fellow.macs)
                best = Fellows(version, subnet.index, servers, macs)
        return best if most <= FELLOWS_MOST else Fellows(version)

    def _nodes(self, version: int) -> frozenset[str]:
        servers = self._said[version].servers
        return frozenset(node for node, fellow in self._known.items() if fellow.addresses & servers)

    def _is_near(self, server: IPAddress) -> bool:
        return server in self._said[server.version].servers

    def _is_routed(self, stray: Stray) -> bool:
        vip = stray[STRAY.size + (len(stray) - STRAY.size) // 2 :]
        return vip in self._routed[4 if len(vip) == 4 else 6]


def _fellow(meta: Meta | None) -> _Fellow | None:
    """None: a node that keeps no flows."""
    if meta is None or not meta.keeps_flows or meta.life is None:
        return None
    return _Fellow(meta.addresses, meta.macs)
