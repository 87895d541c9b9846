"""Which free or shareable addresses of one group's pools a Service gets. Pure: it looks, and takes nothing.

Whose turn it is, which group serves whom, and what becomes of the answer is engine.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from allocator.ipam.groups import Groups
from allocator.ipam.ledger import Ledger
from allocator.ipam.pools import NOTHING_BARRED, Pool
from allocator.ipam.requests import Reason, Refusal, Request
from allocator.ipam.sharing import conflict
from purelb import names
from purelb.addresses import Family, IPAddress, family_of
from purelb.forbidden import Barred
from purelb.servicegroups import PoolSource, ServiceGroup

_ADDRESS_FAMILY = {Family.IPV4: 2, Family.IPV6: 10}
"""How PureLB's refusals name a family: Linux's AF_INET and AF_INET6."""


_MORE: Final = "give the ServiceGroup more addresses; the Service gets one as soon as there is one"


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
    elif (ranges := _ranges_of(request, source)) > group.max_addresses:
        sentence = f"multi-pool allocation would take {ranges} addresses, one of each range"
        return Refusal(Reason.MULTI_POOL_REFUSED, sentence, group.name, _most(group))
    else:
        return None
    return Refusal(Reason.MULTI_POOL_REFUSED, sentence, group.name)


def refuse_barred(address: IPAddress, barred: Barred, ledger: Ledger, group: ServiceGroup) -> Refusal | None:
    """Why nobody can have ``address``; None if it can be given."""
    reason = barred.reason(address)
    if reason is None or stays(address, barred, ledger):
        return None
    return Refusal(Reason.OTHER, f'"{address}" {reason}', group.name, "no Service can have it")


def stays(address: IPAddress, barred: Barred, ledger: Ledger) -> bool:
    """Whether an address that a node lists may be given all the same, as Services of ours have it already.

    Some cloud providers list what they find on a node's NIC, our addresses among it. Where it is the node's own after
    all, who has it is told so, and one more on it changes nothing.
    """
    return barred.is_listed_only(address) and any(
        holder.is_ours and address in holder.addresses for holder in ledger.holders(address)
    )


def too_many(request: Request, group: ServiceGroup) -> Refusal | None:
    """Why a Service can't have as many addresses as it pins; None if it can."""
    if len(request.pinned) <= group.max_addresses:
        return None
    return Refusal(Reason.OTHER, f"{len(request.pinned)} addresses are asked for", group.name, _most(group))


def _most(group: ServiceGroup) -> str:
    return f'ServiceGroup "{group.name}" gives a Service {group.max_addresses} at most (maxAddressesPerService)'


def _ranges_of(request: Request, source: PoolSource) -> int:
    families = request.families or (Family.IPV4,)
    return sum(pool.family in families for pool in source.pools)


@dataclass(frozen=True, slots=True)
class Picker:
    """Picks from the pools of one configuration, in the light of who holds what."""

    pools: Mapping[str, Sequence[Pool]]
    """By group."""
    ledger: Ledger
    groups: Groups = field(default_factory=Groups)
    barred: Barred = NOTHING_BARRED

    def refuse(self, request: Request, group: ServiceGroup, address: IPAddress) -> Refusal | None:
        """Why a Service can't have ``address`` of this group, which it pins; None if it can."""
        if barred := refuse_barred(address, self.barred, self.ledger, group):
            return barred
        across = group.share_across_namespaces
        if rivals := self.ledger.rivals(address, request.service, request.terms, across=across):
            return conflict(address, request.service, request.terms, rivals, across=across, group=group.name)
        bound = self._bound(request, group, family_of(address))
        if bound and address not in bound:
            sentence = f'sharing key "{request.terms.key}" is bound to {bound[0]}, cannot use {address}'
            advice = f"ask for {bound[0]}, or give this Service another {names.ALLOW_SHARED_IP}"
            return Refusal(Reason.SHARING_KEY_CONFLICT, sentence, group.name, advice)
        return None

    def pick(
        self, request: Request, group: ServiceGroup, source: PoolSource, kept: list[IPAddress]
    ) -> list[IPAddress] | Refusal:
        """One address per family; ``kept`` are those that the Service has already."""
        families = wanted_families(request, source, frozenset(map(family_of, kept)))
        if not families:
            return kept[:1] or self._any(request, group)
        addresses: list[IPAddress] = []
        for family in families:
            address = next((held for held in kept if family_of(held) is family), None)
            found = address if address is not None else self._first(request, group, family)
            if isinstance(found, Refusal):
                return found
            addresses.append(found)
        return addresses

    def _any(self, request: Request, group: ServiceGroup) -> list[IPAddress] | Refusal:
        """One address of whichever family has one, IPv6 first."""
        for family in (Family.IPV6, Family.IPV4):
            found = self._first(request, group, family)
            if not isinstance(found, Refusal):
                return [found]
            if found.reason is not Reason.EXHAUSTED:
                return found
        return Refusal(Reason.EXHAUSTED, "no available addresses in pool", group.name, _MORE)

    def pick_every_range(
        self, request: Request, group: ServiceGroup, kept: list[IPAddress]
    ) -> list[IPAddress] | Refusal:
        """One address per range of the families asked for, what is held included."""
        families = request.families or (Family.IPV4,)
        addresses = [address for address in kept if family_of(address) in families]
        for family in families:
            for pool in self.pools[group.name]:
                if pool.family is not family or any(address in pool.spec.range for address in kept):
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

    def _first(self, request: Request, group: ServiceGroup, family: Family) -> IPAddress | Refusal:
        """The one that the sharing key is bound to, else the first that is free; the pools in their order."""
        if bound := self._bound(request, group, family):
            across = group.share_across_namespaces
            for address in bound:
                if not self.ledger.rivals(address, request.service, request.terms, across=across):
                    return address
            rivals = self.ledger.rivals(bound[0], request.service, request.terms, across=across)
            return conflict(bound[0], request.service, request.terms, rivals, across=across, group=group.name)
        pools = [pool for pool in self.pools[group.name] if pool.family is family]
        if isinstance(group.source, PoolSource) and group.source.balance_pools and not request.terms.key:
            pools.sort(key=lambda pool: pool.in_use)
        free = next((found for pool in pools if (found := pool.first_free()) is not None), None)
        return free if free is not None else self._exhausted(request, group, family)

    def _bound(self, request: Request, group: ServiceGroup, family: Family) -> list[IPAddress]:
        """What others hold of this group under the Service's sharing key: one address, if it was always so (PureLB
        v0.17: a key is bound to one address per pool and family).
        """
        if not request.terms.key:
            return []
        across = group.share_across_namespaces
        return [
            address
            for address in self.ledger.shared_by(request.service, request.terms.key, across=across)
            if family_of(address) is family
            and self.groups.index.find(address) == group.name
            and (self.barred.reason(address) is None or stays(address, self.barred, self.ledger))
        ]

    def _exhausted(self, request: Request, group: ServiceGroup, family: Family) -> Refusal:
        offers = any(pool.family is family for pool in self.pools[group.name])
        why = f'pool "{group.name}" is exhausted' if offers else f'pool "{group.name}" has no {family} range'
        number = _ADDRESS_FAMILY[family]
        sentence = f"no available addresses for service {request.service} in family {number} ({family}): {why}"
        advice = _MORE if offers else f"give it one, or take {family} from the Service's ipFamilies"
        return Refusal(Reason.EXHAUSTED, sentence, group.name, advice)
