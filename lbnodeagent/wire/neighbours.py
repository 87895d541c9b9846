"""The hosts beside a NIC: tells them where VIPs are, and hears which of them speak as a VIP that is here.

Owns what is sent to and heard from the wire. Who should have a VIP is the election's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from lbnodeagent.errors import FrameError
from lbnodeagent.gossip.members import Members
from lbnodeagent.kernel.present import Present
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.tables import FOREVER, Conflict, IfIndex, Mac, Report, ReportKey
from lbnodeagent.wire.conflicts import Conflicts
from lbnodeagent.wire.dad import DuplicateDetection
from lbnodeagent.wire.frames import claim_of, format_mac
from lbnodeagent.wire.garp import Garp
from lbnodeagent.wire.rawsocket import FrameListener
from purelb.addresses import IPAddress
from purelb.metrics import AgentMetrics
from purelb.nodeagents import GarpConfig

log = logging.getLogger(__name__)

PROBE_FIRST: Final = 0.5
"""Seconds after placing a VIP until it is asked whether another host has it too."""
PROBE_AGAIN: Final = 60.0
"""Seconds between two such questions for all VIPs that are here."""


@dataclass(frozen=True, slots=True)
class Owners:
    """What the election says."""

    is_ours: Callable[[IPAddress], bool]
    """Whether it gives this node a VIP."""
    are_known: Callable[[], bool]
    """Whether peers can be heard; else nothing can be said of a VIP that an earlier run left."""
    look_at: Callable[[Iterable[IPAddress]], None]
    """These VIPs are to be looked at again."""


class Neighbours:
    """Sends and hears frames about the VIPs that are here."""

    def __init__(
        self,
        announcer: Garp,
        listener: FrameListener,
        present: Present,
        roster: Members,
        conflicts: Conflicts,
        first: DuplicateDetection,
        outbox: Mailbox[ReportKey, Report],
        metrics: AgentMetrics,
        owners: Owners,
    ) -> None:
        self.garp = GarpConfig()
        self.claimed: set[IPAddress] = set()
        """VIPs here for which another host answered while peers could not be heard."""
        self._announcer = announcer
        self._listener = listener
        self._present = present
        self._roster = roster
        self._conflicts = conflicts
        self._first = first
        self._outbox = outbox
        self._metrics = metrics
        self._owners = owners
        self._untold: set[IPAddress] = set()
        self._unprobed: set[IPAddress] = set()
        self._probe_at = FOREVER
        self._probe_all_at = 0.0

    @property
    def deadline(self) -> float:
        """When ``run_due`` has something to do next, monotonic seconds."""
        return min(self._probe_at, self._probe_all_at, self._announcer.deadline or FOREVER)

    def placed(self, vip: IPAddress, now: float) -> None:
        """A VIP was put on a NIC here."""
        self._untold.add(vip)
        self._unprobed.add(vip)
        self._probe_at = min(self._probe_at, now + PROBE_FIRST)

    def announce_placed(self, vips: Iterable[IPAddress], now: float) -> None:
        """Tell the neighbours of those among these VIPs that were placed and answer now, once."""
        untold = [vip for vip in vips if vip in self._untold]
        answering = [vip for vip in untold if self._present.nics_with(vip)]
        self._untold.difference_update(answering, (vip for vip in untold if not self._present.ours(vip)))
        self.announce_again(answering, now)

    def announce_again(self, vips: Iterable[IPAddress], now: float) -> None:
        """Somebody else may have been believed to have these VIPs."""
        for vip in vips:
            for link in self._present.nics_with(vip):
                if link.mac is not None:
                    self._announcer.announce(vip, link.name, link.mac, self.garp, now)

    def run_due(self, now: float) -> None:
        """Send what is due: repeats of announcements, and questions."""
        self._announcer.run_due(now, verify=self.garp.verify_before_send)
        if now >= self._probe_all_at:
            self._probe_all_at = now + PROBE_AGAIN
            self._unprobed.update(there.address for there in self._present.all_ours())
            self._probe_at = now
        if now >= self._probe_at:
            self._probe_at = FOREVER
            for vip in self._unprobed:
                for link in self._present.nics_with(vip):
                    if link.mac is not None:
                        self._announcer.probe(vip, link.name, link.mac)
            self._unprobed.clear()

    async def listen(self, clock: Callable[[], float], wake: Callable[[], None]) -> None:
        """Hear who else speaks as a VIP that is here (RFC 5227 section 2.4), until cancelled.

        ``wake`` is called when what was heard made the deadline sooner.
        """
        async for index, frame in self._listener.frames():
            try:
                claim = claim_of(frame)
            except FrameError:
                continue
            if claim is None:
                continue
            before = self.deadline
            self._claimed(index, *claim, clock())
            if self.deadline < before:
                wake()

    def _claimed(self, index: IfIndex, vip: IPAddress, mac: Mac, now: float) -> None:
        is_here = any(there.index == index for there in self._present.ours(vip))
        if not is_here and not self._first.is_duplicate(vip, now):
            return
        link = self._present.links.get(index)
        if link is None or any(mac == own.mac for own in self._present.links.values()):
            return  # ourselves
        if not self._owners.are_known():
            self.claimed.add(vip)
            self._owners.look_at((vip,))
            return
        if not self._owners.is_ours(vip):
            return  # the new owner while we hand over
        # Duplicate address detection has asked already, and the address may be gone by the time of a second question.
        is_sure = not is_here or self._first.is_new(vip)
        verdict = self._conflicts.heard(vip, mac, now, is_peer=mac in self._roster.macs(), is_sure=is_sure)
        if verdict.defend:
            self.announce_again((vip,), now)
        if verdict.ask_again is not None:
            self._unprobed.add(vip)
            self._probe_at = min(self._probe_at, verdict.ask_again)
        if verdict.report:
            self._metrics.conflicts.inc()
            log.warning("address conflict", extra={"vip": str(vip), "interface": link.name, "mac": format_mac(mac)})
            self._outbox.put((Conflict, vip), Conflict(vip, link.name, mac))
