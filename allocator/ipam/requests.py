"""What the engine is asked and what it answers, as values. Pure."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from purelb.addresses import Family, IPAddress, family_of
from purelb.servicegroups import Scope
from purelb.services import Port, ServiceKey


class Seniority(NamedTuple):
    """Orders Services by age, the oldest first.

    Kubernetes' creation times are whole seconds, so the resourceVersion at which we first saw a Service, which grows
    with every write to the cluster, decides among the Services of one second.
    """

    created: datetime.datetime
    revision: int
    service: ServiceKey


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a Service would share its addresses: sharing.py judges them."""

    key: str | None = None
    ports: frozenset[Port] = frozenset()
    backend: str = ""
    """Whose nodes alone take its traffic (externalTrafficPolicy Local), as text: equal for the same pods. Empty with
    policy Cluster, where any node does."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Which addresses a Service holds, and how."""

    service: ServiceKey
    seniority: Seniority
    addresses: tuple[IPAddress, ...]
    """Each once."""
    groups: tuple[str, ...] = ()
    """Where they came from: one group for all, or with pinned addresses one per address."""
    terms: Terms = Terms()
    is_ours: bool = True
    """False for what another controller gave to a Service of its own: reserved, never moved."""
    shown: tuple[IPAddress, ...] = ()
    """What another controller wrote over addresses of ours: reserved while it is shown, and never the Service's."""

    @property
    def reserved(self) -> tuple[IPAddress, ...]:
        """What nobody else may be given, each once."""
        return tuple(dict.fromkeys(self.addresses + self.shown))


@dataclass(frozen=True, slots=True)
class Request:
    """What a Service asks for."""

    service: ServiceKey
    seniority: Seniority
    group: str | None = None
    """The group that it names."""
    pinned: tuple[IPAddress, ...] = ()
    """Exactly these addresses, wherever they are; they are the complete result."""
    families: tuple[Family, ...] = ()
    """One address of each, in this order; none: one address of any family, IPv6 first."""
    takes_one_family: bool = False
    """Whether the families that a group has are enough (ipFamilyPolicy PreferDualStack)."""
    multi_pool: bool | None = None
    """One address from each range; None leaves it to the group."""
    moves: bool = False
    """Keep only those of its addresses that its group could give today (re-evaluate)."""
    terms: Terms = Terms()

    def misfit(self, address: IPAddress) -> Refusal | None:
        """Why the Service can't have ``address``: it isn't of its families."""
        if not self.families or family_of(address) in self.families:
            return None
        has = " and ".join(map(str, self.families))
        return Refusal(Reason.OTHER, f'"{address}" is {family_of(address)}, but the Service has only {has}')


@dataclass(frozen=True, slots=True)
class Decision:
    """The addresses that a Service now holds, and what is to be written about them."""

    addresses: tuple[IPAddress, ...]
    groups: tuple[str, ...]
    scope: Scope
    skip_ipv6_dad: bool = False
    is_multi_pool: bool = False
    is_partial: bool = False
    """Whether a range had no address left for a multi-pool Service."""
    is_balanced: bool = False
    """Whether the ranges were used evenly (balancePools)."""
    warning: str | None = None
    """A sentence for the Service's owner, though the request was met."""


class Reason(enum.StrEnum):
    """Why a request was refused, by the metric's label (PureLB v0.17)."""

    EXHAUSTED = "exhausted"
    PORT_CONFLICT = "port_conflict"
    SHARING_KEY_CONFLICT = "sharing_key_conflict"
    MULTI_POOL_REFUSED = "multipool_refused"
    NAMESPACE_DENIED = "namespace_denied"
    AMBIGUOUS_DEFAULT = "ambiguous_namespace_default"
    NO_USABLE_POOL = "no_usable_pool"
    UNKNOWN_POOL = "unknown_pool"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a Service gets no address, for its owner: PureLB's sentence where it has one, and what can be done."""

    reason: Reason
    message: str
    group: str = "<none>"
    """The group concerned; the metric's label."""
    advice: str = ""
    """What to do, where the message doesn't say it; it follows after a semicolon."""


@dataclass(frozen=True, slots=True)
class Consultation:
    """The addresses of this group are kept by somebody else, who has to be asked first; then the engine, again."""

    group: str
    request: Request
    lost: frozenset[IPAddress] = frozenset()
    """Addresses that the Service had of it and that are another's now."""


Answer: TypeAlias = Decision | Refusal | Consultation
