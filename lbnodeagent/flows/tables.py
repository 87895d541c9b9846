"""The values of this package. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, NamedTuple, NewType, TypeAlias

from lbnodeagent.gossip.envelope import Life
from lbnodeagent.gossip.straymessage import StrayQuestion
from lbnodeagent.tables import IfIndex, Mac, Stage
from purelb.addresses import IPAddress, IPNetwork

Flow = NewType("Flow", bytes)
"""One flow to a VIP that is known from elsewhere: protocol, the client's port, the VIP's, and the client's address.

Bytes and no object of many, as there may be 100,000 of them.
"""
UDP: Final = 17
"""Its first byte, of datagrams."""
FLOW: Final = struct.Struct("!BHH")
"""What is in front of the client's address."""
Stray = NewType("Stray", bytes)
"""One connection of TCP to a routed VIP, whose packets come to a node that doesn't know it: the client's port, the
VIP's, the client's address and the VIP.
"""
STRAY: Final = struct.Struct("!HH")
"""What is in front of its addresses."""
FLOWS_MOST: Final = 1 << 18
"""That a node passes on in all, and so in one of the kernel's sets."""


@dataclass(frozen=True, slots=True)
class Server:
    """A node that goes on serving flows."""

    node: str
    address: IPAddress
    """Its own on the VIP's subnet."""
    macs: frozenset[Mac] = frozenset()
    """What comes from there isn't sent back."""


@dataclass(frozen=True, slots=True)
class OwnSubnet:
    """Where this node is."""

    network: IPNetwork
    index: IfIndex
    address: IPAddress
    """Its own there."""


# --- how things are --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stand:
    """How a VIP stands on this node."""

    vip: IPAddress
    owner: str | None = None
    """Whose it is; None: nobody's, or nobody wants it."""
    is_here: bool = False
    """Whether it answers on a NIC here."""
    is_new: bool = False
    """Whether nobody had it yet."""
    index: IfIndex | None = None
    """The NIC on its subnet; None: this node is on none that it is in."""
    address: IPAddress | None = None
    """This node's own there."""
    is_routed: bool = False
    """Whether it is wanted, and on no subnet of nodes: any of them may be sent its packets."""


class FlowCounts(NamedTuple):
    """The flows of one node, for metrics."""

    served: int
    """Of VIPs of others."""
    passed_on: int
    refused: int
    """What this node was told of since it started, and didn't pass on."""
    kept: int
    """All that it passed on since then."""
    lost: int
    """Those of them that nobody served any more."""


class Adopted(NamedTuple):
    """An earlier run of this agent passed on flows of a VIP, and the kernel goes on."""

    vip: IPAddress
    server: IPAddress
    """Of the node that serves them."""


# --- what is to be done ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """Tell a node of the flows to a VIP that this node serves."""

    vip: IPAddress
    to: str
    life: Life
    """The run of its agent: another one knows nothing of what was told before."""
    address: IPAddress
    """This node's, where they are to be passed on to."""


@dataclass(frozen=True, slots=True)
class Look:
    """Look which flows to these VIPs are served here, tell of those that aren't told of, and say how many there are."""

    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class OfferEnded:
    """Nothing is to be told of this VIP any more."""

    vip: IPAddress


@dataclass(frozen=True, slots=True)
class Keep:
    """Pass on to these nodes, by a NIC, what they are said to serve of a VIP; none: of it nothing is passed on."""

    vip: IPAddress
    servers: tuple[Server, ...]
    index: IfIndex


@dataclass(frozen=True, slots=True)
class Change:
    """These of a VIP's flows are to be passed on to a node; ``is_first``: and no others. ``is_renewal``: they were told
    of before, so that a connection which this node serves itself by now began here.
    """

    vip: IPAddress
    server: Server
    begun: tuple[Flow, ...]
    ended: tuple[Flow, ...]
    is_first: bool
    is_renewal: bool = False


@dataclass(frozen=True, slots=True)
class Await:
    """Drop what comes in mid-flow for these VIPs, unknown, or no longer."""

    vips: tuple[IPAddress, ...]
    is_awaited: bool


@dataclass(frozen=True, slots=True)
class Routed:
    """Hold back what comes in mid-flow for these VIPs and is unknown, and pass on what is known to be another's."""

    vips: tuple[IPAddress, ...]
    is_routed: bool


@dataclass(frozen=True, slots=True)
class Fellows:
    """Who may serve connections to routed VIPs of an IP version; no servers: nothing is held back or passed on."""

    version: int
    index: IfIndex | None = None
    """The NIC by which they are reached."""
    servers: frozenset[IPAddress] = frozenset()
    macs: frozenset[Mac] = frozenset()
    """What comes from there is passed on no second time."""


@dataclass(frozen=True, slots=True)
class Located:
    """Pass these on to the nodes with these addresses."""

    strays: tuple[tuple[Stray, IPAddress], ...]


@dataclass(frozen=True, slots=True)
class Released:
    """Hold these back no longer: nobody serves them."""

    strays: tuple[Stray, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What an earlier run left of routed VIPs and of those who serve them, and nobody has spoken of since, goes."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask these nodes."""

    nodes: frozenset[str]
    question: StrayQuestion


@dataclass(frozen=True, slots=True)
class Find:
    """Look which of these are served here, and answer."""

    to: str
    number: int
    """The question's."""
    address: IPAddress
    """This node's, where they are to be passed on to."""
    strays: tuple[tuple[int, Stray], ...]
    """With their places in the question."""


@dataclass(frozen=True, slots=True)
class Disown:
    """Pass these on no longer: nobody has said since this run began that he serves them."""

    adopted: tuple[Adopted, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """Tell how it stands with the flows that a node goes on serving: ``seconds`` after the first one was told of."""

    vip: IPAddress
    server: Server
    stage: Stage
    flows: int
    seconds: float


StrayRule: TypeAlias = Routed | Fellows | Located | Released | Settled
KernelRule: TypeAlias = Keep | Change | Await | Disown | StrayRule
Rule: TypeAlias = KernelRule | Account
FlowsOutput: TypeAlias = Look | OfferEnded | Ask | Find | Rule
