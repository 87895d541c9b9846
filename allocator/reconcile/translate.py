"""Services into requests, decisions into what is written and said. Pure.

All texts that users see about a Service are here. Where PureLB has a sentence, it is PureLB's (v0.6.1 to v0.17).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from allocator.ipam.groups import Stray
from allocator.ipam.requests import Claim, Decision, Reason, Refusal, Request, Seniority, Terms
from purelb import names
from purelb.addresses import IPAddress, parse_address
from purelb.errors import AddressError
from purelb.services import ServiceKey, ServiceView, describe_ingress

_OWN_ANNOTATIONS = (
    names.ALLOCATED_BY,
    names.ALLOCATED_FROM,
    names.POOL_TYPE,
    names.SKIP_IPV6_DAD,
    *names.ANNOUNCING_KEYS,
)


@dataclass(frozen=True, slots=True)
class Notice:
    """An event to record on a Service or ServiceGroup."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def is_ours(service: ServiceView, *, default_announcer: bool) -> bool:
    """Whether PureLB answers this Service.

    A class decides. Without one our brand does: an API server clears the class when the type changes, and what we gave
    we must take back.
    """
    if service.load_balancer_class is not None:
        return service.load_balancer_class in names.CLASSES
    return service.is_branded or default_announcer


def terms_of(service: ServiceView) -> Terms:
    """On what terms a Service shares."""
    return Terms(service.annotations.get(names.ALLOW_SHARED_IP) or None, service.ports)


def shown_by_group(service: ServiceView) -> dict[str, frozenset[IPAddress]]:
    """What a Service's status shows to come from which group."""
    if not (service.is_load_balancer and service.is_branded and service.ingress):
        return {}
    groups = _groups_of(service)
    if len(groups) != len(service.ingress):
        return dict.fromkeys(groups, frozenset(service.ingress))
    shown: dict[str, frozenset[IPAddress]] = {}
    for group, address in zip(groups, service.ingress, strict=True):
        shown[group] = shown.get(group, frozenset()) | {address}
    return shown


def _groups_of(service: ServiceView) -> tuple[str, ...]:
    allocated_from = service.annotations.get(names.ALLOCATED_FROM, "")
    return tuple(name.strip() for name in allocated_from.split(",") if name.strip())


def claims_differ(one: ServiceView, other: ServiceView) -> bool:
    """Whether two states of a Service differ in what it holds or on what terms."""
    return one.ingress != other.ingress or terms_of(one) != terms_of(other)


def claim_of(service: ServiceView, seniority: Seniority, *, is_ours: bool) -> Claim:
    """What a Service holds, as its status and annotations show it."""
    return Claim(
        service.key,
        seniority,
        tuple(dict.fromkeys(service.ingress)),
        _groups_of(service),
        terms_of(service),
        is_ours=is_ours,
    )


def wants_re_evaluation(service: ServiceView) -> bool:
    """Whether the Service's owner asks us to apply its present wishes to the addresses that it has."""
    return service.annotations.get(names.RE_EVALUATE) == "true"


def named_group(service: ServiceView) -> str | None:
    """The group that a Service names; an empty name is none."""
    return service.annotations.get(names.SERVICE_GROUP) or None


def request_of(
    service: ServiceView, seniority: Seniority, *, group: str | None, moves: bool = False
) -> Request | Refusal:
    """What a Service asks for, of ``group`` or, with None, of the default one; a refusal if it can't be understood."""
    try:
        pinned = _pinned(service)
    except AddressError as error:
        return Refusal(Reason.OTHER, str(error))
    multi_pool = service.annotations.get(names.MULTI_POOL)
    return Request(
        service=service.key,
        seniority=seniority,
        group=group,
        pinned=pinned,
        families=service.ip_families,
        takes_one_family=service.ip_family_policy == "PreferDualStack",
        multi_pool=None if multi_pool is None else multi_pool == "true",
        moves=moves,
        terms=terms_of(service),
    )


def _pinned(service: ServiceView) -> tuple[IPAddress, ...]:
    """Raises AddressError with PureLB's sentence."""
    annotation = service.annotations.get(names.ADDRESSES)
    if annotation:
        return tuple(dict.fromkeys(_parse_pinned(text) for text in annotation.split(",")))
    if service.load_balancer_ip:
        try:
            return (parse_address(service.load_balancer_ip),)
        except AddressError:
            raise AddressError(f'invalid spec.loadBalancerIP "{service.load_balancer_ip}"') from None
    return ()


def _parse_pinned(text: str) -> IPAddress:
    try:
        return parse_address(text)
    except AddressError:
        raise AddressError(f'invalid user-specified address: ""{text}""') from None


# --- what is written -------------------------------------------------------------------------------------------------


def annotations_for(service: ServiceView, decision: Decision) -> dict[str, str | None]:
    """The annotations that go with a decision; None removes one.

    ``pool-type`` is written where it says more than its absence, which means local.
    """
    wanted = {
        names.ALLOCATED_BY: names.BRAND,
        names.ALLOCATED_FROM: ", ".join(decision.groups),
        names.POOL_TYPE: decision.scope if decision.scope != "local" else None,
        names.SKIP_IPV6_DAD: "true" if decision.skip_ipv6_dad else None,
        names.RE_EVALUATE: None,
    }
    return changes(service, wanted)


def no_annotations(service: ServiceView) -> dict[str, str | None]:
    """Removes whatever PureLB wrote, the announcing agent's too: a Service that is none of ours any more."""
    return changes(service, dict.fromkeys(_OWN_ANNOTATIONS))


def changes(service: ServiceView, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    """``wanted`` without the removal of what isn't there."""
    return {key: value for key, value in wanted.items() if value is not None or key in service.annotations}


# --- what is said ----------------------------------------------------------------------------------------------------


def assigned(decision: Decision) -> Notice:
    """The addresses were written."""
    if decision.is_multi_pool:
        text = f"Multi-pool: assigned {len(decision.addresses)} IPs from pool {decision.groups[0]}"
    else:
        pools = ", ".join(dict.fromkeys(decision.groups))
        text = f"Assigned {describe_ingress(decision.addresses)} from pool {pools}"
    return Notice("Normal", names.REASON_ASSIGNED, text)


def added(decision: Decision, count: int) -> Notice:
    """A Service with multi-pool addresses got ``count`` more."""
    text = f"Incremental multi-pool: added {count} IPs (total {len(decision.addresses)}) from pool {decision.groups[0]}"
    return Notice("Normal", names.REASON_ASSIGNED, text)


def failed(service: ServiceView, refusal: Refusal) -> Notice:
    """No address, and why."""
    text = f'Failed to allocate IP for "{service.key}": {refusal.message}'
    return Notice("Warning", names.REASON_ALLOCATION_FAILED, text)


def unwritable(service: ServiceView, sentence: str) -> Notice:
    """The API server refuses the addresses."""
    return failed(service, Refusal(Reason.OTHER, f"the API server refuses it: {sentence}"))


def released_by_type(service: ServiceView) -> Notice:
    """A Service is of type LoadBalancer no more."""
    return Notice("Normal", names.REASON_RELEASED, f"Service is Type {service.type}, not LoadBalancer")


def released_by_family(addresses: Iterable[IPAddress]) -> Notice:
    """Addresses were given up because their family left ipFamilies."""
    text = " ".join(map(str, addresses))
    return Notice(
        "Normal",
        names.REASON_RELEASED,
        f"Released addresses no longer needed after IP family transition: [{text}]",
    )


def displaced(service: ServiceView, senior: Claim, *, waits: bool = False) -> Notice:
    """Two Services showed one address, and this one gives way."""
    shared = ", ".join(str(address) for address in service.ingress if address in senior.addresses)
    verb = "waits for" if waits else "gets"
    text = (
        f"{shared} is also held by {senior.service}, which is older and keeps it; this Service {verb} another address"
    )
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def ignores_group(service: ServiceView, decision: Decision) -> bool:
    """Whether a Service names a group in vain, because it pins its addresses (PureLB since v0.13)."""
    named = named_group(service)
    if named is None:
        return False
    return bool(service.annotations.get(names.ADDRESSES)) or (
        service.load_balancer_ip is not None and named not in decision.groups
    )


def group_ignored() -> Notice:
    """Pinned addresses and a group: the addresses win."""
    text = (
        "Both the addresses annotation and the service-group annotation were provided. service-group will be ignored."
    )
    return Notice("Normal", names.REASON_CONFIGURATION_WARNING, text)


def unmoved(service: ServiceView, wish: str) -> Notice:
    """A wish that came after the addresses: ``wish`` says what is asked for."""
    held = ", ".join(map(str, service.ingress))
    text = (
        f'{wish} has no effect while the Service has {held}; set the annotation {names.RE_EVALUATE} to "true" '
        "to apply it"
    )
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def stray(stray: Stray) -> Notice:
    """A Service keeps an address that its group has no more."""
    where = (
        f'is in no pool of ServiceGroup "{stray.group}" any more'
        if stray.owner is None
        else f'belongs to ServiceGroup "{stray.owner}" now, not to "{stray.group}"'
    )
    text = f"{stray.address} {where}; the Service keeps it until it is deleted or re-evaluated"
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def shared_locally(service: ServiceView, others: Iterable[ServiceKey]) -> Notice:
    """A Service that shares its address wants its traffic on nodes with its own endpoints only."""
    shared, whom = ", ".join(map(str, service.ingress)), ", ".join(map(str, others))
    text = (
        f"{shared} is shared with {whom}, but externalTrafficPolicy is Local: a node without endpoints of this "
        "Service may receive its traffic and drop it; Services that share an address should have policy Cluster"
    )
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, text)


def warned(sentence: str) -> Notice:
    """An allocation worked, but hardly as its owner meant it."""
    return Notice("Warning", names.REASON_CONFIGURATION_WARNING, sentence)
