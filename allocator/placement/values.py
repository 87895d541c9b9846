"""What the planner is told: nodes, VIPs, and how fast it may go. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from purelb.addresses import IPAddress, IPNetwork
from purelb.membership import Standing
from purelb.preferences import Preference
from purelb.selectors import Selector


@dataclass(frozen=True, slots=True)
class Tempo:
    """How fast VIPs may move that are well where they are. Times in seconds."""

    hold_down: float = 60.0
    """For which a node that joins or comes back has to serve before it is given VIPs."""
    longest_hold_down: float = 900.0
    """A node that falters again and again waits twice as long each time, up to this; and so long must it have served
    for that to be forgotten."""
    moves: int = 5
    """VIPs that move in one step."""
    interval: float = 10.0
    """Between two steps."""
    give_up: float = 300.0
    """For which the place of a node that doesn't serve any more is kept: nothing else moves meanwhile."""


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
    """Likewise, by name: those with endpoints, say. None: any."""
    preference: Preference | None = None
    """Where it should rather be."""
    spread: str | None = None
    """VIPs with the same are on different nodes, while there are enough."""


def order(address: IPAddress) -> tuple[int, int]:
    """Sorts addresses of both families."""
    return address.version, int(address)
