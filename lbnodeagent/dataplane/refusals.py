"""What was refused by a rule, each told once for as long as it lasts: for the metric, and the log. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lbnodeagent.dataplane.invariants import Refusal, Rule
from purelb.addresses import IPAddress


class Refusals:
    """``note`` after each pass; what is news is taken with ``take``."""

    def __init__(self) -> None:
        self._rules: dict[IPAddress, Rule] = {}
        self._untold: list[Refusal] = []

    def note(self, vips: Iterable[IPAddress], refusals: Iterable[Refusal]) -> None:
        """A pass over ``vips`` is done, and these things in it weren't."""
        now = {refusal.vip: refusal for refusal in refusals}
        for vip in vips:
            refusal = now.get(vip)
            if refusal is None:
                self._rules.pop(vip, None)
            elif self._rules.get(vip) != refusal.rule:
                self._rules[vip] = refusal.rule
                self._untold.append(refusal)

    def take(self) -> list[Refusal]:
        """What is to be told, once."""
        untold, self._untold = self._untold, []
        return untold
