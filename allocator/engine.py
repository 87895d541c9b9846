"""IPAM: requests in, decisions out. Pure: no Kubernetes, no clock, no I/O.

The engine owns the only account of who holds what. It is rebuilt from what Services show (``restore``), and the same
state and the same request always lead to the same decision. A decision is a reservation: the addresses are held from
then on, whether or not they were written yet, until ``release``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from allocator.groups import Groups, RangeIndex
from allocator.ledger import Ledger, collision
from allocator.pools import Pool
from allocator.requests import Answer, Claim, Decision, Reason, Refusal, Request, Terms
from allocator.waiting import WaitingRoom
from purelb.addresses import Family, IPAddress, family_of
from purelb.resources import PoolSource, ServiceGroup
from purelb.services import ServiceKey

_ADDRESS_FAMILY = {Family.IPV4: 2, Family.IPV6: 10}
"""How PureLB's refusals name a family: Linux's AF_INET and AF_INET6."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How full one group is in one family; sizes can exceed 64 bits."""

    group: str
    family: Family
    size: int
    in_use: int


class Engine:
    """Decides which Service gets which addresses. Not thread-safe: one writer."""

    def __init__(self) -> None:
        self._groups = Groups()
        self._pools: dict[str, list[Pool]] = {}
        self._index: RangeIndex[Pool] = RangeIndex()
        self._ledger = Ledger()
        self._waiting = WaitingRoom()
        self._has_news = False

    # --- configuration and state -------------------------------------------------------------------------------------

    def configure(self, groups: Groups) -> None:
        """Serve ``groups`` from now on. Nobody loses an address by it."""
        self._groups = groups
        self._pools = {group.name: [Pool(pool) for pool in group.pools] for group in groups.served.values()}
        self._index = RangeIndex()
        for pool in chain.from_iterable(self._pools.values()):
            self._index.add(pool.spec.range, pool)
        for address in self._ledger.addresses():
            if found := self._index.find(address):
                found.take(address)
        self._has_news = True

    def restore(self, claim: Claim) -> None:
        """Learn what a Service holds, as its status shows it; replaces what was known of that Service."""
        self._hold(claim)

    def release(self, service: ServiceKey) -> None:
        """Forget a Service: what it holds is free again, and it waits no more."""
        self.stop_waiting(service)
        self.forfeit(service)

    def forfeit(self, service: ServiceKey) -> None:
        """What a Service holds is free again, but if it waits it waits on."""
        self._put_back(self._ledger.drop(service))

    def stop_waiting(self, service: ServiceKey) -> None:
        """A Service is content with what it holds."""
        self._waiting.leave(service)

    def claim(self, service: ServiceKey) -> Claim | None:
        """What a Service holds."""
        return self._ledger.claim(service)

    def owner(self, address: IPAddress) -> str | None:
        """The name of the group whose pool holds ``address``."""
        owner = self._groups.owner(address)
        return owner.name if owner is not None else None

    def is_contested(self, service: ServiceKey) -> bool:
        """Whether another Service is on an address of ``service`` without sharing it by right."""
        return self._ledger.is_contested(service)

    def is_incomplete(self, request: Request) -> bool:
        """Whether a Service that holds addresses of a group should have others: ipFamilies or ranges have changed."""
        claim = self._ledger.claim(request.service)
        group = self._groups.served.get(claim.groups[0]) if claim is not None and len(claim.groups) == 1 else None
        if claim is None or group is None or not isinstance(group.source, PoolSource):
            return False
        wanted = set(_wanted(request, group.source))
        held = {family_of(address) for address in claim.addresses}
        if wanted and wanted != held:
            return True
        multi_pool = group.source.multi_pool if request.multi_pool is None else request.multi_pool
        return multi_pool and any(
            pool.spec.family in held
            and not any(address in pool.spec.range for address in claim.addresses)
            and pool.first_free() is not None
            for pool in self._pools[group.name]
        )

    def usurped(self, service: ServiceKey) -> Claim | None:
        """A senior Service that holds an address of ``service``, which has to move away; None if it may stay."""
        claim = self._ledger.claim(service)
        if claim is None or not claim.is_ours:
            return None
        return next((senior for address in claim.addresses if (senior := self._ledger.usurper(claim, address))), None)

    def quarrel(self, service: ServiceKey) -> Refusal | None:
        """Why ``service`` could not get today what it holds and keeps, another being on it too; None if all is well.

        So it is when ports or keys of Services that share are changed later, and when another controller gives a
        Service of its own an address of ours.
        """
        claim = self._ledger.claim(service)
        if claim is None or not claim.is_ours:
            return None
        for address in claim.addresses:
            rivals = [
                rival
                for rival in self._ledger.rivals(address, service, claim.terms)
                if rival.seniority < claim.seniority or not rival.is_ours
            ]
            if rivals:
                return self._conflict(service, claim.terms, address, rivals)
        return None

    def usage(self) -> Iterator[Usage]:
        """How full every group is, by family."""
        for name, pools in self._pools.items():
            for family in Family:
                ours = [pool for pool in pools if pool.spec.family is family]
                if ours:
                    yield Usage(name, family, sum(pool.size for pool in ours), sum(pool.in_use for pool in ours))

    def stranded(self) -> dict[str, int]:
        """By group, the Services that hold an address which their group has no more."""
        count: dict[str, int] = {}
        for claim in self._ledger:
            names = claim.groups * len(claim.addresses) if len(claim.groups) == 1 else claim.groups
            lost = set()
            for name, address in zip(names, claim.addresses, strict=False):
                group = self._groups.served.get(name)
                if group is None or group.pool_of(address) is None:
                    lost.add(name)
            for name in lost:
                count[name] = count.get(name, 0) + 1
        return count

    # --- decisions ---------------------------------------------------------------------------------------------------

    def decide(self, request: Request) -> Answer:
        """Addresses for a Service: those it holds as far as they fit, others where they don't; all or none.

        A refused Service keeps what it holds, and waits: ``wake`` finds it once it can be served.
        """
        answer = self._choose(request)
        match answer:
            case Decision():
                self._waiting.leave(request.service)
                self._hold(Claim(request.service, request.seniority, answer.addresses, answer.groups, request.terms))
            case Refusal():
                holds_addresses = self._ledger.claim(request.service) is not None
                self._waiting.enter(request, holds_addresses=holds_addresses)
        return answer

    def wake(self) -> list[ServiceKey]:
        """Serve who waits, the oldest first, if anything changed since; returns whom: ask ``decide`` what they got."""
        if not self._has_news:
            return []
        self._has_news = False
        return self._waiting.serve(lambda request: isinstance(self.decide(request), Decision))

    @property
    def waiting(self) -> int:
        """How many Services wait for an address."""
        return len(self._waiting)

    # --- choosing ----------------------------------------------------------------------------------------------------

    def _choose(self, request: Request) -> Answer:
        if request.pinned:
            return self._choose_pinned(request)
        chosen = self._groups.choose(request.group, request.service.namespace)
        if isinstance(chosen, Refusal):
            return chosen
        group, warning = chosen
        source = group.source
        assert isinstance(source, PoolSource), "only pools are admitted"
        multi_pool = source.multi_pool if request.multi_pool is None else request.multi_pool
        if multi_pool and (refusal := _refuse_multi_pool(request, group, source)):
            return refusal
        claim = self._ledger.claim(request.service)
        kept: list[IPAddress] = []
        if claim is not None and claim.groups == (group.name,):
            kept = [
                address
                for address in claim.addresses
                if self._ledger.usurper(claim, address) is None
                and not (request.moves and group.pool_of(address) is None)
            ]
        addresses = self._pick_all(request, group, kept) if multi_pool else self._pick(request, group, source, kept)
        if isinstance(addresses, Refusal):
            return addresses
        return Decision(
            tuple(addresses),
            (group.name,),
            source.scope,
            skip_ipv6_dad=source.skip_ipv6_dad,
            is_multi_pool=multi_pool,
            warning=warning,
        )

    def _choose_pinned(self, request: Request) -> Answer:
        owners: list[ServiceGroup] = []
        for address in request.pinned:
            if request.families and family_of(address) not in request.families:
                has = " and ".join(map(str, request.families))
                return Refusal(Reason.OTHER, f'"{address}" is {family_of(address)}, but the Service has only {has}')
            owner = self._groups.owner(address)
            if owner is None:
                return Refusal(Reason.OTHER, f'"{address}" does not belong to any group', "<unknown>")
            if request.insists_on_group and request.group is not None and request.group != owner.name:
                sentence = f'"{address}" belongs to group {owner.name} but desired group is {request.group}'
                return Refusal(Reason.OTHER, sentence, owner.name)
            if denied := self._groups.deny(owner, request.service.namespace):
                return denied
            rivals = self._ledger.rivals(address, request.service, request.terms)
            if rivals:
                return self._conflict(request.service, request.terms, address, rivals)
            owners.append(owner)
        sources = [owner.source for owner in owners]
        first = sources[0]
        assert isinstance(first, PoolSource), "only pools are admitted"
        return Decision(
            request.pinned,
            tuple(owner.name for owner in owners),
            first.scope,
            skip_ipv6_dad=any(isinstance(source, PoolSource) and source.skip_ipv6_dad for source in sources),
        )

    def _pick(
        self, request: Request, group: ServiceGroup, source: PoolSource, kept: list[IPAddress]
    ) -> list[IPAddress] | Refusal:
        """One address per family."""
        families = _wanted(request, source)
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
                return _exhausted(request, group, family, offers=any(pool.family is family for pool in source.pools))
            addresses.append(address)
        return addresses

    def _pick_all(self, request: Request, group: ServiceGroup, kept: list[IPAddress]) -> list[IPAddress] | Refusal:
        """One address per range of the families asked for, what is held included."""
        families = request.families or (Family.IPV4,)
        addresses = [address for address in kept if family_of(address) in families]
        for family in families:
            for pool in self._pools[group.name]:
                if pool.spec.family is not family or any(address in pool.spec.range for address in addresses):
                    continue
                free = pool.first_free()
                if free is not None:
                    addresses.append(free)
            if not any(family_of(address) is family for address in addresses):
                offers = any(pool.spec.family is family for pool in self._pools[group.name])
                return _exhausted(request, group, family, offers=offers)
        return addresses

    def _first(self, request: Request, group: ServiceGroup, family: Family) -> IPAddress | None:
        """One that the sharing key is bound to, else the first that is free; the pools in their order."""
        pools = [pool for pool in self._pools[group.name] if pool.spec.family is family]
        if request.terms.key:
            for shared in self._ledger.shared_by(request.terms.key):
                fits = not self._ledger.rivals(shared, request.service, request.terms)
                if fits and any(shared in pool.spec.range for pool in pools):
                    return shared
        elif isinstance(group.source, PoolSource) and group.source.balance_pools:
            pools.sort(key=lambda pool: pool.in_use)
        return next((address for pool in pools if (address := pool.first_free()) is not None), None)

    def _conflict(self, service: ServiceKey, terms: Terms, address: IPAddress, rivals: list[Claim]) -> Refusal:
        owner = self._groups.owner(address)
        label = owner.name if owner is not None else "<unknown>"
        if clash := collision(rivals, terms):
            port, rival = clash
            sentence = f'port {port} on "{address}" is already in use by {rival.service}'
            return Refusal(Reason.PORT_CONFLICT, sentence, label)
        others = ",".join(sorted(str(rival.service) for rival in rivals))
        sentence = f'can\'t change sharing key for "{service}", address also in use by {others}'
        return Refusal(Reason.SHARING_KEY_CONFLICT, sentence, label)

    # --- bookkeeping -------------------------------------------------------------------------------------------------

    def _hold(self, claim: Claim) -> None:
        before = self._ledger.claim(claim.service)
        if before == claim:
            return
        taken, freed = self._ledger.hold(claim)
        for address in taken:
            pool = self._index.find(address)
            if pool is not None:
                pool.take(address)
        self._put_back(freed)
        if claim.terms.key or (before is not None and before.terms != claim.terms):
            self._has_news = True  # one who waits may share this

    def _put_back(self, addresses: set[IPAddress]) -> None:
        for address in addresses:
            pool = self._index.find(address)
            if pool is not None:
                pool.put_back(address)
            self._has_news = True


def _wanted(request: Request, source: PoolSource) -> tuple[Family, ...]:
    """The families that a Service is to have an address of; PreferDualStack is content with those that there are."""
    offered = {pool.family for pool in source.pools}
    if request.takes_one_family and offered.intersection(request.families):
        return tuple(family for family in request.families if family in offered)
    return request.families


def _exhausted(request: Request, group: ServiceGroup, family: Family, *, offers: bool) -> Refusal:
    why = f'pool "{group.name}" is exhausted' if offers else f'pool "{group.name}" has no {family} range'
    number = _ADDRESS_FAMILY[family]
    sentence = f"no available addresses for service {request.service} in family {number}: {why}"
    return Refusal(Reason.EXHAUSTED, sentence, group.name)


def _refuse_multi_pool(request: Request, group: ServiceGroup, source: PoolSource) -> Refusal | None:
    if source.balance_pools:
        sentence = f"multi-pool and balancePools allocation are mutually exclusive for pool {group.name}"
    elif request.terms.key:
        sentence = "multi-pool allocation cannot be combined with IP sharing (annotation purelb.io/allow-shared-ip)"
    else:
        return None
    return Refusal(Reason.MULTI_POOL_REFUSED, sentence, group.name)
