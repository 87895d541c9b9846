"""What answers on the wire mean: one host is right, none or two at several looks in a row are not. Pure.

A VIP that moves is answered for by nobody or by two for a moment, and a question may be lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

from lbnodeagent.tables import Mac
from purelb.addresses import IPAddress

ASKED: Final = 4
"""VIPs that are asked for at one look."""
AT_ONCE: Final = 10
"""Nodes that ask at one look, of however many: each question goes to all hosts on the wire."""
IN_A_ROW: Final = 3
"""Looks until it counts."""


class Doubt(NamedTuple):
    """A VIP that isn't answered for by one host."""

    vip: IPAddress
    node: str
    """That announces it, as its Service says."""
    macs: frozenset[Mac]


class Answers:
    """Between two looks."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._doubts: dict[IPAddress, tuple[Doubt, int]] = {}

    @property
    def suspects(self) -> frozenset[IPAddress]:
        """VIPs that are to be asked for again."""
        return frozenset(self._doubts)

    def to_ask(self, announced: Mapping[IPAddress, str], nodes: int) -> dict[IPAddress, str]:
        """VIPs to ask for now, and who announces each: suspects first. ``nodes``: how many there are."""
        again = [vip for vip in announced if vip in self._doubts][:ASKED]
        others = [vip for vip in announced if vip not in self._doubts]
        if again or self._chance.random() * nodes < AT_ONCE:
            again += self._chance.sample(others, min(ASKED, len(others)))
        return {vip: announced[vip] for vip in again}

    def heard(self, asked: Mapping[IPAddress, str], answers: Mapping[IPAddress, frozenset[Mac]]) -> tuple[Doubt, ...]:
        """What is wrong for long enough. ``asked``: the VIPs, and who announces each, where this node hears at all."""
        before, self._doubts = self._doubts, {}
        for vip, node in asked.items():
            doubt = Doubt(vip, node, answers.get(vip, frozenset()))
            if len(doubt.macs) == 1:
                continue
            known, times = before.get(vip, (doubt, 0))
            is_same = (known.node, len(known.macs) > 1) == (node, len(doubt.macs) > 1)
            self._doubts[vip] = (doubt, times + 1 if is_same else 1)
        return tuple(doubt for doubt, times in self._doubts.values() if times >= IN_A_ROW)
