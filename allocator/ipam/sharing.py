"""When two Services may have one address, and what is said to the newcomer when they may not. Pure.

The rule is MetalLB's and PureLB's together: one key, no port twice, and traffic that goes to the same nodes: both have
externalTrafficPolicy Cluster, or both Local with the same pods behind them. Else one would take the address from nodes
where the other needs it. A key counts within its namespace, unless the ServiceGroup says that it counts in all.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Final, TypeVar

from allocator.ipam.requests import Claim, Reason, Refusal, Terms
from purelb import names
from purelb.addresses import IPAddress
from purelb.services import Port, ServiceKey

NAMED: Final = 5
"""How many Services a sentence names."""
Counted = TypeVar("Counted", bound=Hashable)


class Obstacle(enum.Enum):
    """Why two Services can't share, the first that holds."""

    KEY = "key"
    NAMESPACE = "namespace"
    PORTS = "ports"
    POLICY = "policy"


def obstacle(holder: Claim, service: ServiceKey, terms: Terms, *, across: bool) -> Obstacle | None:
    """What keeps ``service`` from sharing an address with ``holder``; ``across``: keys count across namespaces."""
    if not terms.key or holder.terms.key != terms.key:
        return Obstacle.KEY
    if not across and holder.service.namespace != service.namespace:
        return Obstacle.NAMESPACE
    if holder.terms.ports & terms.ports:
        return Obstacle.PORTS
    if holder.terms.backend != terms.backend:
        return Obstacle.POLICY
    return None


class Tenants:
    """Who is on one address. Whether one more fits costs the same however many there are."""

    __slots__ = ("_only", "_several")

    def __init__(self) -> None:
        self._only: Claim | None = None
        """While there is but one, as on nearly every address: tables of one take five times its own memory."""
        self._several: _Several | None = None

    def __len__(self) -> int:
        return len(self._several.claims) if self._several is not None else int(self._only is not None)

    def __iter__(self) -> Iterator[Claim]:
        if self._several is not None:
            yield from self._several.claims.values()
        elif self._only is not None:
            yield self._only

    def enter(self, claim: Claim) -> None:
        """A Service that isn't there comes."""
        if self._several is not None:
            self._several.enter(claim)
        elif self._only is not None:
            self._several, self._only = _Several(self._only, claim), None
        else:
            self._only = claim

    def leave(self, service: ServiceKey) -> None:
        """A Service that is there goes."""
        self._only = self._several.leave(service) if self._several is not None else None
        if self._only is not None:
            self._several = None

    def rivals(self, service: ServiceKey, terms: Terms, *, across: bool) -> list[Claim]:
        """The others with whom ``service`` can't share on ``terms``."""
        if self._several is not None and self._several.fits(service, terms, across=across):
            return []
        return [
            holder
            for holder in self
            if holder.service != service and obstacle(holder, service, terms, across=across) is not None
        ]


class _Several:
    """Two or more on one address, and how many of them have what, so that nobody need ask them one by one."""

    __slots__ = ("_backends", "_keys", "_namespaces", "_ports", "claims")

    def __init__(self, *claims: Claim) -> None:
        self.claims: dict[ServiceKey, Claim] = {}
        self._keys: Counter[str | None] = Counter()
        self._namespaces: Counter[str] = Counter()
        self._backends: Counter[str] = Counter()
        self._ports: Counter[Port] = Counter()
        for claim in claims:
            self.enter(claim)

    def enter(self, claim: Claim) -> None:
        self.claims[claim.service] = claim
        self._count(claim, 1)

    def leave(self, service: ServiceKey) -> Claim | None:
        """Who is left, if that is but one."""
        self._count(self.claims.pop(service), -1)
        return next(iter(self.claims.values())) if len(self.claims) == 1 else None

    def fits(self, service: ServiceKey, terms: Terms, *, across: bool) -> bool:
        own = self.claims.get(service)
        others = len(self.claims) - (own is not None)
        if not terms.key or self._keys[terms.key] - (own is not None and own.terms.key == terms.key) != others:
            return False
        if not across and self._namespaces[service.namespace] - (own is not None) != others:
            return False
        if self._backends[terms.backend] - (own is not None and own.terms.backend == terms.backend) != others:
            return False
        own_ports = own.terms.ports if own is not None else frozenset()
        return not any(self._ports[port] - (port in own_ports) for port in terms.ports)

    def _count(self, claim: Claim, step: int) -> None:
        _add(self._keys, claim.terms.key, step)
        _add(self._namespaces, claim.service.namespace, step)
        _add(self._backends, claim.terms.backend, step)
        for port in claim.terms.ports:
            _add(self._ports, port, step)


def _add(counts: Counter[Counted], what: Counted, step: int) -> None:
    """What is nobody's any more isn't kept with a zero: a tenant may change its texts as often as it likes."""
    counts[what] += step
    if not counts[what]:
        del counts[what]


def conflict(
    address: IPAddress, service: ServiceKey, terms: Terms, rivals: Iterable[Claim], *, across: bool, group: str
) -> Refusal:
    """The refusal of an address that others have: PureLB's sentence where it has one, then what can be done.

    ``rivals`` are some. Services of other namespaces are counted, not named.
    """
    by_obstacle: dict[Obstacle, list[Claim]] = {}
    for rival in rivals:
        found = obstacle(rival, service, terms, across=across)
        if found is not None:
            by_obstacle.setdefault(found, []).append(rival)
    first = next(kind for kind in Obstacle if kind in by_obstacle)
    whom = tell((rival.service for rival in by_obstacle[first]), service.namespace)
    match first:
        case Obstacle.PORTS:
            rival = by_obstacle[first][0]
            port, whose = min(rival.terms.ports & terms.ports), tell([rival.service], service.namespace)
            sentence = f'port {port} on "{address}" is already in use by {whose}'
            return Refusal(Reason.PORT_CONFLICT, sentence, group, "Services that share an address need different ports")
        case Obstacle.POLICY:
            sentence = f'"{address}" is shared with {whom}, whose traffic goes to other nodes'
            advice = "Services that share an address need policy Cluster, or policy Local and the same selector"
        case Obstacle.NAMESPACE:
            sentence = f'"{address}" is in use by {whom}'
            advice = "a sharing key counts within one namespace, unless the ServiceGroup has shareAcrossNamespaces"
        case Obstacle.KEY:
            sentence = f'can\'t change sharing key for "{service}", address also in use by {whom}'
            advice = (
                f"{address} is taken, and may be shared only by Services with one {names.ALLOW_SHARED_IP} and "
                "different ports"
            )
    return Refusal(Reason.SHARING_KEY_CONFLICT, sentence, group, advice)


def tell(services: Iterable[ServiceKey], namespace: str) -> str:
    """Services as those of ``namespace`` may hear of them: their own by name, others without one."""
    own, others = [], 0
    for service in services:
        if service.namespace == namespace:
            own.append(str(service))
        else:
            others += 1
    named = ",".join(sorted(own)[:NAMED]) + (f" and {len(own) - NAMED} more" if len(own) > NAMED else "")
    strangers = "a Service of another namespace" if others == 1 else f"{others} Services of other namespaces"
    return " and ".join(filter(None, (named, strangers if others else "")))
