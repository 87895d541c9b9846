"""What is wrong with this node's surroundings, told where its operator looks: events on its Node, log and metrics.

Level-triggered: it's given what is so now, says it when it changes, and again every now and then while it lasts: for
that it is to be asked to ``repeat``, as who gives it may do so only when it changes. It finds out nothing itself.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from lbnodeagent.tables import Wiped
from purelb import names
from purelb.addresses import listed
from purelb.events import EventRecorder, ObjectReference
from purelb.metrics import AgentMetrics

log = logging.getLogger(__name__)

AGAIN: Final = 600.0
"""Seconds after which what still is so is told again: the API server forgets events after an hour."""
_NAMED: Final = 8
"""Nodes, or addresses, that a sentence names."""


class _Told(NamedTuple):
    text: str
    about: ObjectReference
    at: float

    def says_the_same(self, other: _Told) -> bool:
        return (self.text, self.about) == (other.text, other.about)


class NodeWarnings:
    """Of the node ``node``, whose gossip is on ``port``. ``now`` is monotonic seconds."""

    def __init__(self, node: str, port: int, events: EventRecorder, metrics: AgentMetrics) -> None:
        self._node = node
        self._port = port
        self._events = events
        self._metrics = metrics
        self._told: dict[str, _Told] = {}
        # As kubelet's own events about a node: the name in the place of the uid, by which kubectl finds them.
        self._own = ObjectReference("v1", "Node", "", node, node)
        self.unheard: str | None = None
        """One sentence, while agents that run aren't heard."""

    def agents_unheard(self, nodes: Sequence[str], now: float) -> None:
        """The agents of these nodes run and aren't heard."""
        self._metrics.unheard.set(len(nodes))
        text = ""
        if nodes:
            whose = f"{'node' if len(nodes) == 1 else 'nodes'} {listed(nodes, _NAMED)}"
            text = (
                f"Node {self._node} does not hear the PureLB agents of {whose}, which run: until it does, an "
                "address may be on two nodes, or come late from one to the other; see that port "
                f"{self._port}, UDP and TCP, is open between the nodes in both directions, and that all agents have "
                "the same gossip key"
            )
        self.unheard = text or None
        self._say(names.REASON_AGENTS_UNHEARD, text, now)

    def not_serving(self, trouble: str, now: float) -> None:
        """Why the node's data path doesn't work, as a clause about it; empty: it does."""
        self._metrics.serving.set(not trouble)
        text = ""
        if trouble:
            text = (
                f"Node {self._node} is given no load balancer addresses while another node can have them: {trouble}; "
                "it gets them back by itself when that is over"
            )
        self._say(names.REASON_NOT_SERVING, text, now)

    def stray_answers(self, nics: Sequence[str], now: float) -> None:
        """These NICs answer for what kube-proxy in mode ipvs keeps on its own interface."""
        self._metrics.stray_answers.set(len(nics))
        text = ""
        if nics:
            text = (
                f"kube-proxy on node {self._node} is in mode ipvs without strictARP: the node answers ARP on "
                f"{', '.join(nics)} for every address on kube-ipvs0, so that several nodes answer for one VIP; set "
                "ipvs.strictARP: true in kube-proxy's configuration and restart it, or set "
                "net.ipv4.conf.all.arp_ignore=1 and arp_announce=2 on the node"
            )
        self._say(names.REASON_STRICT_ARP_OFF, text, now)

    def without_subnet(self, addresses: Sequence[str], now: float) -> None:
        """The only addresses of a family on the NICs that take VIPs are of no subnet: ``eth0 10.0.0.5/32``."""
        text = ""
        if addresses:
            text = (
                f"Node {self._node} is on no subnet with {listed(addresses, _NAMED)}: addresses of that family are "
                "not announced on this NIC, and routed ones are on the dummy interface; give the NIC an address with "
                "its subnet's prefix length, if neighbours there should be answered"
            )
        self._say(names.REASON_NO_SUBNET, text, now)

    def own_address_removed(self, wiped: Wiped) -> None:
        """Something on this node keeps removing the node's own address. That isn't a state: it's said as it comes."""
        text = (
            f"Something on node {self._node} removed {wiped.vip}, the node's own address, from interface "
            f"{wiped.interface} {wiped.times} times in a minute; until it is back each time, the load balancer "
            f"addresses of its subnet are on other nodes, or on none: {wiped.advice}"
        )
        log.warning(text, extra={"reason": names.REASON_ADDRESS_REMOVED})
        self._events.record(self._own, "Warning", names.REASON_ADDRESS_REMOVED, text)

    def gossip_key(self, complaint: str, secret: ObjectReference | None, now: float) -> None:
        """What is wrong with the entries of the Secret with the gossip's keys, which may be gone; empty: nothing."""
        self._say(names.REASON_GOSSIP_KEY_INVALID, complaint, now, secret)

    def repeat(self, now: float) -> None:
        """Tell again what still is so."""
        for reason, told in list(self._told.items()):
            self._say(reason, told.text, now, told.about)

    def _say(self, reason: str, text: str, now: float, about: ObjectReference | None = None) -> None:
        """Tell ``text`` if it's news; empty: it's over."""
        before = self._told.get(reason)
        if not text:
            if self._told.pop(reason, None) is not None:
                log.info("no longer so", extra={"reason": reason})
            return
        told = _Told(text, about or self._own, now)
        if before is not None and before.says_the_same(told) and now - before.at < AGAIN:
            return
        self._told[reason] = told
        if before is None or before.text != text:
            log.warning(text, extra={"reason": reason})
        self._events.record(told.about, "Warning", reason, text)
