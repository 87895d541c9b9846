"""What this node did with VIPs lately, and why: for whoever debugs it. Pure; ``now`` is monotonic seconds.

The reason is told from the same snapshot that the planner went by; nothing follows from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lbnodeagent.dataplane.planner import Blocked
from lbnodeagent.dataplane.situation import Situation, VipSituation
from lbnodeagent.tables import Action, Place, Remove
from purelb.addresses import IPAddress

REMEMBERED: Final = 200


@dataclass(frozen=True, slots=True)
class Decision:
    """About one VIP."""

    at: float
    """Monotonic seconds."""
    vip: IPAddress
    what: str
    """``place``, ``remove`` or ``refuse``."""
    interface: str
    why: str


class Decisions:
    """The last ones, the oldest first."""

    def __init__(self) -> None:
        self._last: deque[Decision] = deque(maxlen=REMEMBERED)
        self._refused: dict[IPAddress, str] = {}
        """Why, of the VIPs that the last pass over them refused: ten thousand may be, again and again."""

    def __iter__(self) -> Iterator[Decision]:
        return iter(tuple(self._last))

    def note(self, actions: Iterable[Action], blocked: Iterable[Blocked], situation: Situation) -> None:
        """A pass came to these. What is refused again and again for one reason is one decision."""
        now = situation.now
        for action in actions:
            match action:
                case Place(vip, spot, is_renewal=False):
                    self._last.append(Decision(now, vip, "place", spot.interface, _why_here(vip, situation)))
                case Remove(vip, _, interface):
                    self._last.append(Decision(now, vip, "remove", interface, _why_gone(vip, situation)))
                case _:
                    continue
        before = {vip: self._refused.pop(vip, None) for vip in situation.vips}
        for one in blocked:
            self._refused[one.vip] = one.reason
            if before.get(one.vip) != one.reason:
                self._last.append(Decision(now, one.vip, "refuse", one.interface, one.reason))


def _why_here(vip: IPAddress, situation: Situation) -> str:
    its = situation.vips.get(vip)
    if its is None or its.wanted is None:
        return "it is wanted"
    if its.owner != situation.node:
        return "it is kept until its new owner has it" if its.is_held else _routed(its)
    return _elected(its, situation.node)


def _elected(its: VipSituation, node: str) -> str:
    plan = its.wanted.plan if its.wanted is not None else ()
    rule = f"the plan ({', '.join(plan)})" if node in plan else "the hash rule"
    return f"this node is its owner by {rule}"


def _routed(its: VipSituation) -> str:
    wanted = its.wanted
    endpoints = "" if wanted is None or wanted.endpoints is None else ", and this node has an endpoint"
    return f"it is on no node's subnet: each routes it{endpoints}"


def _why_gone(vip: IPAddress, situation: Situation) -> str:
    its = situation.vips.get(vip)
    if its is None or its.wanted is None:
        return "no Service has it any more"
    if its.is_claimed:
        return "another host answers for it"
    if situation.leaving:
        return "this agent leaves" + (f", and {its.owner} has it" if its.owner not in (None, situation.node) else "")
    if not situation.config.announces:
        return "this node announces nothing"
    if its.owner is not None and its.owner != situation.node:
        return f"{its.owner} is its owner"
    if its.is_spared:
        return "others serve better than this node, and route it"
    if its.owner == situation.node:
        return "it belongs elsewhere on this node"
    return "no node that could have it takes part"
