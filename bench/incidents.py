"""What goes wrong when, in a run of chaos. Pure: the same seed gives the same incidents.

Never more than two nodes are broken at a time, and no node by two things at once, so that somebody is always left to
serve and every incident can be told from the next. What befalls the API server or a Service comes on top of that.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

Kind = Literal[
    "power",
    "flap",
    "agent-kill",
    "agent-stop",
    "freeze",
    "partition",
    "port-dead",
    "deaf",
    "mute",
    "deaf-to-one",
    "cordon",
    "drain",
    "proxy-late",
    "proxy-frozen",
    "proxy-dead",
    "api-refused",
    "api-silent",
    "api-slow",
    "api-half-open",
    "api-down",
    "api-reset",
    "api-hang",
    "api-read-only",
    "api-html",
    "api-redirect",
    "api-broken-line",
    "api-cut-line",
    "api-expire-watches",
    "api-restart",
    "api-quota",
    "api-admission",
    "api-rotate",
    "api-code",
    "api-go-back",
    "foreign-status",
    "stripped",
    "tenant",
    "key-deleted",
    "replay",
    "gossip-flood",
    "arp-flood",
    "answer",
]

FREEZE: Final = 2.0
"""Seconds for which a process is stopped by SIGSTOP."""
_WEIGHTS: Final[dict[Kind, int]] = {
    "power": 4,
    "flap": 3,
    "agent-kill": 4,
    "agent-stop": 2,
    "freeze": 4,
    "partition": 4,
    "port-dead": 2,
    "deaf": 2,
    "mute": 2,
    "deaf-to-one": 2,
    "cordon": 3,
    "drain": 2,
    "proxy-late": 1,
    "proxy-frozen": 2,
    "proxy-dead": 2,
    "api-refused": 1,
    "api-silent": 1,
    "api-slow": 1,
    "api-half-open": 1,
    "api-down": 1,
    "api-reset": 1,
    "api-hang": 1,
    "api-read-only": 1,
    "api-html": 1,
    "api-redirect": 1,
    "api-broken-line": 1,
    "api-cut-line": 1,
    "api-expire-watches": 1,
    "api-restart": 2,
    "api-quota": 2,
    "api-admission": 2,
    "api-rotate": 2,
    "api-code": 2,
    "api-go-back": 2,
    "foreign-status": 2,
    "stripped": 2,
    "tenant": 2,
    "key-deleted": 1,
    "replay": 2,
    "gossip-flood": 1,
    "arp-flood": 2,
    "answer": 2,
}
_SECONDS: Final[dict[Kind, tuple[float, float]]] = {
    "power": (1.0, 8.0),
    "flap": (1.0, 5.0),
    "agent-kill": (0.1, 6.0),
    "agent-stop": (0.5, 6.0),
    "freeze": (FREEZE, FREEZE),
    "partition": (1.0, 8.0),
    "port-dead": (1.0, 8.0),
    "deaf": (1.0, 8.0),
    "mute": (1.0, 8.0),
    "deaf-to-one": (1.0, 8.0),
    "cordon": (2.0, 10.0),
    "drain": (2.0, 10.0),
    "proxy-late": (2.0, 10.0),
    "proxy-frozen": (2.0, 10.0),
    "proxy-dead": (2.0, 10.0),
    "api-refused": (3.0, 20.0),
    "api-silent": (3.0, 20.0),
    "api-slow": (3.0, 20.0),
    "api-half-open": (3.0, 20.0),
    "api-down": (3.0, 10.0),
    "api-reset": (3.0, 10.0),
    "api-hang": (3.0, 10.0),
    "api-read-only": (3.0, 10.0),
    "api-html": (3.0, 10.0),
    "api-redirect": (3.0, 10.0),
    "api-broken-line": (3.0, 10.0),
    "api-cut-line": (3.0, 10.0),
    "api-expire-watches": (3.0, 10.0),
    "api-restart": (3.0, 15.0),
    "api-quota": (3.0, 20.0),
    "api-admission": (3.0, 20.0),
    "api-rotate": (8.0, 15.0),
    "api-code": (3.0, 10.0),
    "api-go-back": (1.0, 3.0),
    "foreign-status": (1.0, 1.0),
    "stripped": (1.0, 1.0),
    "tenant": (1.0, 8.0),
    "key-deleted": (1.0, 1.0),
    "replay": (8.0, 25.0),
    "gossip-flood": (2.0, 10.0),
    "arp-flood": (2.0, 10.0),
    "answer": (70.0, 80.0),  # an owner asks for its address once a minute
}
API: Final = frozenset[Kind](kind for kind in get_args(Kind) if kind.startswith("api-"))
"""One at a time, whichever it is."""
STRANGERS: Final = frozenset[Kind](("gossip-flood", "arp-flood", "answer"))
"""Likewise: a lab's strangers leave the wire together."""
NODELESS: Final = API | STRANGERS | frozenset[Kind](("foreign-status", "stripped", "tenant", "key-deleted"))
"""What befalls no node."""
HARMLESS: Final = frozenset[Kind](("replay",))
"""What a node is named for, but must not be broken by."""
ALONE: Final = frozenset[Kind](("api-go-back",))
"""What nothing else may begin or end in: it would be undone too, a cordon's end say that an older snapshot lacks."""
PAUSE: Final = 3.0
"""Seconds between two incidents, on average."""
MOST_BROKEN: Final = 2
REST: Final = 4.0
"""Seconds for which a mended node is left alone: an agent needs as long to start."""


@dataclass(frozen=True, slots=True)
class Incident:
    """``begin`` and ``end`` are seconds from the run's begin; ``node`` is empty for what befalls none."""

    kind: Kind
    node: str
    begin: float
    end: float
    choice: float = 0.0
    """In [0, 1): which of the Services, say, where that is still to be chosen."""

    def of(self, those: Sequence[str]) -> str:
        """That Service, or its VIP, or another choice, among all of them."""
        return those[int(self.choice * len(those))]


def plan_incidents(nodes: Sequence[str], seconds: float, chance: random.Random) -> list[Incident]:
    """Incidents that have all ended after so many seconds."""
    planned: list[Incident] = []
    at = 1.0
    while True:
        at += chance.expovariate(1 / PAUSE)
        (kind,) = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        end = at + chance.uniform(*_SECONDS[kind])
        if at >= seconds:
            return planned
        if end > seconds:
            continue
        if any((kind in ALONE or one.kind in ALONE) and one.end + REST > at for one in planned):
            continue
        if kind in NODELESS or kind in HARMLESS:
            rivals = next((group for group in (API, STRANGERS) if kind in group), frozenset((kind,)))
            if not any(one.kind in rivals and one.end + 1 > at for one in planned):
                node = chance.choice(nodes) if kind in HARMLESS else ""
                planned.append(Incident(kind, node, at, end, chance.random()))
            continue
        breaking = [one for one in planned if one.node and one.kind not in HARMLESS]
        broken = {one.node for one in breaking if one.end > at}
        resting = {one.node for one in breaking if one.end + REST > at}
        whole = [node for node in nodes if node not in resting]
        # With one node of three or fewer broken, a second would leave no majority to look at.
        if whole and len(broken) < min(MOST_BROKEN, (len(nodes) - 1) // 2):
            planned.append(Incident(kind, chance.choice(whole), at, end, chance.random()))


def cause_of(begin: float, nodes: Collection[str], incidents: Sequence[Incident]) -> Incident | None:
    """What most likely explains that these nodes had a VIP together from then on: the last of their own incidents.

    A partition also explains what happens between the others, who see a node that is no longer there.
    """
    earlier = [one for one in incidents if one.node and one.kind not in HARMLESS and one.begin <= begin]
    theirs = [one for one in earlier if one.node in nodes]
    return max(theirs or earlier, key=lambda one: one.begin, default=None)
