"""Tells the neighbours of a NIC where a VIP is: at once when it is placed, then again per garpConfig.

Owns the repeats. It asks nobody but ``is_here`` whether a VIP is still here.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from lbnodeagent.tables import Mac
from lbnodeagent.wire.frames import arp_probe, gratuitous_arp, neighbour_probe, unsolicited_advertisement
from lbnodeagent.wire.rawsocket import FrameSender
from purelb.addresses import IPAddress
from purelb.metrics import AgentMetrics
from purelb.nodeagents import GarpConfig

log = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Repeat:
    at: float
    number: int
    vip: IPAddress = field(compare=False)
    interface: str = field(compare=False)
    mac: Mac = field(compare=False)


class Garp:
    """Sends gratuitous ARP (both forms) and unsolicited neighbour advertisements. ``now`` is monotonic seconds."""

    def __init__(self, sender: FrameSender, metrics: AgentMetrics, is_here: Callable[[IPAddress, str], bool]) -> None:
        self._sender = sender
        self._metrics = metrics
        self._is_here = is_here
        self._repeats: list[_Repeat] = []
        self._number = 0

    @property
    def deadline(self) -> float | None:
        """When the next repeat is due; None: none is."""
        return self._repeats[0].at if self._repeats else None

    def announce(self, vip: IPAddress, interface: str, mac: Mac, config: GarpConfig, now: float) -> None:
        """Tell it now, and ``count`` times more from ``initialDelay`` on."""
        if not config.enabled:
            return
        self._send(vip, interface, mac)
        for round_ in range(config.count):
            self._number += 1
            at = now + config.initial_delay + round_ * config.interval
            heapq.heappush(self._repeats, _Repeat(at, self._number, vip, interface, mac))

    def run_due(self, now: float, *, verify: bool) -> None:
        """Send the repeats whose time has come; with ``verify`` only of VIPs that are still here."""
        while self._repeats and self._repeats[0].at <= now:
            repeat = heapq.heappop(self._repeats)
            if not verify or self._is_here(repeat.vip, repeat.interface):
                self._send(repeat.vip, repeat.interface, repeat.mac)

    def probe(self, vip: IPAddress, interface: str, mac: Mac) -> None:
        """Ask whether another host has the VIP too; who answers is heard by the listener."""
        frame = neighbour_probe(vip, mac) if isinstance(vip, IPv6Address) else arp_probe(vip, mac)
        try:
            self._sender.send(interface, frame)
        except OSError as error:
            log.debug("not probed", extra={"vip": str(vip), "interface": interface, "error": str(error)})

    def _send(self, vip: IPAddress, interface: str, mac: Mac) -> None:
        is_ipv6 = isinstance(vip, IPv6Address)
        sent = self._metrics.na_sent if is_ipv6 else self._metrics.garp_sent
        failed = self._metrics.na_errors if is_ipv6 else self._metrics.garp_errors
        frames = (unsolicited_advertisement(vip, mac),) if isinstance(vip, IPv6Address) else gratuitous_arp(vip, mac)
        try:
            for frame in frames:
                self._sender.send(interface, frame)
                sent.inc()
        except OSError as error:
            failed.inc()
            log.warning("neighbours not told", extra={"vip": str(vip), "interface": interface, "error": str(error)})
