"""A VIP of the planner, and where it is to be: changed by the planner alone. Pure."""

from __future__ import annotations

from allocator.placement.eligibility import Domain
from allocator.placement.values import Vip


class Place:
    """A VIP, and where it is to be."""

    __slots__ = ("domain", "heir", "home", "owner", "vip")

    def __init__(self, vip: Vip, domain: Domain) -> None:
        self.vip = vip
        self.domain = domain
        self.owner: str | None = None
        self.heir: str | None = None
        """The stand-in."""
        self.home: str | None = None
        """The node that had it before it was lost; it is among the first to return there."""
