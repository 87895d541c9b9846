"""What must hold: at each moment, during planned moves, and once all has been quiet for a while.

Of what no agent does (docs/invariants.md) each rule is among them, by its name (bench/constitution.py). They say by the
specification who may have what; of the agents they ask nothing but whether they know what is wanted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from bench.constitution import Law, Placed, Seen, breaches
from lbnodeagent.election.negotiation import Send
from lbnodeagent.gate.looks import Look
from lbnodeagent.tables import FOREVER, Action, Announcement, Conflict, Place
from lbnodeagent.wire.conflicts import HOSTS
from purelb import names
from purelb.addresses import IPAddress
from purelb.election import digest
from purelb.names import DEFAULT_INTERFACE
from purelb.services import ServiceView
from tests.lbnodeagent.stage.api import Api
from tests.lbnodeagent.stage.kernel import FakeKernel
from tests.lbnodeagent.stage.machine import Node
from tests.lbnodeagent.stage.topology import Nic, segment_of, subnet_of
from tests.lbnodeagent.stage.wire import Wire

NEW = 7.0
"""Seconds for which an agent counts as one that has just started."""
OLD = 25.0
"""Seconds after which whatever an agent has on its NICs was placed or renewed by itself."""
MOST_TOLD = 3 * HOSTS
"""Hosts that are told of one VIP, in three minutes."""


@dataclass(slots=True)
class Laws:
    """``broken`` has a sentence for each that was broken."""

    nodes: Mapping[str, Node]
    api: Api
    wire: Wire
    proxies: Mapping[str, Look]
    """What is found at each node's kube-proxy."""
    hushed: Set[tuple[str, str]] = frozenset()
    """From whom to whom no gossip gets: then it isn't said who has a VIP, but that one has."""
    is_planned: bool = False
    """Whether all that happens is a planned move, on wires that lose nothing: then more laws hold."""
    broken: list[str] = field(default_factory=list)
    guarded_from: float = float("inf")
    """When the cluster had come up, so that the laws of planned moves hold from then on."""
    guarded: set[IPAddress] = field(default_factory=set)
    """VIPs that somebody must have at each moment from now on."""
    _given: set[IPAddress] = field(default_factory=set)
    """What Services ever had."""

    def guard(self, vips: Iterable[IPAddress], now: float) -> None:
        """From now on somebody must have each of these at each moment, if it can be on any node."""
        if self.is_planned:
            self.guarded_from = now
            self.guarded = {vip for vip in vips if self.holders(vip) and self._is_anywhere(vip)}

    def _is_anywhere(self, vip: IPAddress) -> bool:
        segment = segment_of(vip)
        return segment is None or all(
            any(nic.segment == segment for nic in node.kernel.nics) for node in self.nodes.values()
        )

    # --- at each moment ----------------------------------------------------------------------------------------------

    def look(self, node: Node, now: float) -> None:
        """A kernel has changed."""
        self._given |= self.api.wanted.keys()
        at_once = self._seen([node], removed=node.kernel.violations)
        self.broken += (f"{now:.3f}: {one}" for one in _told(breaches(at_once), but="shadows-subnet"))
        node.kernel.violations.clear()
        if node.kernel.expired and self._is_well(node, now):
            self.broken += (f"{now:.3f} {node.name}: nobody renewed {vip}" for vip in node.kernel.expired)
        node.kernel.expired.clear()
        for vip in list(self.guarded):
            holders = self.holders(vip)
            believed = self.wire.believed.get(vip)
            if not holders:
                self.broken.append(f"{now:.3f}: nobody has {vip}")
            elif segment_of(vip) is not None and believed is not None and believed[0] not in holders:
                self.broken.append(f"{now:.3f}: {vip} is on {sorted(holders)}, its neighbours believe {believed[0]}")
            else:
                continue
            self.guarded.discard(vip)

    def _is_well(self, node: Node, now: float) -> bool:
        """Whether an agent that nothing keeps from its work has been there for long."""
        agent = node.agent
        if agent is None or not node.is_told or agent.is_frozen or node.kernel.refused:
            return False
        return now - max(agent.began_at, agent.thawed_at) > OLD

    def executed(self, node: Node, actions: Sequence[Action], now: float) -> None:
        """An agent had its kernel do this."""
        agent = node.agent
        if agent is None or agent.began_at < self.guarded_from or now - agent.began_at > NEW:
            return
        for action in actions:
            if not isinstance(action, Place) or action.is_renewal or not action.spot.is_local:
                continue
            for name, other in self.nodes.items():
                is_there = other.agent is not None and not other.is_stopping and other.kernel.has(action.vip)
                ranks_before = self._place(name, action.vip) < self._place(node.name, action.vip)
                is_spared = self._rank(name, self.nodes) > 0
                groups = self.api.told.groups.values()
                is_anywhere = self.api.wanted[action.vip].external_traffic_policy != "Local"
                is_anywhere &= not any(one.announcers for one in groups if one.pool_of(action.vip))
                if name != node.name and is_there and ranks_before and not is_spared and is_anywhere:
                    self.broken.append(f"{now:.3f}: {node.name} starts, and takes {action.vip} from {name}")

    def sent(self, node: Node, send: Send, now: float) -> None:
        """An agent tells another one something."""
        for vip in send.message.vips:
            believed = self.wire.believed.get(vip)
            if self.is_planned and send.message.kind == "have" and (believed is None or believed[0] != node.name):
                self.broken.append(f"{now:.3f}: {node.name} says to {send.to} that it has {vip}, not to its neighbours")

    def holders(self, vip: IPAddress) -> set[str]:
        """The nodes that answer for a VIP, or route it."""
        return {name for name, node in self.nodes.items() if node.holds(vip)}

    # --- at rest -----------------------------------------------------------------------------------------------------

    def at_rest(self) -> list[str]:
        """Which laws are broken now that all should be quiet."""
        broken = list(self.broken)
        for vip, service in self.api.wanted.items():
            broken += self._placement(vip, service) if self._is_on_a_wire(vip) else self._routes(vip, service)
        if self.api.is_there:
            broken += self._leftovers()
        broken += self._untold_strangers()
        broken += self._told_too_often()
        self._given |= self.api.wanted.keys()
        return broken + _told(breaches(self._seen(self.nodes.values(), unsaid=self._unsaid())))

    # --- what no agent does ------------------------------------------------------------------------------------------

    def _seen(self, nodes: Iterable[Node], *, removed: Sequence[str] = (), unsaid: Sequence[str] = ()) -> Seen:
        """What these nodes have, and what is known of the cluster."""
        kernels = {node.name: node.kernel for node in nodes}
        return Seen(
            placed=[
                Placed(name, kernel.links[one.index].name, one.address, one.prefix_length)
                for name, kernel in kernels.items()
                for one in kernel.addresses.values()
                if one.is_ours
            ],
            hosts={one.ip: name for name, node in self.nodes.items() for nic in node.kernel.nics for one in nic.own},
            given=self._given,
            nics={
                name: [
                    (kernel.links[one.index].name, one.network)
                    for one in kernel.addresses.values()
                    if not one.is_ours and kernel.links[one.index].has_neighbours
                ]
                for name, kernel in kernels.items()
            },
            removed=removed,
            unsaid=unsaid,
        )

    def _unsaid(self) -> list[str]:
        """The VIPs that no node has, of which no agent that knows what is wanted says why."""
        agents = [node.agent for node in self.nodes.values() if node.agent is not None and node.is_told]
        said = {
            report.vip
            for agent in agents
            for report in agent.reports
            if isinstance(report, Announcement) and report.state == "failed"
        }
        nowhere = [vip for vip in self.api.wanted if not self.holders(vip)]
        return [str(vip) for vip in nowhere if agents and vip not in said]

    def _is_on_a_wire(self, vip: IPAddress) -> bool:
        """Whether a node is on its subnet, by a NIC that is chosen or might be chosen again."""
        return any(nic.segment == segment_of(vip) for node in self.nodes.values() for nic in node.kernel.nics)

    def _placement(self, vip: IPAddress, service: ServiceView) -> list[str]:
        if vip in self.wire.strangers and (vip.version == 6 or not self.holders(vip)):
            return []  # it is left to the stranger, if that was first; and if nobody has it, that must be said
        broken = []
        for part in self._partitions():
            able = {name for name in part if self._nic_for(vip, self.nodes[name]) is not None}
            right = self._owner(vip, service, able, part)
            there = {name for name in part if self.nodes[name].is_powered and self.nodes[name].kernel.has(vip)}
            there = {name for name in there if not self._is_left_for_good(vip, self.nodes[name])}
            if right is not None and self.hushed and len(there) == 1:
                continue
            if right is not None and there != {right}:
                broken.append(f"{vip} is on {sorted(there)}, not on {right} alone, of {sorted(part)}")
            elif right is None and any(self.nodes[name].is_told for name in there):
                broken.append(f"{vip} is on {sorted(there)}, where it may not be")
            routed = [name for name in part if self.nodes[name].is_told and self.nodes[name].kernel.has_routed(vip)]
            if able and routed:
                broken.append(f"{vip} is routed by {sorted(routed)} too")
        return broken

    def _is_left_for_good(self, vip: IPAddress, node: Node) -> bool:
        """Whether its agent died, and the operator wants addresses without an end (validLifetime: 0)."""
        addresses = node.kernel.addresses.values()
        return node.agent is None and any(one.address == vip and one.expires == FOREVER for one in addresses)

    def _owner(self, vip: IPAddress, service: ServiceView, able: set[str], part: set[str]) -> str | None:
        """Who is to have a VIP on its NIC: the first of the best."""
        endpoints = self._endpoints(vip)
        if service.external_traffic_policy == "Local":
            able = able & endpoints
        chosen = next((one.announcers for one in self.api.told.groups.values() if one.pool_of(vip)), None)
        able = self._best(able if chosen is None else able & chosen, part)
        if names.NODE_AFFINITY in service.annotations:
            able = able & endpoints or able
        return min(able, key=lambda name: self._place(name, vip), default=None)

    def _place(self, name: str, vip: IPAddress) -> tuple[int, bytes]:
        """Among nodes that are as good as each other: the plan's order, then the digest."""
        plan = self.api.told.planned(vip)
        return plan.index(name) if name in plan else len(plan), digest(name, vip)

    def _best(self, able: set[str], part: Iterable[str]) -> set[str]:
        """Those that serve; if none does the excluded ones, and so on."""
        ranks = {name: self._rank(name, part) for name in able}
        return {name for name, rank in ranks.items() if rank == min(ranks.values(), default=0)}

    def _rank(self, name: str, part: Iterable[str]) -> int:
        """Of a node among those that it hears: 1 if it is excluded, and 2 if it doesn't serve."""
        node, look = self.api.told.nodes[name], self.proxies[name]
        others = (other for other in part if other != name and self.nodes[other].is_told)
        is_missed = look is Look.REFUSED and any(self.proxies[other] is Look.ANSWERS for other in others)
        is_failing = node.failure is not None or is_missed or look in (Look.SAYS_NO, Look.SILENT)
        return node.is_excluded + 2 * is_failing

    def _endpoints(self, vip: IPAddress) -> frozenset[str]:
        """The nodes to which the traffic of a Service may go."""
        services = {one.key for one in self.api.told.services.values() if vip in one.ingress}
        nodes = next((one.nodes for one in self.api.told.slices.values() if one.service in services), None)
        return frozenset() if nodes is None else nodes.ready or nodes.draining

    def _routes(self, vip: IPAddress, service: ServiceView) -> list[str]:
        broken = []
        for part in self._partitions():
            told = {name for name in part if self.nodes[name].is_told}
            able = {name for name in told if self.api.told.config_of(name).announces}
            if service.external_traffic_policy == "Local":
                able &= self._endpoints(vip)
            right = self._best(able, part)
            there = {name for name in told if self.nodes[name].kernel.has_routed(vip)}
            if there != right and not (self.hushed and there):
                broken.append(f"{vip} is routed by {sorted(there)}, not by {sorted(right)}")
            networks = {
                one.network
                for name in there
                for one in self.nodes[name].kernel.addresses.values()
                if one.address == vip
            }
            expected = {pool.prefix_length for one in self.api.told.groups.values() if (pool := one.pool_of(vip))}
            if {network.prefixlen for network in networks} - expected:
                broken.append(f"{vip} is routed as {sorted(map(str, networks))}")
        return broken

    def _nic_for(self, vip: IPAddress, node: Node) -> Nic | None:
        """The NIC on which a node can have a VIP."""
        if not node.is_told:
            return None
        config, kernel, subnet = self.api.told.config_of(node.name), node.kernel, subnet_of(vip)
        if not config.announces or subnet is None:
            return None
        chosen = _chosen(kernel, vip, config.local_interface)
        return next((nic for nic in chosen if kernel.is_live(nic.index) and kernel.is_on(nic.index, subnet)), None)

    def _leftovers(self) -> Iterable[str]:
        wanted = self.api.wanted
        for node in self.nodes.values():
            for there in node.kernel.addresses.values():
                if there.is_ours and there.address not in wanted and node.is_told:
                    yield f"{node.name} has {there.address}, which nobody wants"

    def _untold_strangers(self) -> Iterable[str]:
        """An IPv4 address that a stranger has too is ours all the same, and is told of."""
        for vip in self.wire.strangers:
            for name in sorted(self.holders(vip)):
                node = self.nodes[name]
                conflicts = [
                    one
                    for one in (node.agent.reports if node.agent is not None else ())
                    if isinstance(one, Conflict) and one.vip == vip
                ]
                if vip.version == 4 and node.is_told and not conflicts and self.wire.has_stranger(name, vip):
                    yield f"{name} says nothing of the stranger that has {vip}"

    def _told_too_often(self) -> Iterable[str]:
        """Whatever claims our addresses, what an agent tells of it is bounded; a history takes minutes at most."""
        for name, node in self.nodes.items():
            reports = node.agent.reports if node.agent is not None else ()
            told = Counter(one.vip for one in reports if isinstance(one, Conflict))
            yield from (f"{name} told {count} times of {vip}" for vip, count in told.items() if count > MOST_TOLD)

    def _partitions(self) -> list[set[str]]:
        """The nodes by whom they reach."""
        parts: list[set[str]] = []
        for name in self.nodes:
            part = next((part for part in parts if all(self.wire.connects(name, other) for other in part)), None)
            if part is None:
                parts.append({name})
            else:
                part.add(name)
        return parts


def _told(found: Mapping[Law, Sequence[str]], *, but: Law | None = None) -> list[str]:
    """A sentence for each breach; ``but``: that law holds at rest only."""
    return [f"{law}: {text}" for law, texts in found.items() if law != but for text in texts]


def _chosen(kernel: FakeKernel, vip: IPAddress, local_interface: str) -> Sequence[Nic]:
    """The NICs that take VIPs: by their names, or eth0, while it has a default route."""
    if local_interface != DEFAULT_INTERFACE:
        return [nic for nic in kernel.nics if re.search(local_interface, nic.name)]
    families = {route.family.bits for route in kernel.default_routes()}
    return kernel.nics[:1] if vip.max_prefixlen in families else ()
