"""Somebody on this node takes VIPs away: notices a habit, and tells what it may be and what stops it."""

from __future__ import annotations

import logging

from lbnodeagent.kernel.addressmanagers import advice, likely_managers, read_process, read_sockets
from lbnodeagent.kernel.present import Present
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.tables import PresentAddress, Report, ReportKey, Wiped
from lbnodeagent.wire.conflicts import Conflicts
from purelb.metrics import AgentMetrics

log = logging.getLogger(__name__)


class Removals:
    """``noticed`` for each address of ours that went without our doing."""

    def __init__(
        self, present: Present, conflicts: Conflicts, outbox: Mailbox[ReportKey, Report], metrics: AgentMetrics
    ) -> None:
        self._present = present
        self._conflicts = conflicts
        self._outbox = outbox
        self._metrics = metrics

    def noticed(self, gone: PresentAddress, by: int, now: float) -> None:
        """``by``: the netlink port of who took it; ``now``: monotonic seconds."""
        link = self._present.links.get(gone.index)
        if link is None:
            return  # it went with its interface
        self._metrics.restored.inc()
        log.warning("removed by somebody else", extra={"vip": str(gone.address), "interface": link.name, "port": by})
        times = self._conflicts.removed(gone.address, now)
        if times:
            culprit, managers = likely_managers(read_sockets(), by, read_process)
            told = Wiped(gone.address, link.name, times, advice(link.name, culprit, managers))
            self._outbox.put((Wiped, gone.address), told)
