"""What a Service is to us, what it holds and what it asks for, read from the Service alone. Pure.

It must not know the engine: who gets what is decided there.
"""

from __future__ import annotations

import enum
import ipaddress
from typing import Final

from allocator.ipam.requests import Claim, Reason, Refusal, Request, Seniority, Terms
from purelb import names
from purelb.addresses import IPAddress, excerpt, parse_address, parse_pins
from purelb.errors import AddressError
from purelb.services import ServiceView, is_ours

LONGEST_KEY: Final = 253
"""Characters of a sharing key, as many as a name in Kubernetes may have: each is kept with every address under it."""


class Case(enum.Enum):
    """What a Service is to us."""

    FOREIGN = enum.auto()
    """Another's: nothing is written to it, and what it shows is given to nobody."""
    RETIRED = enum.auto()
    """Ours, and of another type than LoadBalancer (now): nothing of ours stays on it."""
    IDLE = enum.auto()
    """Ours without an address, and none would be of use: headless, or being deleted."""
    WAITING = enum.auto()
    """Ours without an address: it is to get one."""
    UNBRANDED = enum.auto()
    """It shows addresses, and no sign that PureLB gave them."""
    SERVED = enum.auto()
    """It has addresses of ours."""
    LEAVING = enum.auto()
    """Likewise, and it is being deleted: it keeps them to the end."""


def case_of(service: ServiceView, *, default_announcer: bool) -> Case:
    """Which of them it is; ``default_announcer``: whether a Service without a class is ours."""
    if not is_ours(service, default_announcer=default_announcer):
        return Case.FOREIGN
    if not service.is_load_balancer:
        return Case.RETIRED
    if not service.ingress:
        return Case.IDLE if service.deleting or not _has_cluster_ip(service) else Case.WAITING
    if not service.is_branded:
        return Case.UNBRANDED
    return Case.LEAVING if service.deleting else Case.SERVED


def _has_cluster_ip(service: ServiceView) -> bool:
    try:
        ipaddress.ip_address(service.cluster_ip or "")
    except ValueError:
        return False
    return True


# --- what it holds ---------------------------------------------------------------------------------------------------


def claim_of(service: ServiceView, seniority: Seniority, *, default_announcer: bool) -> Claim | None:
    """What a Service shows to hold, whoever gave it; None for nothing."""
    if not (service.is_load_balancer and service.ingress):
        return None
    return Claim(
        service.key,
        seniority,
        service.ingress,
        service.allocated_from,
        terms_of(service),
        is_ours=service.is_branded and is_ours(service, default_announcer=default_announcer),
    )


def terms_of(service: ServiceView) -> Terms:
    """On what terms a Service shares; a key that is too long is none."""
    key = service.annotations.get(names.ALLOW_SHARED_IP) or None
    return Terms(key if key is not None and len(key) <= LONGEST_KEY else None, service.ports, service.backend)


def claims_differ(one: ServiceView, other: ServiceView) -> bool:
    """Whether two states of a Service differ in what it holds or on what terms."""
    return one.ingress != other.ingress or terms_of(one) != terms_of(other)


def shown_by_group(service: ServiceView) -> dict[str, frozenset[IPAddress]]:
    """What a Service's status shows to come from which group."""
    if not (service.is_load_balancer and service.is_branded and service.ingress):
        return {}
    groups = service.allocated_from
    if len(groups) != len(service.ingress):
        return dict.fromkeys(groups, frozenset(service.ingress))
    shown: dict[str, frozenset[IPAddress]] = {}
    for group, address in zip(groups, service.ingress, strict=True):
        shown[group] = shown.get(group, frozenset()) | {address}
    return shown


# --- what it asks for ------------------------------------------------------------------------------------------------


def wants_re_evaluation(service: ServiceView) -> bool:
    """Whether the Service's owner asks us to apply its present wishes to the addresses that it has."""
    return service.annotations.get(names.RE_EVALUATE) == "true"


def request_of(
    service: ServiceView, seniority: Seniority, *, group: str | None, moves: bool = False
) -> Request | Refusal:
    """What a Service asks for, of ``group`` or, with None, of the default one; a refusal if it can't be understood."""
    try:
        pinned = _pinned(service)
    except AddressError as error:
        return Refusal(Reason.OTHER, str(error))
    if (length := len(service.annotations.get(names.ALLOW_SHARED_IP, ""))) > LONGEST_KEY:
        sentence = f"{names.ALLOW_SHARED_IP} has {length} characters, and a sharing key has {LONGEST_KEY} at most"
        return Refusal(Reason.OTHER, sentence)
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
        return parse_pins(annotation)
    if service.load_balancer_ip:
        try:
            return (parse_address(service.load_balancer_ip),)
        except AddressError:
            raise AddressError(f'invalid spec.loadBalancerIP "{excerpt(service.load_balancer_ip)}"') from None
    return ()
