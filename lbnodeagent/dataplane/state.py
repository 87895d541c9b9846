"""All that one node's data plane knows: its parts, joined once, and what is to be looked at. Pure; it decides nothing.

``core`` changes it by what happens, ``turn`` goes by it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

from lbnodeagent.dataplane.claims import Claims
from lbnodeagent.dataplane.decisions import Decisions
from lbnodeagent.dataplane.invariants import Facts
from lbnodeagent.dataplane.landmarks import Landmarks
from lbnodeagent.dataplane.linger import Linger
from lbnodeagent.dataplane.nowhere import Cluster, Nowhere, why_nowhere
from lbnodeagent.dataplane.obstacles import Obstacles
from lbnodeagent.dataplane.refusals import Refusals
from lbnodeagent.dataplane.rollcall import RollCall
from lbnodeagent.dataplane.routergate import RouterGate
from lbnodeagent.dataplane.situation import LinkSituation, Situation, VipSituation
from lbnodeagent.dataplane.status import Statuses
from lbnodeagent.dataplane.sweeps import Sweeps
from lbnodeagent.dataplane.takeovers import Cause, Takeovers
from lbnodeagent.dataplane.wanted import WantedVips
from lbnodeagent.dataplane.witnesses import Witnesses
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.election.negotiation import Negotiation
from lbnodeagent.election.subnets import Subnets
from lbnodeagent.flows.engine import Flows
from lbnodeagent.flows.tables import OwnSubnet, Stand
from lbnodeagent.gate.failures import Failure
from lbnodeagent.gate.gate import Gate
from lbnodeagent.gossip.members import Members
from lbnodeagent.kernel.adoption import Adoption
from lbnodeagent.kernel.connected import ConnectedSubnets
from lbnodeagent.kernel.interfaces import IPVS_INTERFACE, NicSubnet, subnet_for
from lbnodeagent.kernel.present import Present
from lbnodeagent.kernel.removals import Removals
from lbnodeagent.kernel.requested import Requested
from lbnodeagent.kernel.routes import Routes
from lbnodeagent.tables import DUMMY_ALIAS, FOREVER, IfIndex, PresentAddress
from lbnodeagent.wire.conflicts import Conflicts
from lbnodeagent.wire.dad import DuplicateDetection
from lbnodeagent.wire.neighbours import Neighbours
from purelb.addresses import IPAddress, IPNetwork
from purelb.nodeagents import NodeAgentConfig
from purelb.version import Version

OUTLIVE: Final = 3.0
"""Seconds by which VIPs outlive the time in which their agent comes back: who takes them then is there before."""


class Timed(Protocol):
    """What may have something to do by itself."""

    @property
    def deadline(self) -> float | None:
        """When; None: not by itself."""


class State:
    """Of the node ``node``."""

    def __init__(self, node: str, version: Version, *, asks_first: bool = True) -> None:
        self.node = node
        self.config = NodeAgentConfig()
        self.is_configured = False
        self.present = Present()
        self.adoption = Adoption(self.present)
        self.members = Members(node)
        self.candidacy = Candidacy(node, self.members, version)
        self.landmarks = Landmarks(self.present, self.members)
        self.subnets = Subnets(self.present, self.candidacy)
        self.detection = DuplicateDetection(of_ipv4=asks_first)
        self.neighbours = Neighbours(self.present, self.members, Conflicts(), self.detection)
        self.negotiation = Negotiation(self.members, self.candidacy, self.present, self.neighbours, self.detection)
        self.witnesses = Witnesses(self.members, self.candidacy, self.present, self.subnets, self.neighbours)
        self.claims = Claims(self.candidacy, self.witnesses, self.negotiation, self.neighbours)
        self.wanted = WantedVips(self.candidacy, self.detection)
        self.requested = Requested(self.present)
        self.routes = Routes(self.present)
        self.removals = Removals()
        self.own_removals = Removals()
        """Of the node's own addresses."""
        self.statuses = Statuses(self.present, self.candidacy)
        self.refusals = Refusals()
        self.decisions = Decisions()
        self.connected = ConnectedSubnets()
        self.sweeps = Sweeps()
        self.takeovers = Takeovers()
        self.linger = Linger()
        self.nowhere = Nowhere()
        self.rollcall = RollCall(self.members, self.candidacy, self.wanted, self.nowhere)
        self.flows = Flows(self.members)
        self.router = RouterGate()
        self.gate = Gate()
        self.are_links_dirty = True
        self.are_routes_dirty = True
        self._dirty: dict[IPAddress, None] = {}

    @property
    def timed(self) -> tuple[Timed, ...]:
        """The parts that may have something to do by themselves, but for those that always have."""
        return (
            self.negotiation,
            self.witnesses,
            self.statuses,
            self.linger,
            self.nowhere,
            self.candidacy,
            self.gate,
            self.rollcall,
            self.flows,
        )

    @property
    def deadline(self) -> float:
        """When the first of the parts has something to do by itself."""
        timers = (timer for part in self.timed if (timer := part.deadline) is not None)
        return min(self.sweeps.deadline, self.neighbours.deadline, self.router.deadline, *timers)

    # --- what is to be looked at -------------------------------------------------------------------------------------

    @property
    def has_dirty_vips(self) -> bool:
        """Whether a VIP is to be looked at."""
        return bool(self._dirty)

    @property
    def is_turn_due(self) -> bool:
        """Whether there is something for a turn to do."""
        return bool(self._dirty) or (self.are_links_dirty and self.is_configured) or self.can_renew_routes

    @property
    def can_renew_routes(self) -> bool:
        """Whether the routes of aggregates are to be looked at, and may be."""
        return self.are_routes_dirty and self.candidacy.is_synced and not self.candidacy.is_leaving

    def mark(self, vips: Iterable[IPAddress]) -> None:
        """Look at these VIPs in the next pass."""
        self._dirty.update(dict.fromkeys(vips))

    def mark_all(self) -> None:
        """Look at every VIP that is wanted or here."""
        self.mark(self.wanted)
        self.mark([there.address for there in self.present.all_ours()])

    def note_won(self, vips: Iterable[IPAddress], cause: Cause, since: float) -> None:
        """Of these VIPs, which may have come to this node, those that aren't here are taken over."""
        self.takeovers.won(
            (vip for vip in vips if self.candidacy.is_owner(vip) and not self.present.nics_with(vip)), cause, since
        )

    def note_placed(self, vips: Iterable[IPAddress], now: float) -> None:
        """These VIPs were looked at: what was taken over may answer from here now."""
        if not self.takeovers:
            return
        for vip in vips:
            is_ours, is_here = self.candidacy.is_owner(vip), bool(self.present.nics_with(vip))
            self.takeovers.look(vip, now, is_ours=is_ours, is_here=is_here)

    def mark_hosts(self) -> None:
        """Look at the VIPs that became a node's address, or ceased to be."""
        self.mark(vip for vip in self.members.take_news() if vip in self.wanted)

    def removed_from(self, index: IfIndex) -> None:
        """An interface lost a VIP: one of ours that nobody needs any more may go."""
        link = self.present.links.get(index)
        if link is not None and link.alias == DUMMY_ALIAS and link.name != self.config.dummy_interface:
            self.are_links_dirty = True

    def take_batch(self, size: int) -> list[IPAddress]:
        """The next VIPs to look at."""
        batch = list(islice(self._dirty, size))
        for vip in batch:
            del self._dirty[vip]
        return batch

    @property
    def stays_for(self) -> float:
        """Seconds for which VIPs stay when this agent ends, for the next one to adopt: until after their heirs came."""
        within = self.candidacy.returns_within
        return within + OUTLIVE if within else 0.0

    def is_set_up_to_stay(self, now: float) -> bool:
        """Whether what is on NICs here is this node's own, and lives until the next agent is there, and no longer."""
        if self._dirty or not self.flows.is_settled():
            return False
        nics = {index for index, link in self.present.links.items() if link.has_neighbours}
        on_nics = (there for there in self.present.all_ours() if there.index in nics)
        return all(
            self.candidacy.is_owner(there.address) and now + self.candidacy.returns_within < there.expires < FOREVER
            for there in on_nics
        )

    def has_withdrawn(self) -> bool:
        """Whether nothing is left here that may not outlive this agent."""
        is_gone = not self._dirty and all(self._may_stay(there) for there in self.present.all_ours())
        return is_gone and self.flows.is_settled()

    def _may_stay(self, there: PresentAddress) -> bool:
        """A routed VIP that has a lifetime may."""
        link = self.present.links.get(there.index)
        return link is not None and not link.has_neighbours and there.expires != FOREVER

    # --- of all VIPs -------------------------------------------------------------------------------------------------

    def circumstances(self) -> tuple[frozenset[IPNetwork], frozenset[str], Failure | None]:
        """What else decides of VIPs: where nodes are, who can stand in for this one, and whether it serves well."""
        return self.members.onlink(), self.candidacy.better, self.candidacy.failing

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def is_going(self, vip: IPAddress, *, is_spared: bool) -> bool:
        """Whether this node has a routed VIP that is for others to route: only they have endpoints, or it is spared."""
        wanted = self.wanted.table.get(vip)
        endpoints = wanted.endpoints if wanted is not None else None
        is_for_others = is_spared or (bool(endpoints) and self.node not in (endpoints or ()))
        return is_for_others and bool(self.present.ours(vip))

    def is_spared(self, vip: IPAddress) -> bool:
        """Whether others can route ``vip`` that serve better than this node: without them it costs no VIP not to."""
        wanted = self.wanted.table.get(vip)
        if wanted is None:
            return False
        others = self.candidacy.better
        return bool(others if wanted.endpoints is None else others & wanted.endpoints)

    def why_nowhere(self, vips: Iterable[IPAddress]) -> dict[IPAddress, str]:
        """Why no node has these VIPs, those that are wanted, if this node is the one that tells."""
        candidacy = self.candidacy
        if candidacy.is_leaving or not self.is_configured or not candidacy.is_spokesman:
            return {}
        members = self.members
        obstacles = Obstacles({**members.others, members.node: members.own}, members.lost)
        cluster = Cluster(candidacy.able, members.onlink(), obstacles)
        wanted = (self.wanted.table[vip] for vip in vips if vip in self.wanted)
        why = {one.address: why_nowhere(one, candidacy.owner(one.address), cluster) for one in wanted}
        return {vip: reason for vip, reason in why.items() if reason is not None}

    def situation(
        self, vips: Sequence[IPAddress], now: float, *, spared: Container[IPAddress], nowhere: Mapping[IPAddress, str]
    ) -> Situation:
        """What a pass over these VIPs goes by; of which these are ``spared``, and ``nowhere``."""
        present, candidacy = self.present, self.candidacy
        its = {
            vip: VipSituation(
                wanted=self.wanted.table.get(vip),
                there=tuple(present.at(vip)),
                owner=candidacy.owner(vip),
                is_held=self.negotiation.holds(vip),
                is_claimed=self.neighbours.is_claimed(vip),
                is_new=self.detection.is_new(vip, now),
                is_duplicate=self.detection.is_duplicate(vip, now),
                is_spared=vip in spared,
                is_unjudged=not (candidacy.hears_peers or candidacy.is_leaving)
                and vip in self.wanted
                and bool(present.nics_with(vip)),
                nowhere=nowhere.get(vip) if self.nowhere.has_lasted(vip) else None,
                lingers=not candidacy.is_synced or self.linger.lingers(vip, now),
            )
            for vip in vips
        }
        indexes = {there.index for one in its.values() for there in one.there if there.is_ours}
        return Situation(
            node=self.node,
            config=self.config,
            now=now,
            vips=its,
            links=dict(present.links),
            subnets=self.subnets.here,
            foreign={index: tuple(present.foreign(index)) for index in indexes},
            onlink=self.members.onlink(),
            leaving=candidacy.is_leaving,
            stays_for=self.stays_for,
            facts=self.facts(vips),
            router_trouble=self.router.trouble,
            is_spokesman=candidacy.is_spokesman,
        )

    def look_at_flows(self, vips: Iterable[IPAddress], now: float) -> None:
        """See what becomes of these VIPs' flows."""
        if self.flows.is_on:
            self.flows.subnets(tuple(self._own_subnets()), now)
            for vip in vips:
                self.flows.look(self._stand(vip, now), now)

    def _stand(self, vip: IPAddress, now: float) -> Stand:
        subnet = subnet_for(vip, self.subnets.here)
        owner = self.candidacy.owner(vip) if vip in self.wanted else None
        is_here, is_new = bool(self.present.nics_with(vip)), self.detection.is_new(vip, now)
        if subnet is None:
            return Stand(vip, owner, is_here, is_new, is_routed=self._is_routed(vip))
        return Stand(vip, owner, is_here, is_new, subnet.index, self._own_on(subnet))

    def _is_routed(self, vip: IPAddress) -> bool:
        """Not where IPVS serves: to conntrack, its connections may all be new, or none translated."""
        wanted = self.wanted.table.get(vip)
        if wanted is None or wanted.onlink_only or self.present.link_named(IPVS_INTERFACE) is not None:
            return False
        return not any(vip in network for network in self.members.onlink())

    def _own_subnets(self) -> Iterator[OwnSubnet]:
        for subnet in self.subnets.here:
            own = self._own_on(subnet) if subnet.has_carrier else None
            if own is not None:
                yield OwnSubnet(subnet.network, subnet.index, own)

    def _own_on(self, subnet: NicSubnet) -> IPAddress | None:
        its = (there for there in self.present.foreign(subnet.index) if there.is_usable)
        return next((there.address for there in its if there.network == subnet.network), None)

    def facts(self, vips: Iterable[IPAddress]) -> Facts:
        """What the rules look at when something is done about these VIPs."""
        vips, dummy = frozenset(vips), self.config.dummy_interface
        return Facts(
            forbidden={vip: whose for vip in vips if (whose := self.landmarks.whose(vip, dummy)) is not None},
            given=vips & self.wanted.table.keys(),
            connected=self.connected.known,
            ours=frozenset(there.key for vip in vips for there in self.present.ours(vip)),
        )

    def link_situation(self) -> LinkSituation:
        """What is done about the dummy interface goes by."""
        present = self.present
        return LinkSituation(
            config=self.config,
            links=tuple(present.links.values()),
            with_vips=frozenset(there.index for there in present.all_ours()),
            with_others=frozenset(
                link.index
                for link in present.links.values()
                if link.name == IPVS_INTERFACE
                or (
                    link.alias == DUMMY_ALIAS
                    and not all(there.address.is_link_local for there in present.foreign(link.index))
                )
            ),
            leaving=self.candidacy.is_leaving,
        )
