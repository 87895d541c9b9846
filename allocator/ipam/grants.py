"""Addresses that others keep (NetBox, a sidecar), on their way to a Service. Pure.

The engine can't choose such an address. It says whom to ask (a Consultation), is told what came of it (a grant), and
from then on decides as always: what is granted is checked against the ledger and held.
"""

from __future__ import annotations

from allocator.ipam.ledger import Ledger
from allocator.ipam.picking import refuse_barred
from allocator.ipam.requests import Answer, Consultation, Decision, Reason, Refusal, Request
from allocator.ipam.sharing import conflict, tell
from purelb.addresses import Family, IPAddress, family_of
from purelb.forbidden import Barred
from purelb.servicegroups import NetboxSource, ServiceGroup, SidecarSource
from purelb.services import ServiceKey


class Grants:
    """What sources have given and no decision has used yet, and who is waiting for an answer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._grants: dict[ServiceKey, tuple[str, tuple[IPAddress, ...]]] = {}
        self._asking: dict[ServiceKey, str] = {}
        self._content: dict[ServiceKey, tuple[Family, ...]] = {}

    def __len__(self) -> int:
        """Services that wait for a source."""
        return len(self._asking)

    def add(self, service: ServiceKey, group: str, addresses: tuple[IPAddress, ...]) -> None:
        """A source has answered with everything that ``service`` has there."""
        self._grants[service] = group, addresses

    def of(self, service: ServiceKey, group: str) -> tuple[IPAddress, ...]:
        """What ``group`` has granted to a Service and no decision has used yet."""
        granted = self._grants.get(service)
        return granted[1] if granted is not None and granted[0] == group else ()

    def asking(self, group: str) -> list[ServiceKey]:
        """Who waits for an answer from ``group``."""
        return [service for service, asked in self._asking.items() if asked == group]

    def include(self, address: IPAddress) -> bool:
        """Whether ``address`` is granted to anybody."""
        return any(address in addresses for _, addresses in self._grants.values())

    def drop(self, service: ServiceKey) -> None:
        """A Service is no more, or wants nothing."""
        self._grants.pop(service, None)
        self._content.pop(service, None)
        self._asking.pop(service, None)

    def concluded(self, service: ServiceKey, answer: Answer) -> None:
        """A Service was decided about."""
        if isinstance(answer, Consultation):
            self._asking[service] = answer.group
        else:
            self._asking.pop(service, None)
            self._grants.pop(service, None)

    def is_incomplete(self, request: Request) -> bool:
        """Whether a Service that holds addresses of a source should have others: ipFamilies have changed."""
        claim = self._ledger.claim(request.service)
        if claim is None or not request.families:
            return False
        held = {family_of(address) for address in claim.addresses}
        return held != set(request.families) and self._content.get(request.service) != request.families

    def choose(self, request: Request, group: ServiceGroup, warning: str | None, barred: Barred) -> Answer:
        """What a Service gets of a group whose addresses others keep; nothing new that is barred."""
        assert isinstance(group.source, NetboxSource | SidecarSource)
        across = group.share_across_namespaces
        granted = self.of(request.service, group.name)
        claim = self._ledger.claim(request.service)
        kept: tuple[IPAddress, ...] = ()
        lost: frozenset[IPAddress] = frozenset()
        if claim is not None and claim.groups == (group.name,):
            lost = frozenset(
                address for address in claim.addresses if self._ledger.usurper(claim, address, across=across)
            )
            kept = tuple(address for address in claim.addresses if address not in lost)
        addresses = _fitting(request, granted or kept, is_final=bool(granted))
        if addresses is None and isinstance(group.source, NetboxSource):
            shared = self._shared(request, group, kept)
            if isinstance(shared, Refusal):
                return shared
            addresses = shared
        if addresses is None:
            return Consultation(group.name, request, lost)
        for address in addresses:
            if address not in kept and (refusal := refuse_barred(address, barred, self._ledger, group)):
                return refusal
            rivals = self._ledger.rivals(address, request.service, request.terms, across=across)
            if rivals and not any(rival.terms.key and rival.terms.key == request.terms.key for rival in rivals):
                whom = tell((rival.service for rival in rivals), request.service.namespace)
                sentence = f'"{address}", which {group.name} gave for "{request.service}", is in use by {whom}'
                return Refusal(Reason.SHARING_KEY_CONFLICT, sentence, group.name)
            if rivals:
                return conflict(address, request.service, request.terms, rivals, across=across, group=group.name)
        if granted:
            self._content[request.service] = request.families
        return Decision(addresses, (group.name,), group.scope, warning=warning)

    def _shared(
        self, request: Request, group: ServiceGroup, kept: tuple[IPAddress, ...]
    ) -> tuple[IPAddress, ...] | Refusal | None:
        """Addresses of this group to which the key of a Service is bound; a sidecar minds sharing itself."""
        if not request.terms.key or request.pinned:
            return None
        across = group.share_across_namespaces
        one_each = {family_of(address): address for address in kept}
        for address in self._ledger.shared_by(request.service, request.terms.key, across=across):
            if any(holder.groups == (group.name,) for holder in self._ledger.holders(address)):
                one_each.setdefault(family_of(address), address)
        shared = _fitting(request, tuple(one_each.values()), is_final=False)
        for address in shared or ():
            if rivals := self._ledger.rivals(address, request.service, request.terms, across=across):
                return conflict(address, request.service, request.terms, rivals, across=across, group=group.name)
        return shared


def _fitting(request: Request, addresses: tuple[IPAddress, ...], *, is_final: bool) -> tuple[IPAddress, ...] | None:
    """Those of ``addresses`` that a Service asks for, in its order; None if some are missing.

    ``is_final``: the source had its chance, so that a Service content with one family gets no other.
    """
    if request.pinned:
        return request.pinned if set(request.pinned) <= set(addresses) else None
    if not request.families:
        return addresses[:1] or None
    given = {family_of(address) for address in addresses}
    complete = given >= set(request.families) or (is_final and request.takes_one_family)
    fitting = tuple(address for family in request.families for address in addresses if family_of(address) is family)
    return fitting if fitting and complete else None
