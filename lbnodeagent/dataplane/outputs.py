"""What the data plane's core wants done, as values; the driver does it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lbnodeagent.dataplane.invariants import Refusal
from lbnodeagent.dataplane.takeovers import Takeover
from lbnodeagent.election.changes import Tally
from lbnodeagent.election.negotiation import Send
from lbnodeagent.flows.tables import FlowsOutput
from lbnodeagent.gossip.meta import Meta
from lbnodeagent.returnpath.ways import ReturnWays
from lbnodeagent.tables import Action, AddressKey, Outcome, PresentAddress, Report
from lbnodeagent.wire.neighbours import WireOutput
from purelb.addresses import IPAddress


@dataclass(frozen=True, slots=True)
class Execute:
    """Have the kernel do this, in this order; what came of each goes back in one ``executed``. One at a time."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class SayMeta:
    """Tell the peers this of the node."""

    meta: Meta


@dataclass(frozen=True, slots=True)
class JoinAtOnce:
    """Try to join every peer now."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What happened so often; for metrics."""

    what: Literal["election_wins", "election_losses", "conflicts", "restored", "affinity_fallback"]
    times: int
    vip: IPAddress | None = None
    """Where it's counted for each."""


@dataclass(frozen=True, slots=True)
class RemovedOften:
    """Something on this node keeps taking a VIP away, or its own address: find out what, and tell the user."""

    vip: IPAddress
    interface: str
    times: int
    by: int
    """The netlink port of who did it last; 0: unknown."""
    is_nodes_own: bool = False


@dataclass(frozen=True, slots=True)
class Adopted:
    """Addresses that an earlier run left without a note of them are ours; each with its interface."""

    addresses: tuple[tuple[PresentAddress, str], ...]


@dataclass(frozen=True, slots=True)
class Swept:
    """What we know of addresses was looked through: these are there."""

    present: frozenset[AddressKey]


Output: TypeAlias = (
    Adopted
    | Swept
    | Execute
    | WireOutput
    | Send
    | FlowsOutput
    | ReturnWays
    | SayMeta
    | JoinAtOnce
    | Counted
    | Takeover
    | Refusal
    | RemovedOften
    | Report
)

Answer: TypeAlias = tuple[float, list[Outcome]]
"""When the kernel had done it, monotonic seconds, and what came of each action."""


def counted(tally: Tally) -> list[Counted]:
    """What of an election is counted."""
    of = [Counted("election_wins", tally.wins), Counted("election_losses", tally.losses)]
    return [one for one in of if one.times] + [Counted("affinity_fallback", 1, vip) for vip in tally.astray]
