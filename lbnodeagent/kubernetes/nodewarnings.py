"""What is wrong with this node's surroundings, told where its operator looks: events on its Node, log and metrics.

Level-triggered: it's given what is so now, says it when it changes, and again every now and then while it lasts: for
that it is to be asked to ``repeat``, as who gives it may do so only when it changes. It finds out nothing itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from lbnodeagent.tables import Conflict, KeepsFlows, Wiped
from lbnodeagent.wire.frames import format_mac
from purelb.addresses import listed
from purelb.checks import REASONS, Check, Finding
from purelb.events import EventRecorder, ObjectReference
from purelb.metrics import AgentMetrics

log = logging.getLogger(__name__)

AGAIN: Final = 600.0
"""Seconds after which what still is so is told again: the API server forgets events after an hour."""
_NAMED: Final = 8
"""Nodes, or addresses, that a sentence names."""
REMEMBERED: Final = {Check.ADDRESS_REMOVED: 3600.0, Check.STRANGER_ANSWERS: 300.0}
"""Seconds for which what just happened counts as so: a lease of DHCP ends once an hour, a stranger is told of again
each minute while he answers."""


class _Told(NamedTuple):
    found: tuple[Finding, ...]
    about: ObjectReference
    at: float

    @property
    def text(self) -> str:
        return "; ".join(f"{one.what}; {one.remedy}" if one.remedy else one.what for one in self.found)

    def says_the_same(self, other: _Told) -> bool:
        return (self.found, self.about) == (other.found, other.about)


class NodeWarnings:
    """Of the node ``node``, whose gossip is on ``port``. ``now`` is monotonic seconds."""

    def __init__(self, node: str, port: int, events: EventRecorder, metrics: AgentMetrics) -> None:
        self._node = node
        self._port = port
        self._events = events
        self._metrics = metrics
        self._told: dict[Check, _Told] = {}
        self._happened: dict[Check, tuple[Finding, float]] = {}
        """What is no state, and when it happened last."""
        # As kubelet's own events about a node: the name in the place of the uid, by which kubectl finds them.
        self._own = ObjectReference("v1", "Node", "", node, node)
        self.unheard: str | None = None
        """One sentence, while agents that run aren't heard."""
        for check in REASONS:
            metrics.findings.labels(check.value).set(0)

    def found(self, now: float) -> tuple[Finding, ...]:
        """All that is wrong around this node now."""
        for check, (_, at) in list(self._happened.items()):
            if now - at >= REMEMBERED[check]:
                del self._happened[check]
                self._metrics.findings.labels(check.value).set(0)
        happened = (finding for finding, _ in self._happened.values())
        return (*(one for told in self._told.values() for one in told.found), *happened)

    def looked(self, checks: Iterable[Check], findings: Sequence[Finding], now: float) -> None:
        """What a look at the node found, of these checks."""
        for check in checks:
            self._say(check, [one for one in findings if one.check is check], now)

    def agents_unheard(self, nodes: Sequence[str], now: float) -> None:
        """The agents of these nodes run and aren't heard."""
        self._metrics.unheard.set(len(nodes))
        found = []
        if nodes:
            whose = f"{'node' if len(nodes) == 1 else 'nodes'} {listed(nodes, _NAMED)}"
            what = (
                f"Node {self._node} does not hear the PureLB agents of {whose}, which run: until it does, an "
                "address may be on two nodes, or come late from one to the other"
            )
            remedy = (
                f"see that port {self._port}, UDP and TCP, is open between the nodes in both directions, and that all "
                "agents have the same gossip key"
            )
            found.append(Finding(Check.AGENTS_UNHEARD, what, remedy))
        self._say(Check.AGENTS_UNHEARD, found, now)
        told = self._told.get(Check.AGENTS_UNHEARD)
        self.unheard = told.text if told is not None else None

    def not_serving(self, trouble: str, now: float) -> None:
        """Why the node's data path doesn't work, as a clause about it; empty: it does."""
        self._metrics.serving.set(not trouble)
        found = []
        if trouble:
            what = f"Node {self._node} is given no load balancer addresses while another node can have them: {trouble}"
            remedy = "it gets them back by itself when that is over"
            found.append(Finding(Check.NOT_SERVING, what, remedy))
        self._say(Check.NOT_SERVING, found, now)

    def keeps_flows(self, keeps: KeepsFlows, now: float) -> None:
        """Whether connections outlive the moves of VIPs, where they should."""
        found = []
        if keeps.trouble:
            what = f"Connections don't outlive the moves of addresses from and to node {self._node}: {keeps.trouble}"
            found.append(Finding(Check.FLOWS_NOT_KEPT, what, keeps.remedy))
        self._say(Check.FLOWS_NOT_KEPT, found, now)

    def stray_answers(self, nics: Sequence[str], now: float) -> None:
        """These NICs answer for what kube-proxy in mode ipvs keeps on its own interface."""
        self._metrics.stray_answers.set(len(nics))
        found = []
        if nics:
            what = (
                f"kube-proxy on node {self._node} is in mode ipvs without strictARP: the node answers ARP on "
                f"{', '.join(nics)} for every address on kube-ipvs0, so that several nodes answer for one VIP"
            )
            remedy = (
                "set ipvs.strictARP: true in kube-proxy's configuration and restart it, or set "
                "net.ipv4.conf.all.arp_ignore=1 and arp_announce=2 on the node"
            )
            found.append(Finding(Check.STRICT_ARP, what, remedy))
        self._say(Check.STRICT_ARP, found, now)

    def without_subnet(self, addresses: Sequence[str], now: float) -> None:
        """The only addresses of a family on the NICs that take VIPs are of no subnet: ``eth0 10.0.0.5/32``."""
        found = []
        if addresses:
            what = (
                f"Node {self._node} is on no subnet with {listed(addresses, _NAMED)}: addresses of that family are "
                "not announced on this NIC, and routed ones are on the dummy interface"
            )
            remedy = "give the NIC an address with its subnet's prefix length, if neighbours there should be answered"
            found.append(Finding(Check.NO_SUBNET, what, remedy))
        self._say(Check.NO_SUBNET, found, now)

    def own_address_removed(self, wiped: Wiped, now: float) -> None:
        """Something on this node keeps removing the node's own address. That isn't a state: it's said as it comes."""
        what = (
            f"Something on node {self._node} removed {wiped.vip}, the node's own address, from interface "
            f"{wiped.interface} {wiped.times} times in a minute; until it is back each time, the load balancer "
            "addresses of its subnet are on other nodes, or on none"
        )
        text, reason = f"{what}: {wiped.advice}", REASONS[Check.ADDRESS_REMOVED]
        log.warning(text, extra={"reason": reason})
        self._events.record(self._own, "Warning", reason, text)
        self._happens(Finding(Check.ADDRESS_REMOVED, what, wiped.advice), now)

    def vip_removed(self, wiped: Wiped, now: float) -> None:
        """Something on this node keeps removing a VIP; its Services have an event of their own."""
        what = f"Something on node {self._node} keeps removing load balancer addresses from interface {wiped.interface}"
        self._happens(Finding(Check.ADDRESS_REMOVED, what, wiped.advice), now)

    def stranger_heard(self, conflict: Conflict, now: float) -> None:
        """Another host answers for a VIP that is here; its Services have an event of their own."""
        mac = format_mac(conflict.mac)
        if conflict.node:
            what = f"node {conflict.node} ({mac}) answers for {conflict.vip} too, which is on node {self._node}"
            remedy = f"kubectl describe node {conflict.node}, and its agent's log"
        else:
            what = f"another host ({mac}) answers for {conflict.vip}, which is on node {self._node}"
            remedy = f"find that host by its MAC, or take {conflict.vip} out of the pool"
        self._happens(Finding(Check.STRANGER_ANSWERS, what, remedy), now)

    def gossip_key(self, complaint: str, secret: ObjectReference | None, now: float) -> None:
        """What is wrong with the entries of the Secret with the gossip's keys, which may be gone; empty: nothing."""
        found = [Finding(Check.GOSSIP_KEY_INVALID, complaint, "")] if complaint else []
        self._say(Check.GOSSIP_KEY_INVALID, found, now, secret)

    def repeat(self, now: float) -> None:
        """Tell again what still is so."""
        for check, told in list(self._told.items()):
            self._say(check, told.found, now, told.about)

    def _happens(self, finding: Finding, now: float) -> None:
        self._happened[finding.check] = finding, now
        self._metrics.findings.labels(finding.check.value).set(1)

    def _say(self, check: Check, found: Sequence[Finding], now: float, about: ObjectReference | None = None) -> None:
        """Tell what was found if it's news; nothing: it's over."""
        before, reason = self._told.get(check), REASONS[check]
        self._metrics.findings.labels(check.value).set(len(found))
        if not found:
            if self._told.pop(check, None) is not None:
                log.info("no longer so", extra={"reason": reason})
            return
        told = _Told(tuple(found), about or self._own, now)
        if before is not None and before.says_the_same(told) and now - before.at < AGAIN:
            return
        self._told[check] = told
        if before is None or before.text != told.text:
            log.warning(told.text, extra={"reason": reason})
        self._events.record(told.about, "Warning", reason, told.text)
