"""Answers of the engine into plans: what is written to a Service, and what is said about it. Pure.

One function for each reason to ask the engine. The sentences are wording.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from allocator import wording
from allocator.ipam.groups import Stray
from allocator.ipam.requests import Answer, Claim, Consultation, Decision, Refusal, Request
from allocator.notice import Notice
from purelb import names
from purelb.addresses import IPAddress
from purelb.annotations import USERS, meaningless
from purelb.preferences import misread
from purelb.servicegroups import Scope, ServiceGroup
from purelb.services import ServiceView, named_group

_OWN_ANNOTATIONS = (
    names.ALLOCATED_BY,
    names.ALLOCATED_FROM,
    names.ALLOCATED_ADDRESSES,
    names.POOL_TYPE,
    names.SKIP_IPV6_DAD,
    names.PLACEMENT,
    *names.ANNOUNCING_KEYS,
)


@dataclass(frozen=True, slots=True)
class Write:
    """One PATCH of a Service's status: its addresses and annotations together."""

    service: ServiceView
    ingress: tuple[IPAddress, ...]
    annotations: Mapping[str, str | None]
    """None removes one."""
    done: tuple[Notice, ...] = ()
    """To be said when it has succeeded."""
    decision: Decision | None = None
    """What it gives; None if it gives nothing new."""
    is_restoration: bool = False
    """Whether it puts back what another took away, who may do so again and again: not to be met each time at once."""

    def is_met_by(self, service: ServiceView) -> bool:
        """Whether a Service shows what was to be written: a write whose answer was lost may have been done."""
        return service.ingress == self.ingress and all(
            service.annotations.get(key) == value for key, value in self.annotations.items()
        )

    def may_be_done(self, service: ServiceView) -> bool:
        """Whether it can have been done, and been undone since: the Service isn't as it was decided on any more."""
        return service.resource_version != self.service.resource_version


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a review."""

    step: Write | Consultation | None = None
    """What to do: write, or ask whoever keeps the addresses and then review again."""
    standing: tuple[Notice, ...] = ()
    """True as long as the Service stays as it is: to be said once."""
    refusal: Refusal | None = None
    """Why it does not get what it asks for."""


NOTHING = Plan()


def allocation(service: ServiceView, answer: Answer) -> Plan:
    """For a Service that has no address."""
    match answer:
        case Decision():
            return Plan(_assignment(service, answer, wording.assigned(answer)))
        case Refusal():
            return Plan(standing=(wording.failed(service, answer),), refusal=answer)
        case Consultation():
            return Plan(answer)


def displacement(service: ServiceView, senior: Claim, answer: Answer) -> Plan:
    """For a Service on whose address ``senior`` is, which keeps it."""
    match answer:
        case Decision():
            return Plan(_assignment(service, answer, wording.displaced(service, senior), wording.assigned(answer)))
        case Refusal():
            said = (wording.displaced(service, senior, waits=True),)
            write = Write(service, (), _no_annotations(service), said)
            return Plan(write, (wording.failed(service, answer),), answer)
        case Consultation():
            return Plan(answer)


def reclamation(service: ServiceView, stranger: str, answer: Answer) -> Plan:
    """For a Service of ours whose addresses another controller wrote."""
    match answer:
        case Decision():
            told = wording.overwritten(service, stranger, answer.addresses)
            return Plan(replace(_assignment(service, answer), is_restoration=True), (told,))
        case Refusal():
            told = wording.overwritten(service, stranger, ())
            return Plan(standing=(told, wording.failed(service, answer)), refusal=answer)
        case Consultation():
            return Plan(answer)


def re_evaluation(service: ServiceView, answer: Answer) -> Plan:
    """For a Service whose owner wants it to follow its present wishes; refused, it keeps what it has."""
    match answer:
        case Decision():
            moves = set(answer.addresses) != set(service.ingress)
            return Plan(_assignment(service, answer, *([wording.assigned(answer)] if moves else [])))
        case Refusal():
            said = (wording.failed(service, answer),)
            return Plan(Write(service, service.ingress, {names.RE_EVALUATE: None}, said), refusal=answer)
        case Consultation():
            return Plan(answer)


def transition(service: ServiceView, decision: Decision) -> Plan:
    """For a Service that gets other addresses beside or instead of some: its families or its group have changed."""
    came = [address for address in decision.addresses if address not in service.ingress]
    went = [address for address in service.ingress if address not in decision.addresses]
    said: list[Notice] = []
    if came and decision.is_multi_pool:
        said.append(wording.added(decision, len(came)))
    elif came:
        said.append(wording.assigned(decision))
    if went:
        said.append(wording.released_by_family(went))
    return Plan(_assignment(service, decision, *said))


def branding(service: ServiceView, groups: Sequence[str], served: Sequence[ServiceGroup]) -> Plan:
    """For a Service that has addresses of these groups, and not all of our annotations; ``served``: as far as known.

    If we wrote its addresses, its annotations were lost: whoever replaces an object as a whole takes them away, again
    and again perhaps.
    """
    wanted = _our_annotations(
        service,
        groups,
        served[0].scope if served else "local",
        skip_ipv6_dad=any(group.skip_ipv6_dad for group in served),
    )
    if service.ingress_writer != names.ALLOCATOR_COMPONENT:
        return Plan(Write(service, service.ingress, wanted))
    return Plan(Write(service, service.ingress, wanted, (wording.annotations_lost(),), is_restoration=True))


def recording(service: ServiceView) -> Write:
    """For a Service whose addresses are ours, and were written once more by somebody else, with a port say.

    From then on the status doesn't tell whose they are, and their pools may change: so that is noted beside it. Where
    somebody else has noted the same, the API server would still have him as its writer: his is taken away first.
    """
    note = _joined(service.ingress)
    is_anothers = service.annotations.get(names.ALLOCATED_ADDRESSES) == note
    changes = {names.ALLOCATED_ADDRESSES: None if is_anothers else note}
    return Write(service, service.ingress, changes, is_restoration=True)


def abstention(service: ServiceView) -> Plan:
    """For a Service that would be ours, and has addresses of another controller."""
    is_asked = service.load_balancer_class is not None or any(key in service.annotations for key in USERS)
    return Plan(standing=(wording.anothers(service, is_asked=is_asked),))


def retirement(service: ServiceView) -> Plan:
    """For a Service that is of another type: nothing of ours stays on it."""
    was_allocated = names.ALLOCATED_FROM in service.annotations
    if not service.is_branded and not was_allocated:
        return NOTHING
    said = (wording.released_by_type(service),) if was_allocated else ()
    return Plan(Write(service, (), _no_annotations(service), said))


def peace(
    service: ServiceView,
    request: Request,
    *,
    group: str | None,
    strays: Iterable[Stray],
    barred: Iterable[tuple[IPAddress, str]],
    quarrel: Refusal | None,
) -> Plan:
    """For a Service that keeps what it has, of ``group``: what it asks for in vain, and what is odd about it."""
    said: list[Notice] = []
    named = named_group(service)
    if request.pinned:
        if set(request.pinned) != set(service.ingress):
            said.append(wording.unmoved_by_addresses(service, request.pinned))
        elif misfit := next(filter(None, map(request.misfit, request.pinned)), None):
            said.append(wording.failed(service, misfit))
    elif named is not None and group is not None and named != group:
        said.append(wording.unmoved_by_group(service, named))
    said += map(wording.stray, strays)
    said += [wording.barred(address, reason) for address, reason in barred]
    if quarrel is not None:
        said.append(wording.failed(service, quarrel))
    return Plan(standing=tuple(said))


def remarked(plan: Plan, service: ServiceView) -> Plan:
    """The plan, and what is to be said of the Service whatever becomes of it: annotations that mean nothing."""
    odd = tuple(map(wording.warned, (*meaningless(service.annotations), *misread(service.annotations))))
    return replace(plan, standing=plan.standing + odd) if odd else plan


# --- what is written -------------------------------------------------------------------------------------------------


def _assignment(service: ServiceView, decision: Decision, *said: Notice) -> Write:
    if decision.warning is not None:
        said = (*said, wording.warned(decision.warning))
    if _ignores_group(service, decision):
        said = (*said, wording.group_ignored())
    return Write(service, decision.addresses, _annotations_for(service, decision), said, decision)


def _ignores_group(service: ServiceView, decision: Decision) -> bool:
    """Whether a Service names a group in vain, because it pins its addresses (PureLB since v0.13)."""
    named = named_group(service)
    if named is None:
        return False
    return bool(service.annotations.get(names.ADDRESSES)) or (
        service.load_balancer_ip is not None and named not in decision.groups
    )


def _annotations_for(service: ServiceView, decision: Decision) -> dict[str, str | None]:
    ours = _our_annotations(service, decision.groups, decision.scope, skip_ipv6_dad=decision.skip_ipv6_dad)
    noted = {names.ALLOCATED_ADDRESSES: _joined(decision.addresses)} if service.recorded else {}
    return ours | noted | _changes(service, {names.RE_EVALUATE: None})


def _joined(addresses: Iterable[IPAddress]) -> str:
    return ",".join(map(str, addresses))


def _our_annotations(
    service: ServiceView, groups: Sequence[str], scope: Scope, *, skip_ipv6_dad: bool
) -> dict[str, str | None]:
    wanted = {
        names.ALLOCATED_BY: names.BRAND,
        names.ALLOCATED_FROM: ", ".join(groups),
        names.POOL_TYPE: scope,
        names.SKIP_IPV6_DAD: "true" if skip_ipv6_dad else None,
    }
    return _changes(service, wanted)


def _no_annotations(service: ServiceView) -> dict[str, str | None]:
    """Removes whatever PureLB wrote, the announcing agent's too: a Service that is none of ours any more."""
    return _changes(service, dict.fromkeys(_OWN_ANNOTATIONS))


def _changes(service: ServiceView, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    """``wanted`` without the removal of what isn't there."""
    return {key: value for key, value in wanted.items() if value is not None or key in service.annotations}
