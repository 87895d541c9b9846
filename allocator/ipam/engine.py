"""IPAM: requests in, decisions out. Pure: no Kubernetes, no clock, no I/O.

The engine owns the only account of who holds what. It is rebuilt from what Services show (``restore``), and the same
state and the same request always lead to the same decision. A decision is a reservation: the addresses are held from
then on, whether or not they were written yet, until ``release``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from allocator.ipam.grants import Grants
from allocator.ipam.groups import Groups, RangeIndex, Stray
from allocator.ipam.ledger import Ledger
from allocator.ipam.picking import Picker, refuse_every_range, too_many, wanted_families, wants_every_range
from allocator.ipam.pools import NOTHING_BARRED, Pool
from allocator.ipam.requests import Answer, Claim, Consultation, Decision, Reason, Refusal, Request
from allocator.ipam.sharing import conflict
from allocator.ipam.waiting import WaitingRoom
from purelb.addresses import Family, IPAddress, family_of
from purelb.forbidden import Barred
from purelb.servicegroups import PoolSource, ServiceGroup
from purelb.services import ServiceKey


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
        self._picker = Picker({}, self._ledger)
        self._grants = Grants(self._ledger)
        self._waiting = WaitingRoom()
        self._barred = NOTHING_BARRED
        self._has_news = False

    # --- configuration and state -------------------------------------------------------------------------------------

    def configure(self, groups: Groups, barred: Barred | None = None) -> None:
        """Serve ``groups`` from now on, without what is barred (None: as before). Nobody loses an address by it."""
        self._groups = groups
        self._barred = barred if barred is not None else self._barred
        self._pools = {
            group.name: [Pool(pool, self._barred) for pool in group.pools] for group in groups.served.values()
        }
        self._picker = Picker(self._pools, self._ledger, groups, self._barred)
        self._index = RangeIndex()
        for pool in chain.from_iterable(self._pools.values()):
            self._index.add(pool.spec.range, pool)
        for address in self._ledger.addresses():
            if found := self._index.find(address):
                found.take(address)
        self._has_news = True

    def forbid(self, barred: Barred) -> bool:
        """Give none of these addresses from now on. Nobody loses one by it: see ``barred``. False if it is no news."""
        if barred == self._barred:
            return False
        self.configure(self._groups, barred)
        return True

    def restore(self, claim: Claim) -> None:
        """Learn what a Service holds, as its status shows it; replaces what was known of that Service."""
        self._hold(claim)

    def release(self, service: ServiceKey) -> None:
        """Forget a Service: what it holds is free again, and it waits no more."""
        self.stop_waiting(service)
        self._grants.drop(service)
        self.forfeit(service)

    def forfeit(self, service: ServiceKey) -> None:
        """What a Service holds is free again, but if it waits it waits on."""
        self._put_back(self._ledger.drop(service))

    def stop_waiting(self, service: ServiceKey) -> None:
        """A Service is content with what it holds."""
        self._waiting.leave(service)

    def grant(self, service: ServiceKey, group: str, addresses: tuple[IPAddress, ...]) -> None:
        """Whoever keeps the addresses of ``group`` has given these, all of them, to a Service: ``decide`` again."""
        self._grants.add(service, group, addresses)

    def granted(self, service: ServiceKey, group: str) -> tuple[IPAddress, ...]:
        """What was granted to a Service and not decided upon yet."""
        return self._grants.of(service, group)

    def asking(self, group: str) -> list[ServiceKey]:
        """Who waits for an answer from those who keep the addresses of ``group``."""
        return self._grants.asking(group)

    def is_spoken_for(self, address: IPAddress) -> bool:
        """Whether anybody holds ``address`` or is granted it."""
        return self._ledger.is_held(address) or self._grants.include(address)

    def claim(self, service: ServiceKey) -> Claim | None:
        """What a Service holds."""
        return self._ledger.claim(service)

    def groups(self, names: Iterable[str]) -> list[ServiceGroup]:
        """Those of these groups that are served."""
        return [group for name in names if (group := self._groups.served.get(name)) is not None]

    def owner(self, address: IPAddress) -> str | None:
        """The name of the group whose pool holds ``address``."""
        owner = self._groups.owner(address)
        return owner.name if owner is not None else None

    def may_give(self, address: IPAddress, groups: Collection[str]) -> bool:
        """Whether an address can be from a pool of one of these groups."""
        owner = self._groups.owner(address)
        return owner is not None and owner.name in groups and self._barred.reason(address) is None

    def is_contested(self, service: ServiceKey) -> bool:
        """Whether another Service is on an address of ``service`` without sharing it by right."""
        claim = self._ledger.claim(service)
        return claim is not None and any(self._rivals(claim, address) for address in claim.addresses)

    def is_incomplete(self, request: Request) -> bool:
        """Whether a Service that holds addresses of a group should have others: ipFamilies or ranges have changed."""
        claim = self._ledger.claim(request.service)
        group = self._groups.served.get(claim.groups[0]) if claim is not None and len(claim.groups) == 1 else None
        if claim is None or group is None:
            return False
        if not isinstance(group.source, PoolSource):
            return self._grants.is_incomplete(request)
        held = frozenset(family_of(address) for address in claim.addresses)
        wanted = set(wanted_families(request, group.source, held))
        if wanted and wanted != held:
            return True
        return wants_every_range(request, group.source) and self._picker.lacks_a_range(
            group, claim.addresses, free_only=True
        )

    def usurped(self, service: ServiceKey) -> Claim | None:
        """A senior Service that holds an address of ``service``, which has to move away; None if it may stay."""
        claim = self._ledger.claim(service)
        if claim is None or not claim.is_ours:
            return None
        return next((senior for address in claim.addresses if (senior := self._usurper(claim, address))), None)

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
                for rival in self._rivals(claim, address)
                if rival.seniority < claim.seniority or not rival.is_ours
            ]
            if rivals:
                label = self.owner(address) or "<unknown>"
                across = self._across(address, claim.groups)
                return conflict(address, service, claim.terms, rivals, across=across, group=label)
        return None

    def usage(self) -> Iterator[Usage]:
        """How full every group is, by family."""
        for name, pools in self._pools.items():
            for family in Family:
                ours = [pool for pool in pools if pool.family is family]
                if ours:
                    yield Usage(name, family, sum(pool.size for pool in ours), sum(pool.in_use for pool in ours))

    def strays(self, service: ServiceKey) -> list[Stray]:
        """The addresses of a Service of ours that their group has no more."""
        claim = self._ledger.claim(service)
        return self._groups.strays(claim) if claim is not None and claim.is_ours else []

    def barred(self, service: ServiceKey) -> list[tuple[IPAddress, str]]:
        """The addresses of a Service of ours that nobody may be given today, and why."""
        claim = self._ledger.claim(service)
        addresses = claim.addresses if claim is not None and claim.is_ours else ()
        return [(address, reason) for address in addresses if (reason := self._barred.reason(address)) is not None]

    def stranded(self) -> dict[str, int]:
        """By group, the Services that hold an address which their group has no more."""
        count: Counter[str] = Counter()
        for claim in self._ledger:
            count.update({stray.group for stray in self._groups.strays(claim)})
        return dict(count)

    def companions(self, service: ServiceKey) -> list[ServiceKey]:
        """The other Services on the addresses of ``service``."""
        claim = self._ledger.claim(service)
        addresses = claim.addresses if claim is not None else ()
        others = {other.service for address in addresses for other in self._ledger.holders(address)}
        return sorted(others - {service})

    # --- decisions ---------------------------------------------------------------------------------------------------

    def decide(self, request: Request) -> Answer:
        """Addresses for a Service: those it holds as far as they fit, others where they don't; all or none.

        A refused Service keeps what it holds, and waits: ``wake`` finds it once it can be served.
        """
        answer, before = self._choose(request), self._ledger.claim(request.service)
        self._grants.concluded(request.service, answer)
        match answer:
            case Decision(addresses, groups):
                self._waiting.leave(request.service)
                shown = before.shown if before is not None else ()
                self._hold(Claim(request.service, request.seniority, addresses, groups, request.terms, shown=shown))
            case Refusal():
                self._waiting.enter(request, holds_addresses=before is not None)
            case Consultation():
                self._waiting.leave(request.service)
        return answer

    def wake(self) -> list[ServiceKey]:
        """Serve who waits, the oldest first, if anything changed since; returns whom: ask ``decide`` what they got."""
        if not self._has_news:
            return []
        self._has_news = False
        return self._waiting.serve(lambda request: not isinstance(self.decide(request), Refusal))

    @property
    def waiting(self) -> int:
        """How many Services wait for an address."""
        return len(self._waiting) + len(self._grants)

    # --- choosing ----------------------------------------------------------------------------------------------------

    def _choose(self, request: Request) -> Answer:
        if request.pinned:
            return self._choose_pinned(request)
        chosen = self._groups.choose(request.group, request.service.namespace)
        if isinstance(chosen, Refusal):
            return chosen
        group, warning = chosen
        source = group.source
        if not isinstance(source, PoolSource):
            return self._grants.choose(request, group, warning, self._barred)
        multi_pool = wants_every_range(request, source)
        if multi_pool and (refusal := refuse_every_range(request, group, source)):
            return refusal
        claim = self._ledger.claim(request.service)
        kept: list[IPAddress] = []
        if claim is not None and claim.groups == (group.name,):
            kept = [
                address
                for address in claim.addresses
                if self._usurper(claim, address) is None
                and not (request.moves and (group.pool_of(address) is None or self._barred.reason(address)))
            ]
        picker = self._picker
        addresses = (
            picker.pick_every_range(request, group, kept) if multi_pool else picker.pick(request, group, source, kept)
        )
        if isinstance(addresses, Refusal):
            return addresses
        return Decision(
            tuple(addresses),
            (group.name,),
            source.scope,
            skip_ipv6_dad=source.skip_ipv6_dad,
            is_multi_pool=multi_pool,
            is_partial=multi_pool and picker.lacks_a_range(group, addresses, free_only=False),
            is_balanced=source.balance_pools and not request.terms.key,
            warning=warning,
        )

    def _choose_pinned(self, request: Request) -> Answer:
        owners: list[ServiceGroup] = []
        if (outside := self._group_kept_outside(request)) is not None:
            return too_many(request, outside) or self._grants.choose(request, outside, None, self._barred)
        for address in request.pinned:
            if misfit := request.misfit(address):
                return misfit
            owner = self._groups.owner(address)
            if owner is None:
                sentence, advice = f'"{address}" does not belong to any group', "it has to be in a ServiceGroup's pool"
                return Refusal(Reason.OTHER, sentence, "<unknown>", advice)
            if denied := self._groups.deny(owner, request.service.namespace):
                return denied
            if refusal := too_many(request, owner) or self._picker.refuse(request, owner, address):
                return refusal
            owners.append(owner)
        return Decision(
            request.pinned,
            tuple(owner.name for owner in owners),
            owners[0].scope,
            skip_ipv6_dad=any(owner.skip_ipv6_dad for owner in owners),
        )

    def _group_kept_outside(self, request: Request) -> ServiceGroup | None:
        """The group to ask for pinned addresses that are in no pool: the Service's, if others keep its addresses."""
        if any(self._groups.owner(address) is not None for address in request.pinned):
            return None
        if request.families and not {family_of(address) for address in request.pinned} <= set(request.families):
            return None
        chosen = self._groups.choose(request.group, request.service.namespace)
        return None if isinstance(chosen, Refusal) or isinstance(chosen[0].source, PoolSource) else chosen[0]

    def _across(self, address: IPAddress, groups: tuple[str, ...]) -> bool:
        """Whether sharing keys count across namespaces for an address: what its pool's group says, else whose it is."""
        group = self._groups.owner(address) or (self._groups.served.get(groups[0]) if len(groups) == 1 else None)
        return group is not None and group.share_across_namespaces

    def _rivals(self, claim: Claim, address: IPAddress) -> list[Claim]:
        across = self._across(address, claim.groups)
        return self._ledger.rivals(address, claim.service, claim.terms, across=across)

    def _usurper(self, claim: Claim, address: IPAddress) -> Claim | None:
        return self._ledger.usurper(claim, address, across=self._across(address, claim.groups))

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

    def _put_back(self, addresses: Iterable[IPAddress]) -> None:
        for address in addresses:
            pool = self._index.find(address)
            if pool is not None:
                pool.put_back(address)
            self._has_news = True
