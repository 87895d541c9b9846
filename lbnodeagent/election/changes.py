"""What the gossip's news change: elects again, counts wins and losses, and tells the control plane who is there."""

from __future__ import annotations

import time
from collections.abc import Callable

from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.gossip.peers import Peers
from lbnodeagent.kernel.present import Present
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.tables import Members, Report, ReportKey
from purelb.addresses import IPAddress
from purelb.metrics import AgentMetrics


class Changes:
    """``look_at``: these VIPs are to be looked at in the next pass."""

    def __init__(
        self,
        node: str,
        peers: Peers,
        candidacy: Candidacy,
        present: Present,
        outbox: Mailbox[ReportKey, Report],
        metrics: AgentMetrics,
        look_at: Callable[[set[IPAddress]], None],
    ) -> None:
        self._node = node
        self._peers = peers
        self._candidacy = candidacy
        self._present = present
        self._outbox = outbox
        self._metrics = metrics
        self._look_at = look_at
        self._members = Members(frozenset())

    def candidacy_changed(self) -> None:
        """This node, or another, became a candidate or ceased to be one."""
        self._metrics.members.set(len(self._peers.roster.others) + 1)
        self.owners_changed(self._candidacy.update(time.monotonic()))
        # Before this node is a candidate, whom it doesn't hear isn't dead for that.
        known = (self._node, *self._peers.roster.others) if self._candidacy.is_candidate else ()
        members = Members(frozenset(known))
        if members != self._members:
            self._members = members
            self.repeat()

    def repeat(self) -> None:
        """Tell the control plane again who is there."""
        self._outbox.put((Members, None), self._members)

    def owners_changed(self, vips: set[IPAddress]) -> None:
        """These VIPs have another owner."""
        for vip in vips:
            if self._candidacy.owner(vip) == self._node:
                self._metrics.election_wins.inc()
            elif self._present.nics_with(vip):
                self._metrics.election_losses.inc()
        self._look_at(vips)
