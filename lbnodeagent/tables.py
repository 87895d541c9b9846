"""The values that planner, executor and both halves exchange: wanted, present, what to do. Frozen, no I/O.

Names are the field's: a VIP is wanted by Services, sits at a Spot, is owned by a node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal, NewType, TypeAlias

from purelb.addresses import Family, IPAddress, IPNetwork, family_of
from purelb.membership import Attendance
from purelb.nodeagents import AddressConfig
from purelb.returnpath import ReturnPathTrouble
from purelb.services import ServiceKey

IfIndex = NewType("IfIndex", int)
"""A kernel interface index."""
Mac = NewType("Mac", bytes)
"""An Ethernet address, 6 bytes."""

AddressKey: TypeAlias = tuple[IfIndex, IPAddress, int]
"""Interface, address, prefix length: what the kernel tells addresses apart by."""
DadState: TypeAlias = Literal["done", "running", "failed"]
"""Duplicate address detection of an IPv6 address (RFC 4862 section 5.4); always done for IPv4, which has none."""

FOREVER = math.inf
"""``expires`` of an address without an end."""
DUMMY_ALIAS: Final = "made by PureLB's lbnodeagent"
"""The alias of a dummy interface that we made: only such a one is deleted."""


# --- Wanted: told by the control plane -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WantedVip:
    """An address that at least one Service of ours has."""

    address: IPAddress
    services: tuple[ServiceKey, ...]
    """Sorted; several when they share the address."""
    aggregation: int | None = None
    """Prefix length on the dummy interface; None (no pool known): the host prefix."""
    endpoints: frozenset[str] | None = None
    """Nodes with a ready endpoint; None where the traffic policy doesn't ask for one (Cluster)."""
    allow_local: bool = False
    """Whether policy Local is kept on a NIC too; else it counts there as Cluster."""
    onlink_only: bool = False
    """Whether it belongs on a NIC or nowhere (v2's ``local`` pools); else it's routed where no NIC has its subnet."""
    skips_dad: bool = False
    """Whether an IPv6 address is used without duplicate address detection, as its ServiceGroup says (skipIPv6DAD)."""

    preferred: frozenset[str] | None = None
    """The nodes that are to have it rather than others, on a NIC (node-affinity); None: no preference."""
    announcers: frozenset[str] | None = None
    """The nodes that may have it on a NIC, as its ServiceGroup says (nodeSelector); None: any."""
    plan: tuple[str, ...] = ()
    """The nodes that should have it on a NIC, the first of them that can, as the allocator plans it."""

    @property
    def host_prefix(self) -> int:
        return family_of(self.address).bits

    @property
    def electorate(self) -> frozenset[str] | None:
        """The nodes to which its election on a NIC is confined; None: any."""
        endpoints = self.endpoints if self.allow_local else None
        if endpoints is None or self.announcers is None:
            return self.announcers if endpoints is None else endpoints
        return endpoints & self.announcers


# --- Present: told by the kernel -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface."""

    index: IfIndex
    name: str
    kind: str | None = None
    """The driver's name for it (``dummy``, ``veth``, ``bridge``); None for a physical one."""
    mac: Mac | None = None
    is_up: bool = True
    has_carrier: bool = True
    is_loopback: bool = False
    has_neighbours: bool = True
    """False with IFF_NOARP, as dummy interfaces have it: nobody asks or hears there who has an address."""
    alias: str = ""
    """IFLA_IFALIAS; how we mark a dummy interface that we made."""


@dataclass(frozen=True, slots=True)
class PresentAddress:
    """An address on an interface."""

    index: IfIndex
    address: IPAddress
    prefix_length: int
    is_ours: bool = False
    looks_ours: bool = False
    """Whether it has what earlier versions gave theirs, on a kernel without marks; nothing follows from it alone."""
    is_secondary: bool = False
    """IPv4: not the first of its subnet on this interface."""
    no_prefix_route: bool = False
    is_usable: bool = True
    """False while tentative, and when deprecated or refused by duplicate address detection."""
    expires: float = FOREVER
    """Monotonic seconds."""
    dad: DadState = "done"
    """An address answers only when it's done."""

    @property
    def key(self) -> AddressKey:
        return self.index, self.address, self.prefix_length

    @property
    def network(self) -> IPNetwork:
        return network_of(self.address, self.prefix_length)


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """A default route of the main table; several interfaces when it is multipath."""

    family: Family
    metric: int
    interfaces: tuple[IfIndex, ...]
    gateways: tuple[IPAddress, ...] = ()
    """The routers that it leads to; none where it leads to the link itself."""


def network_of(address: IPAddress, prefix_length: int) -> IPNetwork:
    """The subnet of an address."""
    if address.version == 4:
        return IPv4Network((int(address) >> (32 - prefix_length) << (32 - prefix_length), prefix_length))
    return IPv6Network((int(address) >> (128 - prefix_length) << (128 - prefix_length), prefix_length))


# --- What to do ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spot:
    """Where and how a VIP sits."""

    index: IfIndex
    interface: str
    prefix_length: int
    is_local: bool
    """On a NIC, by election; else on the dummy interface of every node."""
    addressing: AddressConfig

    def preferred_lifetime(self, vip: IPAddress) -> int:
        """Seconds for which the node may use ``vip`` as a source of its own; 0: as long as it is valid; -1: never."""
        preferred = self.addressing.preferred_lifetime
        if preferred is None:
            return -1 if self.is_local and vip.version == 6 else 0
        return preferred


@dataclass(frozen=True, slots=True)
class CreateDummy:
    """Make the dummy interface and set it up."""

    name: str


@dataclass(frozen=True, slots=True)
class SetUp:
    """Set an interface of ours up again."""

    index: IfIndex
    name: str


@dataclass(frozen=True, slots=True)
class DeleteDummy:
    """Delete a dummy interface that we made and no longer use."""

    index: IfIndex
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """Put a VIP at a spot, or renew it there."""

    vip: IPAddress
    spot: Spot
    is_renewal: bool = False
    """It's there and ours: refresh its lifetime, tell nobody."""
    detects_duplicates: bool = False
    """An IPv6 VIP that nobody has had yet: the kernel asks first whether another host has it."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Take an address of ours away."""

    vip: IPAddress
    index: IfIndex
    interface: str
    prefix_length: int
    keeps_order: bool = True
    """False: it stands before a foreign address of its subnet, which must survive it (promote_secondaries)."""


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Have the route of an aggregate, with our mark."""

    index: IfIndex
    network: IPNetwork
    expires: int = 0
    """Seconds for which an IPv6 one lives; 0: for ever, as IPv4 ones always do."""


@dataclass(frozen=True, slots=True)
class DeleteRoute:
    """Have it no longer."""

    index: IfIndex
    network: IPNetwork


Action: TypeAlias = CreateDummy | SetUp | DeleteDummy | Place | Remove | AddRoute | DeleteRoute


@dataclass(frozen=True, slots=True)
class Done:
    """The kernel did it."""

    action: Action
    there: PresentAddress | None = None
    """What is there now, after a Place."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The kernel didn't."""

    action: Action
    reason: str
    """A clause."""


Outcome: TypeAlias = Done | Refused


UNCONFIGURED: Final = (
    "no LBNodeAgent with a local block is for any node: look at their nodeSelectors (kubectl get lbnodeagents -A)"
)
"""Why a VIP is announced nowhere when that is so."""


# --- What came of it: told to the control plane ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Announcement:
    """How a VIP stands on this node."""

    vip: IPAddress
    state: Literal["announcing", "failed", "withdrawn"]
    interface: str = ""
    is_local: bool = False
    is_fresh: bool = True
    """False for an address that an earlier run of this agent had placed already: nothing to tell the user."""
    error: str = ""
    successor: str | None = None
    """The other node that it belongs to, which speaks for it; the VIP may be here still, until that node has it."""
    despite: str = ""
    """Why this node shouldn't have it, which owns it all the same, as no better node can; a clause."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A host that isn't one of ours answers for a VIP that is here, or another node does, for longer than it should."""

    vip: IPAddress
    interface: str
    mac: Mac
    node: str = ""
    """Whose MAC it is; empty: no node's that we know."""
    is_heard: bool = False
    """Whether that node's agent is heard in the gossip."""


@dataclass(frozen=True, slots=True)
class Wiped:
    """Something on this node keeps taking a VIP away, or an address of the node's own (``is_nodes_own``)."""

    vip: IPAddress
    interface: str
    times: int
    advice: str
    """A clause: what it may be, and what stops it."""
    is_nodes_own: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Which interfaces take VIPs on this node."""

    interfaces: tuple[str, ...]
    missing: tuple[str, ...]
    """What the configuration names and the node doesn't have: interfaces, or the regular expression."""
    beside_ipvs: tuple[str, ...] = ()
    """NICs that take IPv4 VIPs, while kube-proxy keeps addresses on an interface of its own (mode ipvs)."""
    subnetless: tuple[str, ...] = ()
    """NICs with their only addresses of a family, which are of no subnet: ``eth0 10.0.0.5/32``."""


@dataclass(frozen=True, slots=True)
class StrayAnswers:
    """The NICs on which the kernel answers ARP for what is on any other interface."""

    nics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Members:
    """The nodes that take part in the gossip, this one included; none while that isn't known yet."""

    nodes: frozenset[str]
    announcers: frozenset[str] = frozenset()
    """Those of our agents that announce routed addresses, this one included if it does."""
    subnets: frozenset[IPNetwork] = frozenset()
    """Where this node announces on a NIC."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Whether this node's data path works."""

    trouble: str
    """Why it doesn't, a clause about the node as "it"; empty: it does."""


Stage: TypeAlias = Literal["begun", "ended", "lost"]
"""Of connections that outlive a move of their address."""


@dataclass(frozen=True, slots=True)
class KeptFlows:
    """This node passes on connections of a VIP to the one that had it before, or did until the last one ended, or until
    they were lost: nobody serves them any more.
    """

    vip: IPAddress
    server: str
    """That node."""
    stage: Stage
    flows: int
    """So many at once; of the lost ones those that there were last."""
    seconds: float
    """Since the address moved."""
    packets: int


@dataclass(frozen=True, slots=True)
class KeepsFlows:
    """Whether connections outlive the moves of VIPs to and from this node, where they should."""

    trouble: str = ""
    """Why they don't, a clause; empty: they do."""
    remedy: str = ""


Report: TypeAlias = (
    Announcement
    | Conflict
    | Wiped
    | Surroundings
    | StrayAnswers
    | Members
    | Serving
    | KeptFlows
    | KeepsFlows
    | Attendance
    | ReturnPathTrouble
)
ReportKey: TypeAlias = tuple[type, IPAddress | tuple[IPAddress, str] | None]


def report_key(report: Report) -> ReportKey:
    """What a newer report replaces."""
    if isinstance(report, KeptFlows):
        return (type(report), (report.vip, report.server))
    return (type(report), report.vip if isinstance(report, Announcement | Conflict | Wiped) else None)
