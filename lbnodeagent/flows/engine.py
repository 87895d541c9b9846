"""Both sides of connections that survive, as the data plane's core has them: values in, values out. Pure.

Off, nothing is kept, offered or awaited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lbnodeagent.flows.keeping import Keeping, joined
from lbnodeagent.flows.offers import Offers
from lbnodeagent.flows.strays import Strays
from lbnodeagent.flows.tables import Adopted, FlowCounts, FlowsOutput, OwnSubnet, Rule, Stand, Stray
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from lbnodeagent.gossip.members import Members
from lbnodeagent.gossip.straymessage import StrayAnswer, StrayMessage
from purelb.addresses import IPAddress


class Flows:
    """Of the node ``members.node``; ``now`` is monotonic seconds."""

    def __init__(self, members: Members) -> None:
        self.is_on = False
        """The kernel has what it takes."""
        self._offers = Offers(members)
        self._keeping = Keeping(members)
        self._strays = Strays(members)
        self._outputs: list[FlowsOutput] = []
        self._rules: list[Rule] = []

    def begin(self, adopted: frozenset[Adopted], now: float) -> None:
        """The kernel has what it takes, and goes on passing on what an earlier run was told of."""
        self.is_on = True
        self._keeping.adopt(adopted, now)
        self._strays.begin(now)

    @property
    def deadline(self) -> float | None:
        """When ``run_due`` has something to do."""
        deadlines = self._offers.deadline, self._keeping.deadline, self._strays.deadline
        return min((deadline for deadline in deadlines if deadline is not None), default=None) if self.is_on else None

    @property
    def counts(self) -> FlowCounts:
        """For metrics."""
        refused = self._keeping.refused + self._strays.refused
        return FlowCounts(self._offers.count, self._keeping.count, refused, *self._keeping.totals)

    @property
    def stray_counts(self) -> tuple[int, int]:
        """The connections that other nodes were asked for, and those that one of them serves; for metrics."""
        return self._strays.asked, self._strays.located

    def is_settled(self) -> bool:
        """Whether others know of all the flows that this node goes on serving."""
        return not self.is_on or self._offers.is_settled()

    def take(self) -> list[FlowsOutput]:
        """What is to be done, once."""
        outputs, self._outputs = [*joined(self._rules), *self._outputs], []
        self._rules = []
        return outputs

    def look(self, stand: Stand, now: float) -> None:
        """How a VIP stands now."""
        if self.is_on:
            self._rules += self._keeping.look(stand, now)
            self._rules += self._strays.look(stand, now)
            self._outputs += self._offers.look(stand, now)

    def subnets(self, subnets: tuple[OwnSubnet, ...], now: float) -> None:
        """Where this node is."""
        self._rules += self._strays.subnets(subnets, now)

    def looked(self, counts: Mapping[IPAddress, int], now: float) -> None:
        """What ``Look`` asked for was done."""
        self._outputs += self._offers.looked(counts, now)

    def received(self, message: FlowsMessage, now: float) -> None:
        """Another node serves flows of a VIP."""
        if self.is_on:
            self._rules += self._keeping.received(message, now)

    def astray(self, version: int, strays: Sequence[Stray], now: float) -> None:
        """The kernel holds these back."""
        self._outputs += self._strays.astray(version, strays, now)

    def told_of_strays(self, message: StrayMessage, now: float) -> None:
        """Another node asks for connections, or answers."""
        if not self.is_on:
            return
        if isinstance(message, StrayAnswer):
            self._rules += self._strays.answered(message, now)
        elif (find := self._strays.asked_by(message)) is not None:
            self._outputs.append(find)

    def alive(self, node: str, now: float) -> None:
        """Another agent is there."""
        self._keeping.alive(node)
        self._strays.alive(node, now)

    def gone(self, node: str, now: float, *, for_good: bool) -> None:
        """Another node failed, or its agent left (``for_good``)."""
        self._rules += self._keeping.gone(node, now, for_good=for_good)
        self._rules += self._strays.gone(node, now, for_good=for_good)

    def run_due(self, now: float) -> None:
        """Do what is due."""
        if not self.is_on:
            return
        self._rules += self._keeping.due(now)
        self._rules += self._strays.due(now)
        self._outputs += self._offers.untold(now)
        look = self._offers.due(now)
        if look is not None:
            self._outputs.append(look)
