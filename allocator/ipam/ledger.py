"""Who holds which address. Pure; it decides nothing and knows no pool.

Addresses outside every pool are kept too: a Service keeps what it has when its group is changed, broken or deleted, and
nobody else gets it meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from allocator.ipam.requests import Claim, Terms
from allocator.ipam.sharing import Tenants
from purelb.addresses import IPAddress
from purelb.services import ServiceKey


class Ledger:
    """Claims by Service and by address. Several Services may hold one address, by right or not; see ``rivals``.

    ``across``, wherever it is asked for, is whether sharing keys count across namespaces for that address.
    """

    def __init__(self) -> None:
        self._claims: dict[ServiceKey, Claim] = {}
        self._tenants: dict[IPAddress, Tenants] = {}
        self._shared: dict[tuple[str | None, str], Counter[IPAddress]] = {}
        """By namespace (None: all of them) and sharing key, how many hold each address under it."""

    def __len__(self) -> int:
        return len(self._claims)

    def __iter__(self) -> Iterator[Claim]:
        return iter(self._claims.values())

    def claim(self, service: ServiceKey) -> Claim | None:
        """What ``service`` holds; None for nothing."""
        return self._claims.get(service)

    def addresses(self) -> Iterable[IPAddress]:
        """Every address that is held, once."""
        return self._tenants.keys()

    def is_held(self, address: IPAddress) -> bool:
        """Whether any Service holds ``address``."""
        return address in self._tenants

    def holders(self, address: IPAddress) -> Iterable[Claim]:
        """The claims on ``address``."""
        return self._tenants.get(address, ())

    def shared_by(self, service: ServiceKey, key: str, *, across: bool) -> list[IPAddress]:
        """The addresses that others than ``service`` hold under its sharing key, the lowest first."""
        realm = None if across else service.namespace
        own = self._claims.get(service)
        mine = own.addresses if own is not None and own.terms.key == key else ()
        held = self._shared.get((realm, key), Counter())
        return sorted(
            (address for address, count in held.items() if count > (address in mine)),
            key=lambda address: (address.version, int(address)),
        )

    def hold(self, claim: Claim) -> tuple[list[IPAddress], list[IPAddress]]:
        """Record a claim in place of the Service's earlier one. Returns which addresses became held, and which free."""
        freed = dict.fromkeys(self.drop(claim.service))
        taken: list[IPAddress] = []
        self._claims[claim.service] = claim
        for address in claim.reserved:
            tenants = self._tenants.get(address)
            if tenants is None:
                tenants = self._tenants[address] = Tenants()
                if address not in freed:
                    taken.append(address)
            freed.pop(address, None)
            tenants.enter(claim)
            self._count_key(claim, address, 1)
        return taken, list(freed)

    def drop(self, service: ServiceKey) -> list[IPAddress]:
        """Forget what ``service`` holds. Returns the addresses that nobody holds any more."""
        claim = self._claims.pop(service, None)
        freed: list[IPAddress] = []
        for address in claim.reserved if claim is not None else ():
            tenants = self._tenants[address]
            tenants.leave(service)
            if not len(tenants):
                del self._tenants[address]
                freed.append(address)
            assert claim is not None
            self._count_key(claim, address, -1)
        return freed

    def _count_key(self, claim: Claim, address: IPAddress, step: int) -> None:
        if not claim.terms.key or address not in claim.addresses:
            return
        for realm in (claim.service.namespace, None):
            held = self._shared.setdefault((realm, claim.terms.key), Counter())
            held[address] += step
            if not held[address]:
                del held[address]
            if not held:
                del self._shared[realm, claim.terms.key]

    def rivals(self, address: IPAddress, service: ServiceKey, terms: Terms, *, across: bool) -> list[Claim]:
        """The other Services on ``address`` with which ``service`` can't share it on ``terms``."""
        tenants = self._tenants.get(address)
        return tenants.rivals(service, terms, across=across) if tenants is not None else []

    def usurper(self, claim: Claim, address: IPAddress, *, across: bool) -> Claim | None:
        """The senior on ``address`` that has the better right to it."""
        for rival in self.rivals(address, claim.service, claim.terms, across=across):
            is_its_own = address in rival.addresses  # else somebody wrote it there, and it goes again
            if is_its_own and not _once_shared(claim.terms, rival.terms) and rival.seniority < claim.seniority:
                return rival
        return None


def _once_shared(one: Terms, other: Terms) -> bool:
    """Whether two on one address can have come there by right, so that each keeps it whatever became of its terms.

    Two that carry a key each may have changed it, or their ports. Of two with one key between them, the other's may
    have been taken away; if their ports collide, it never was there.
    """
    if one.key and other.key:
        return True
    return bool(one.key or other.key) and not one.ports & other.ports
