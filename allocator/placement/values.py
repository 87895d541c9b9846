"""What the planner is told: nodes and VIPs. Values only."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from purelb.addresses import IPAddress, IPNetwork
from purelb.membership import Standing
from purelb.preferences import Preference
from purelb.selectors import Selector


class Reason(enum.Enum):
    """Why a VIP moves to another node by the plan."""

    LOST = "lost"
    """Its node can't have it any more, or is a worse one than others."""
    PREFERRED = "preferred"
    """There is a node where it should rather be."""
    APART = "apart"
    """Its node has another one from which it should be apart."""
    SHARE = "share"
    """Its node has more than its share."""


class Move(NamedTuple):
    """A VIP that had an owner was given another one."""

    address: IPAddress
    reason: Reason


@dataclass(frozen=True, slots=True)
class Node:
    """A node that takes part."""

    name: str
    standing: Standing = Standing.SERVING
    subnets: frozenset[IPNetwork] = frozenset()
    """On which it can announce."""
    weight: int = 1
    """How many VIPs it has beside the others; 0: none, as long as others can have them."""
    labels: Mapping[str, str] = field(default_factory=dict)
    speaks: bool = True
    """Whether its agent reads placements; PureLB's own agents know the hash rule alone."""
    is_behind: bool = False
    """Whether it doesn't hear of them now: what it doesn't know to be its own by an earlier one, it wouldn't take."""


@dataclass(frozen=True, slots=True)
class Vip:
    """A VIP that is to be on a NIC."""

    address: IPAddress
    plan: tuple[str, ...] = ()
    """What its Service shows as its placement; what the planner itself has planned since wins over it."""
    at: str | None = None
    """Who announces it."""
    is_new: bool = False
    """Nobody has it yet, so it may be anywhere."""
    selector: Selector = field(default_factory=Selector)
    """The nodes that may have it."""
    only: frozenset[str] | None = None
    """Likewise, by name: those with endpoints (policy Local). None: any."""
    rather: frozenset[str] | None = None
    """Those that agents take before others which serve as well: with endpoints (node-affinity). None: any."""
    preference: Preference | None = None
    """Where it should rather be."""
    spread: str | None = None
    """VIPs with the same are on different nodes, while there are enough."""


def order(address: IPAddress) -> tuple[int, int]:
    """Sorts addresses of both families."""
    return address.version, int(address)
