"""The hosts beside a NIC: what they are told of VIPs, and which of them speak as a VIP that is here. Pure.

Owns what is to be sent to the wire and what was heard there. Who should have a VIP is the election's. ``now`` is
monotonic seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from lbnodeagent.gossip.members import Members
from lbnodeagent.kernel.interfaces import IPVS_INTERFACE
from lbnodeagent.kernel.present import Present
from lbnodeagent.tables import FOREVER, Conflict, IfIndex, Link, Mac
from lbnodeagent.wire.conflicts import Conflicts
from lbnodeagent.wire.dad import WINDOW, DuplicateDetection
from lbnodeagent.wire.frames import format_mac
from lbnodeagent.wire.garp import Announce, Garp, Refresh
from purelb.addresses import IPAddress
from purelb.nodeagents import GarpConfig

log = logging.getLogger(__name__)

PROBE_FIRST: Final = 0.5
"""Seconds after placing a VIP until it is asked whether another host has it too."""
PROBE_AGAIN: Final = 60.0
"""Seconds between two such questions for all VIPs that are here."""
BURST: Final = 64
"""VIPs for which it is asked at once. The answers come at once too, and a socket's buffer holds some 250 (of
net.core.rmem_default): an answer that is lost there looks like none."""
SPACING: Final = 0.01
"""Seconds until the next ones are asked for."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask on an interface whether another host has a VIP too; who answers is heard as a claim."""

    vip: IPAddress
    interface: str
    mac: Mac


WireOutput: TypeAlias = Announce | Probe


class Neighbours:
    """What is to be said is taken with ``take_frames`` after each input."""

    def __init__(self, present: Present, members: Members, conflicts: Conflicts, detection: DuplicateDetection) -> None:
        self._garp = GarpConfig()
        self._refresh = Refresh(self._garp.refresh)
        self._present = present
        self._members = members
        self._conflicts = conflicts
        self._detection = detection
        self._schedule = Garp()
        self._frames: list[WireOutput] = []
        self._claimed: set[IPAddress] = set()
        self._untold: set[IPAddress] = set()
        self._given_away: set[IPAddress] = set()
        """VIPs that are here until their new owner has them: that one has announced them last, or will."""
        self._unprobed: set[IPAddress] = set()
        self._quiet_until: dict[IPAddress, float] = {}
        """Of IPv4 VIPs that nobody had yet, in their order: the host that has one may answer until then, and its
        neighbours go on believing it. Whoever asks for the VIP meanwhile is answered."""
        self._probe_at = FOREVER
        self._probe_all_at = 0.0

    @property
    def deadline(self) -> float:
        """When ``run_due`` has something to do next."""
        schedules = self._schedule.deadline or FOREVER, self._refresh.deadline or FOREVER
        quiet = next(iter(self._quiet_until.values()), FOREVER)
        return min(self._probe_at, self._probe_all_at, quiet, *schedules)

    def configure(self, garp: GarpConfig, now: float) -> None:
        """How neighbours are told of VIPs from now on."""
        self._garp = garp
        self._refresh.set_interval(garp.refresh if garp.enabled else 0.0, now)
        self._refresh.keep(self._here(), now)

    def take_frames(self) -> list[WireOutput]:
        """What is to be sent, once."""
        frames, self._frames = self._frames, []
        return frames

    def placed(self, vip: IPAddress, now: float) -> None:
        """A VIP was put on a NIC here."""
        self._untold.add(vip)
        self._unprobed.add(vip)
        self._probe_at = min(self._probe_at, now + PROBE_FIRST)
        if self._present.nics_with(vip) and self._detection.asks(vip, now):
            self._quiet_until[vip] = now + WINDOW
            self._probe(vip)

    def announce_placed(self, vips: Iterable[IPAddress], now: float) -> None:
        """Tell the neighbours of those among these VIPs that were placed and answer now, once."""
        untold = [vip for vip in vips if vip in self._untold and vip not in self._quiet_until]
        answering = [vip for vip in untold if self._present.nics_with(vip)]
        # One that isn't here may be: the kernel's word of an earlier removal can come after its answer to a place.
        self._untold.difference_update(answering)
        self.announce_again(answering, now)

    def gives_away(self, vip: IPAddress, *, is_given: bool) -> None:
        """Whether a VIP is another's, and here only until that one has it."""
        (self._given_away.add if is_given else self._given_away.discard)(vip)

    def announce_again(self, vips: Iterable[IPAddress], now: float) -> None:
        """Somebody else may have been believed to have these VIPs."""
        for vip in vips:
            for link in self._present.nics_with(vip):
                if link.mac is not None:
                    self._frames += self._schedule.announce(Announce(vip, link.name, link.mac), self._garp, now)

    def run_due(self, now: float) -> None:
        """Say what is due: repeats of announcements (of VIPs that are still here and ours), and questions."""
        if over := [vip for vip, until in self._quiet_until.items() if until <= now]:
            for vip in over:
                del self._quiet_until[vip]
            ours = (vip for vip in over if vip not in self._given_away)
            self.announce_placed([vip for vip in ours if not self._detection.is_duplicate(vip, now)], now)
        for vip in self._refresh.due(now):
            if vip not in self._given_away:
                self._frames += (
                    Announce(vip, link.name, link.mac) for link in self._present.nics_with(vip) if link.mac
                )
        for repeat in self._schedule.due(now):
            if repeat.vip in self._given_away:
                continue
            if not self._garp.verify_before_send or self._present.is_on(repeat.vip, repeat.interface):
                self._frames.append(repeat)
        if now >= self._probe_all_at:
            self._probe_all_at = now + PROBE_AGAIN
            here = self._here()
            self._refresh.keep(here, now)
            self._unprobed |= here
            self._probe_at = now
        if now >= self._probe_at:
            asked = list(islice(self._unprobed, BURST))
            self._unprobed.difference_update(asked)
            self._probe_at = now + SPACING if self._unprobed else FOREVER
            for vip in asked:
                self._probe(vip)

    def ask_for(self, address: IPAddress, index: IfIndex) -> None:
        """Ask on an interface who has an address; an answer is heard as a claim."""
        self._ask(address, self._present.links.get(index))

    def ask_for_all(self, now: float) -> None:
        """Ask now whether another host has one of the VIPs that are here."""
        self._unprobed |= self._here()
        self._probe_at = now

    def is_foreign(self, index: IfIndex, mac: Mac) -> bool:
        """Whether a MAC that speaks on an interface is another host's."""
        return index in self._present.links and all(mac != own.mac for own in self._present.links.values())

    def is_of_interest(self, index: IfIndex, vip: IPAddress, mac: Mac, now: float) -> bool:
        """Whether a host that says on an interface to have ``vip`` is another one, and ``vip`` is here."""
        if not self._is_here(index, vip) and not self._detection.is_duplicate(vip, now):
            return False
        return self.is_foreign(index, mac)

    def found_first(self, vip: IPAddress, mac: Mac, now: float) -> bool:
        """A host says to have ``vip``: if it is IPv4, and that host had it first, it is left to it from now on.

        Whether that's news. It must be no node of ours, which may have it while nodes disagree: we know that where we
        hear all of them. Beside kube-proxy in mode ipvs nodes without an agent may answer for it too.
        """
        is_known = self._detection.is_duplicate(vip, now)
        if vip.version == 6 or not (is_known or self._detection.is_new(vip, now)):
            return False
        if not self._members.is_stranger(mac) or self._present.link_named(IPVS_INTERFACE) is not None:
            return False
        self._detection.failed(vip, now)
        return not is_known

    def ask_whether_free(self, vip: IPAddress, interface: str, now: float) -> None:
        """``vip`` can't be placed on an interface: if another host has it, ask whether it still does."""
        if vip.version == 4 and self._detection.is_duplicate(vip, now):
            self._ask(vip, self._present.link_named(interface))

    def claimed_unheard(self, vip: IPAddress) -> None:
        """Another host answered for ``vip``, which is here, while peers could not be heard."""
        self._claimed.add(vip)

    def is_claimed(self, vip: IPAddress) -> bool:
        """Whether that happened."""
        return vip in self._claimed

    def rival(self, index: IfIndex, vip: IPAddress, mac: Mac, now: float) -> Conflict | None:
        """Another host speaks as a VIP that is ours, and peers are known: what is to be told of it (RFC 5227 2.4)."""
        # Duplicate address detection has asked already, and the address may be gone by the time of a second question.
        is_sure = not self._is_here(index, vip) or self._detection.is_new(vip, now)
        node = self._members.node_with(mac)
        verdict = self._conflicts.heard(vip, mac, now, is_peer=node is not None, is_sure=is_sure)
        if verdict.defend and not self._detection.is_duplicate(vip, now):
            self.announce_again((vip,), now)
        if verdict.ask_again is not None:
            self._unprobed.add(vip)
            self._probe_at = min(self._probe_at, verdict.ask_again)
        if not verdict.report:
            return None
        interface = self._present.links[index].name
        about = {"vip": str(vip), "interface": interface, "mac": format_mac(mac), "node": node}
        log.warning("address conflict", extra=about)
        return Conflict(vip, interface, mac, node or "", is_heard=node in self._members.others)

    def withdrawn(self, vip: IPAddress) -> None:
        """A VIP is no longer here, as it should."""
        self._untold.discard(vip)
        self._conflicts.forget(vip)
        self._claimed.discard(vip)
        self._given_away.discard(vip)
        self._quiet_until.pop(vip, None)

    def forget(self, vip: IPAddress) -> None:
        """Nobody wants ``vip`` any more: if it is gone, somebody else took it away."""
        if not self._present.ours(vip):
            self._untold.discard(vip)

    def _probe(self, vip: IPAddress) -> None:
        for link in self._present.nics_with(vip):
            self._ask(vip, link)

    def _ask(self, address: IPAddress, link: Link | None) -> None:
        if link is not None and link.mac is not None:
            self._frames.append(Probe(address, link.name, link.mac))

    def _here(self) -> set[IPAddress]:
        """The VIPs on NICs of this node."""
        ours = {there.address for there in self._present.all_ours()}
        return {vip for vip in ours if self._present.nics_with(vip)}

    def _is_here(self, index: IfIndex, vip: IPAddress) -> bool:
        return any(there.index == index for there in self._present.ours(vip))
