"""Says on the wire what is to be said: values to frames, frames to the socket. It decides nothing."""

from __future__ import annotations

import logging
from ipaddress import IPv6Address
from typing import assert_never

from lbnodeagent.wire.frames import arp_probe, gratuitous_arp, neighbour_probe, unsolicited_advertisement
from lbnodeagent.wire.garp import Announce
from lbnodeagent.wire.neighbours import Probe, WireOutput
from lbnodeagent.wire.rawsocket import FrameSender
from purelb.metrics import AgentMetrics

log = logging.getLogger(__name__)


class Sending:
    """Gratuitous ARP (both forms), unsolicited neighbour advertisements, and probes; counts what was sent."""

    def __init__(self, sender: FrameSender, metrics: AgentMetrics) -> None:
        self._sender = sender
        self._metrics = metrics

    def send(self, output: WireOutput) -> None:
        """Best effort: what the kernel doesn't take is logged."""
        match output:
            case Announce():
                self._announce(output)
            case Probe():
                self._probe(output)
            case _:
                assert_never(output)

    def _announce(self, announce: Announce) -> None:
        vip, mac = announce.vip, announce.mac
        is_ipv6 = isinstance(vip, IPv6Address)
        sent = self._metrics.na_sent if is_ipv6 else self._metrics.garp_sent
        failed = self._metrics.na_errors if is_ipv6 else self._metrics.garp_errors
        frames = (unsolicited_advertisement(vip, mac),) if isinstance(vip, IPv6Address) else gratuitous_arp(vip, mac)
        try:
            for frame in frames:
                self._sender.send(announce.interface, frame)
                sent.inc()
        except OSError as error:
            failed.inc()
            about = {"vip": str(vip), "interface": announce.interface, "error": str(error)}
            log.warning("neighbours not told", extra=about)

    def _probe(self, probe: Probe) -> None:
        vip = probe.vip
        frame = neighbour_probe(vip, probe.mac) if isinstance(vip, IPv6Address) else arp_probe(vip, probe.mac)
        try:
            self._sender.send(probe.interface, frame)
        except OSError as error:
            log.debug("not probed", extra={"vip": str(vip), "interface": probe.interface, "error": str(error)})
