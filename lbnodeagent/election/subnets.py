"""Where this node is: which of its interfaces take VIPs, on which subnets. Tells the election. Pure."""

from __future__ import annotations

import logging

from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.kernel.interfaces import NicSubnet, macs, nic_subnets, surroundings
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import Surroundings
from purelb.addresses import IPAddress
from purelb.nodeagents import NodeAgentConfig

log = logging.getLogger(__name__)


class Subnets:
    """``look`` whenever an interface, a default route, an address of the node's own or the configuration changed."""

    def __init__(self, present: Present, candidacy: Candidacy) -> None:
        self._present = present
        self._candidacy = candidacy
        self.found: Surroundings | None = None
        """What there is to be told the user; None: no configuration was known yet."""
        self.here: tuple[NicSubnet, ...] = ()
        """On which subnets this node is, in the order in which they are tried."""

    def look(self, config: NodeAgentConfig | None, own: frozenset[IPAddress], now: float) -> set[IPAddress]:
        """The VIPs whose owner changed with it. While no configuration is known (None), this node is nowhere.

        ``own``: the node's own addresses, of which the peers are told.
        """
        if config is None:
            self.here = ()
            return self._candidacy.set_place((), (), own, now)
        found = surroundings(config, self._present)
        if found != self.found:
            self.found = found
            log.info("interfaces", extra={"chosen": found.interfaces, "missing": found.missing})
        self.here = tuple(nic_subnets(config, self._present))
        own_macs = macs(config, self._present)
        return self._candidacy.set_place(self.here, own_macs, own, now, announces=config.announces)
