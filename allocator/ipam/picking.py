"""Which free or shareable addresses of one group's pools a Service gets. Pure: it looks, and takes nothing.

Whose turn it is, which group serves whom, and what becomes of the answer is engine.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from allocator.ipam.ledger import Ledger
from allocator.ipam.pools import Pool
from allocator.ipam.requests import Reason, Refusal, Request
from purelb.addresses import Family, IPAddress, family_of
from purelb.servicegroups import PoolSource, ServiceGroup

_ADDRESS_FAMILY = {Family.IPV4: 2, Family.IPV6: 10}
"""How PureLB's refusals name a family: Linux's AF_INET and AF_INET6."""


def wanted_families(request: Request, source: PoolSource, held: frozenset[Family] = frozenset()) -> tuple[Family, ...]:
    """The families that a Service is to have an address of.

    PreferDualStack is content with those that there are, but a family that the Service has isn't taken from it because
    its group lost it.
    """
    if request.takes_one_family:
        there = {pool.family for pool in source.pools} | held
        return tuple(family for family in request.families if family in there) or request.families
    return request.families


def wants_every_range(request: Request, source: PoolSource) -> bool:
    """Whether a Service is to have an address of each range (multi-pool): its annotation wins over its group."""
    return source.multi_pool if request.multi_pool is None else request.multi_pool


def refuse_every_range(request: Request, group: ServiceGroup, source: PoolSource) -> Refusal | None:
    """Why a Service can't have an address of each range, in PureLB's words."""
    if source.balance_pools:
        sentence = f"multi-pool and balancePools allocation are mutually exclusive for pool {group.name}"
    elif request.terms.key:
        sentence = "multi-pool allocation cannot be combined with IP sharing (annotation purelb.io/allow-shared-ip)"
    else:
        return None
    return Refusal(Reason.MULTI_POOL_REFUSED, sentence, group.name)


@dataclass(frozen=True, slots=True)
class Picker:
    """Picks from the pools of one configuration, in the light of who holds what."""

    pools: Mapping[str, Sequence[Pool]]
    """By group."""
    ledger: Ledger

    def pick(
        self, request: Request, group: ServiceGroup, source: PoolSource, kept: list[IPAddress]
    ) -> list[IPAddress] | Refusal:
        """One address per family; ``kept`` are those that the Service has already."""
        families = wanted_families(request, source, frozenset(map(family_of, kept)))
        if not families:
            anything = kept[:1] or [
                address
                for family in (Family.IPV6, Family.IPV4)
                if (address := self._first(request, group, family)) is not None
            ]
            return anything[:1] or Refusal(Reason.EXHAUSTED, "no available addresses in pool", group.name)
        addresses: list[IPAddress] = []
        for family in families:
            address = next((held for held in kept if family_of(held) is family), None)
            if address is None:
                address = self._first(request, group, family)
            if address is None:
                return self._exhausted(request, group, family)
            addresses.append(address)
        return addresses

    def pick_every_range(
        self, request: Request, group: ServiceGroup, kept: list[IPAddress]
    ) -> list[IPAddress] | Refusal:
        """One address per range of the families asked for, what is held included."""
        families = request.families or (Family.IPV4,)
        addresses = [address for address in kept if family_of(address) in families]
        for family in families:
            for pool in self.pools[group.name]:
                if pool.family is not family or any(address in pool.spec.range for address in addresses):
                    continue
                free = pool.first_free()
                if free is not None:
                    addresses.append(free)
            if not any(family_of(address) is family for address in addresses):
                return self._exhausted(request, group, family)
        return addresses

    def lacks_a_range(self, group: ServiceGroup, addresses: Sequence[IPAddress], *, free_only: bool) -> bool:
        """Whether a range of the families of ``addresses`` has none of them; ``free_only`` looks at those with room."""
        families = set(map(family_of, addresses))
        return any(
            pool.family in families
            and not any(address in pool.spec.range for address in addresses)
            and not (free_only and pool.first_free() is None)
            for pool in self.pools[group.name]
        )

    def _first(self, request: Request, group: ServiceGroup, family: Family) -> IPAddress | None:
        """One that the sharing key is bound to, else the first that is free; the pools in their order."""
        pools = [pool for pool in self.pools[group.name] if pool.family is family]
        if request.terms.key:
            for shared in self.ledger.shared_by(request.terms.key):
                fits = not self.ledger.rivals(shared, request.service, request.terms)
                if fits and any(shared in pool.spec.range for pool in pools):
                    return shared
        elif isinstance(group.source, PoolSource) and group.source.balance_pools:
            pools.sort(key=lambda pool: pool.in_use)
        return next((address for pool in pools if (address := pool.first_free()) is not None), None)

    def _exhausted(self, request: Request, group: ServiceGroup, family: Family) -> Refusal:
        offers = any(pool.family is family for pool in self.pools[group.name])
        why = f'pool "{group.name}" is exhausted' if offers else f'pool "{group.name}" has no {family} range'
        number = _ADDRESS_FAMILY[family]
        sentence = f"no available addresses for service {request.service} in family {number}: {why}"
        return Refusal(Reason.EXHAUSTED, sentence, group.name)
