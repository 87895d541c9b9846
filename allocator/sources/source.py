"""What the allocator asks of those who keep addresses elsewhere, and what they answer, as values. Pure.

A source is NetBox (netbox.py) or a sidecar (sidecar.py). It is asked for one Service at a time and never decides who
may have what: the engine checks whatever it gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from purelb.addresses import Family, IPAddress, family_of
from purelb.errors import PureLBError
from purelb.services import ServiceKey


class SourceError(PureLBError):
    """A source gave nothing; the text is one sentence for the Service's owner.

    ``kind`` says whom it concerns: ``outage`` everybody who would ask this source, ``exhausted`` everybody who would
    ask it for the same, ``refused`` this Service alone. ``retry_after`` is in seconds, where it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Literal["outage", "exhausted", "refused"] = "outage",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Ask:
    """What a Service is to have of a source, what it has already included."""

    service: ServiceKey
    families: tuple[Family, ...] = ()
    """One address of each; none: one of any family."""
    takes_one_family: bool = False
    """Whether one of the families will do if the source has no more (PreferDualStack)."""
    pinned: tuple[IPAddress, ...] = ()
    """Exactly these, if any."""
    sharing_key: str = ""
    held: frozenset[IPAddress] = frozenset()
    """What it has already, to be preferred to others that the source may have given it."""
    lost: frozenset[IPAddress] = frozenset()
    """Addresses that the source may still count as this Service's, and that are another's."""

    def is_met_by(self, addresses: tuple[IPAddress, ...]) -> bool:
        """Whether an answer is what was asked for."""
        if self.pinned:
            return set(self.pinned) <= set(addresses)
        given = {family_of(address) for address in addresses}
        if not self.families:
            return bool(given)
        return bool(given.intersection(self.families)) if self.takes_one_family else given >= set(self.families)


@dataclass(frozen=True, slots=True)
class Capacity:
    """How full a source is."""

    in_use: Mapping[Family, int] = field(default_factory=dict)
    size: Mapping[Family, int] | None = None
    """None where it isn't known."""
    display: tuple[str, ...] = ()
    """What ``status.addresses`` shows."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a source shows when it is looked at as a whole."""

    capacity: Capacity
    holdings: Mapping[ServiceKey, frozenset[IPAddress]] = field(default_factory=dict)
    """What it keeps for which Service of this cluster."""
    disputes: Mapping[ServiceKey, str] = field(default_factory=dict)
    """Services that have an address which the source counts as somebody else's: a sentence for their owners."""


class Holdings(Protocol):
    """What Services have. Whatever is in here must not be given back; whatever isn't, may."""

    def shown(self, service: ServiceKey) -> Mapping[str, frozenset[IPAddress]]:
        """What the status of a Service shows, by group."""

    def holds(self, service: ServiceKey, group: str) -> frozenset[IPAddress]:
        """Everything that a Service has of a group, or is about to have."""

    def is_in_use(self, address: IPAddress) -> bool:
        """Whether any Service has an address, or is about to have it."""

    def holders(self, group: str) -> Mapping[ServiceKey, frozenset[IPAddress]]:
        """What statuses show to come from a group, by Service."""


@dataclass(frozen=True, slots=True)
class Room:
    """A source that gave nothing may give something now."""

    group: str


@dataclass(frozen=True, slots=True)
class Disputed:
    """A source doesn't count an address as the Service's that has it: a sentence for its owner."""

    service: ServiceKey
    sentence: str


SourceNews: TypeAlias = Room | Disputed


class Source(Protocol):
    """Keeps addresses for one ServiceGroup. Every call raises SourceError, and none blocks the event loop."""

    @property
    def counts_services(self) -> bool:
        """Whether it keeps an account by Service that can't be read, so that we have to keep one of our own."""

    async def allocate(self, ask: Ask) -> tuple[IPAddress, ...]:
        """Everything that a Service has there afterwards. Asked again for the same, it gives the same."""

    async def release(self, service: ServiceKey, addresses: frozenset[IPAddress] | None) -> None:
        """Take addresses back, with None all of a Service's. What isn't the Service's any more is left alone."""

    async def survey(self, shown: Mapping[ServiceKey, frozenset[IPAddress]]) -> Survey:
        """Look at everything. ``shown`` is what Services have of it by their status."""

    async def close(self) -> None:
        """Give up what is open."""
