"""One pass's view of everything, as plain values: it can be printed, compared and replayed. No I/O, nothing to call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lbnodeagent.dataplane.invariants import Facts
from lbnodeagent.kernel.interfaces import NicSubnet
from lbnodeagent.tables import IfIndex, Link, PresentAddress, WantedVip
from purelb.addresses import IPAddress, IPNetwork
from purelb.nodeagents import NodeAgentConfig


@dataclass(frozen=True, slots=True)
class VipSituation:
    """One VIP of the pass."""

    wanted: WantedVip | None = None
    there: tuple[PresentAddress, ...] = ()
    """Where the address sits on this node, ours or not."""
    owner: str | None = None
    """Whom the election gives it; None where no candidate is on its subnet."""
    is_held: bool = False
    """Whether it stays although it's here and not ours: until its new owner has it, or while nobody claims it and this
    node may not yet."""
    is_claimed: bool = False
    """Whether another host answered for it, that an earlier run left here, while peers couldn't be heard."""
    is_new: bool = False
    """Whether nobody had it yet, so that duplicates are to be detected before it's used."""
    is_duplicate: bool = False
    """Whether that found another host which has it."""
    is_spared: bool = False
    """Whether this node is excluded (cordon, label) and other nodes can route it instead."""
    nowhere: str | None = None
    """Why no node has it, if that has lasted and is for this node to tell."""
    is_unjudged: bool = False
    """It is here, wanted, and no peer can be heard yet, or any more: it stays as it is, until it expires."""
    lingers: bool = False
    """Whether it stays, routed, for a moment although it is for other nodes to route it."""

    @property
    def ours(self) -> tuple[PresentAddress, ...]:
        """Where it sits by our doing."""
        return tuple(there for there in self.there if there.is_ours)


@dataclass(frozen=True, slots=True)
class Situation:
    """What a pass over some VIPs goes by."""

    node: str
    config: NodeAgentConfig
    now: float
    """Monotonic seconds."""
    vips: Mapping[IPAddress, VipSituation]
    """In the order in which they are looked at."""
    links: Mapping[IfIndex, Link]
    subnets: tuple[NicSubnet, ...] = ()
    """Of the interfaces that take VIPs, in the order in which they are tried."""
    foreign: Mapping[IfIndex, tuple[PresentAddress, ...]] = field(default_factory=dict)
    """The node's own addresses, of the interfaces on which these VIPs are."""
    onlink: frozenset[IPNetwork] = frozenset()
    """The subnets that some node, living or dead, is on: what is there is no routed address."""
    leaving: bool = False
    """Whether this agent shuts down: nothing new is placed, only what is held stays, and routed VIPs get a lifetime."""
    stays_for: float = 0.0
    """Seconds for which this agent's addresses stay when it ends, as the next one is there before; 0: it doesn't."""
    facts: Facts = field(default_factory=Facts)
    """What nobody may do to these VIPs, whatever else is known."""
    router_trouble: str | None = None
    """Why nothing would route a VIP that isn't here yet; "": it isn't known yet; None: something does."""
    is_spokesman: bool = True
    """Whether this node is the one that reports what concerns all alike."""

    def link_named(self, name: str) -> Link | None:
        return next((link for link in self.links.values() if link.name == name), None)


@dataclass(frozen=True, slots=True)
class LinkSituation:
    """What is done about the dummy interface goes by."""

    config: NodeAgentConfig
    links: tuple[Link, ...]
    with_vips: frozenset[IfIndex] = frozenset()
    """The interfaces that have a VIP."""
    with_others: frozenset[IfIndex] = frozenset()
    """Those of the interfaces of ours on which somebody else put an address (link-local ones are the kernel's), or that
    aren't ours alone."""
    leaving: bool = False
