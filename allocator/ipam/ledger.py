"""Who holds which address. Pure; it judges who may share, but decides nothing and knows no pool.

Addresses outside every pool are kept too: a Service keeps what it has when its group is changed, broken or deleted, and
nobody else gets it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from allocator.ipam.requests import Claim, Terms
from purelb.addresses import IPAddress
from purelb.services import Port, ServiceKey


class Ledger:
    """Claims by Service and by address. Several Services may hold one address, by right or not; see ``rivals``."""

    def __init__(self) -> None:
        self._claims: dict[ServiceKey, Claim] = {}
        self._holders: dict[IPAddress, tuple[ServiceKey, ...]] = {}
        self._shared: dict[str, set[IPAddress]] = {}

    def __len__(self) -> int:
        return len(self._claims)

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def claim(self, service: ServiceKey) -> Claim | None:
        """What ``service`` holds; None for nothing."""
        return self._claims.get(service)

    def addresses(self) -> Iterable[IPAddress]:
        """Every address that is held, once."""
        return self._holders.keys()

    def is_held(self, address: IPAddress) -> bool:
        """Whether any Service holds ``address``."""
        return address in self._holders

    def holders(self, address: IPAddress) -> list[Claim]:
        """The claims on ``address``."""
        return [self._claims[service] for service in self._holders.get(address, ())]

    def shared_by(self, key: str) -> list[IPAddress]:
        """The addresses held under a sharing key, the lowest first."""
        return sorted(self._shared.get(key, ()), key=lambda address: (address.version, int(address)))

    def hold(self, claim: Claim) -> tuple[list[IPAddress], list[IPAddress]]:
        """Record a claim in place of the Service's earlier one. Returns which addresses became held, and which free."""
        freed = self.drop(claim.service) if claim.service in self._claims else []
        taken: list[IPAddress] = []
        self._claims[claim.service] = claim
        for address in claim.addresses:
            others = self._holders.get(address)
            if others is None and address not in freed:
                taken.append(address)
            self._holders[address] = (*others, claim.service) if others else (claim.service,)
            if claim.terms.key:
                self._shared.setdefault(claim.terms.key, set()).add(address)
        return taken, [address for address in freed if address not in claim.addresses]

    def drop(self, service: ServiceKey) -> list[IPAddress]:
        """Forget what ``service`` holds. Returns the addresses that nobody holds any more."""
        claim = self._claims.pop(service, None)
        freed: list[IPAddress] = []
        if claim is None:
            return freed
        for address in claim.addresses:
            holders = self._holders[address]
            if len(holders) > 1:
                self._holders[address] = tuple(other for other in holders if other != service)
            else:
                del self._holders[address]
                freed.append(address)
            if claim.terms.key:
                self._forget_key(claim.terms.key, address)
        return freed

    def _forget_key(self, key: str, address: IPAddress) -> None:
        if any(other.terms.key == key for other in self.holders(address)):
            return
        self._shared[key].discard(address)
        if not self._shared[key]:
            del self._shared[key]

    def rivals(self, address: IPAddress, service: ServiceKey, terms: Terms) -> list[Claim]:
        """The other Services on ``address`` with which ``service`` can't share it on ``terms``."""
        return [
            other
            for other in self.holders(address)
            if other.service != service and not (_same_key(other.terms, terms) and not _collisions(other.terms, terms))
        ]

    def is_contested(self, service: ServiceKey) -> bool:
        """Whether another is on an address of ``service`` without sharing it by right."""
        claim = self._claims.get(service)
        return claim is not None and any(self.rivals(address, service, claim.terms) for address in claim.addresses)

    def usurper(self, claim: Claim, address: IPAddress) -> Claim | None:
        """The senior on ``address`` that has the better right to it."""
        for rival in self.rivals(address, claim.service, claim.terms):
            if not _once_shared(claim.terms, rival.terms) and rival.seniority < claim.seniority:
                return rival
        return None


def _once_shared(one: Terms, other: Terms) -> bool:
    """Whether two on one address can have come there by right, so that each keeps it whatever became of its terms.

    Two that carry a key each may have changed it, or their ports. Of two with one key between them, the other's may
    have been taken away; if their ports collide, it never was there.
    """
    if one.key and other.key:
        return True
    return bool(one.key or other.key) and not _collisions(one, other)


def _same_key(one: Terms, other: Terms) -> bool:
    return bool(one.key) and one.key == other.key


def _collisions(one: Terms, other: Terms) -> frozenset[Port]:
    return one.ports & other.ports


def collision(rivals: Iterable[Claim], terms: Terms) -> tuple[Port, Claim] | None:
    """The first port of ``terms`` that a rival with the same key uses, and that rival; None if no key is the same."""
    for rival in rivals:
        ports = _collisions(rival.terms, terms)
        if _same_key(rival.terms, terms) and ports:
            return min(ports), rival
    return None
