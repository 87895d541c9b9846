"""What the page is made of: what an allocator knows at a moment, whether it leads or stands by. Values only. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from allocator.placement.values import Reason
from purelb.addresses import IPAddress
from purelb.membership import MemberNode
from purelb.services import ServiceKey, ServiceView


@dataclass(frozen=True, slots=True)
class Facts:
    """One moment. What hasn't changed since the moment before is the same object."""

    services: tuple[ServiceView, ...] = ()
    """All that there are."""
    groups: tuple[Mapping[str, Any], ...] = ()
    """The ServiceGroup objects."""
    members: Mapping[str, MemberNode] | None = None
    """Who takes part in the gossip, by name; None: nobody has said."""
    is_current: bool = True
    """Whether somebody still says so."""
    nodes: frozenset[str] = frozenset()
    """The names of the cluster's Nodes."""
    dummies: tuple[str, ...] = ()
    """The interfaces that routed addresses are on."""
    endpoints: Mapping[ServiceKey, frozenset[str]] | None = None
    """Of Services whose endpoints matter to where they are: the nodes that have some. None: that isn't known."""
    reasons: Mapping[IPAddress, Reason] = field(default_factory=dict)
    """Why the planner moved addresses lately."""
    leads: bool = False
    """Whether this allocator writes, or stands by."""
    trouble: str = ""
    """Why it isn't ready, in a sentence."""
