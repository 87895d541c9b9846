"""What is to be done about one Service, decided from what it shows and what the engine knows. Pure but for the engine.

Level, not edge: a review asks what is, never what happened, so it may run at any time and any number of times. Once its
plan is carried out, the next review plans nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from allocator.ipam.engine import Engine
from allocator.ipam.requests import Claim, Consultation, Decision, Refusal, Request, Seniority
from allocator.reconcile import translate
from allocator.reconcile.translate import Notice
from purelb import names
from purelb.addresses import IPAddress
from purelb.services import ServiceView


@dataclass(frozen=True, slots=True)
class Write:
    """One PATCH of a Service's status: its addresses and annotations together."""

    service: ServiceView
    ingress: tuple[IPAddress, ...]
    annotations: Mapping[str, str | None]
    is_allocation: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a review: nothing, words, or a write and words after it."""

    write: Write | None = None
    standing: tuple[Notice, ...] = ()
    """True as long as the Service stays as it is: to be said once."""
    done: tuple[Notice, ...] = ()
    """To be said when the write has succeeded."""
    refusal: Refusal | None = None
    decision: Decision | None = None
    """What the write says."""
    ask: Consultation | None = None
    """Somebody else has to be asked first; after that, review again."""


NOTHING = Plan()


class Reviewer:
    """Reviews Services against an engine, which learns from it."""

    def __init__(self, engine: Engine, *, default_announcer: bool) -> None:
        self._engine = engine
        self._default_announcer = default_announcer

    def learn(self, service: ServiceView, seniority: Seniority) -> None:
        """Tell the engine what a Service shows to hold, whoever gave it."""
        if service.is_load_balancer and service.ingress:
            ours = self._is_ours(service) and service.is_branded
            self._engine.restore(translate.claim_of(service, seniority, is_ours=ours))

    def review(self, service: ServiceView, seniority: Seniority) -> Plan:
        """What to do about ``service``; what the plan gives away is reserved in the engine already."""
        self.learn(service, seniority)
        if not self._is_ours(service):
            if not (service.is_load_balancer and service.ingress):
                self._engine.release(service.key)
            return NOTHING
        if not service.is_load_balancer:
            return self._retire(service)
        if service.ingress:
            if service.is_branded:
                return self._keep(service, seniority)
            return self._adopt(service, seniority)
        if service.deleting or not _has_cluster_ip(service):
            self._engine.release(service.key)
            return NOTHING
        return self._allocate(service, seniority)

    def _is_ours(self, service: ServiceView) -> bool:
        return translate.is_ours(service, default_announcer=self._default_announcer)

    def _allocate(self, service: ServiceView, seniority: Seniority) -> Plan:
        if self._engine.quarrel(service.key) is not None:
            self._engine.forfeit(service.key)  # what it may keep but couldn't get is lost with its status
        request = translate.request_of(service, seniority, group=translate.named_group(service))
        if isinstance(request, Refusal):
            self._engine.release(service.key)
            return Plan(standing=(translate.failed(service, request),), refusal=request)
        answer = self._engine.decide(request)
        match answer:
            case Decision():
                return _assign(service, answer, (translate.assigned(answer),))
            case Refusal():
                # Its status is empty, so whatever it held before is free for others.
                self._engine.forfeit(service.key)
                return Plan(standing=(translate.failed(service, answer),), refusal=answer)
            case Consultation():
                return Plan(ask=answer)

    def _adopt(self, service: ServiceView, seniority: Seniority) -> Plan:
        """Finish what another version left half-done: an address of ours without our brand.

        Without a sign that it was meant for us it is another controller's, and stays as it is.
        """
        owners = [self._engine.owner(address) for address in service.ingress]
        hint = (
            service.load_balancer_class is not None
            or names.ALLOCATED_FROM in service.annotations
            or translate.named_group(service) in owners
        )
        if not hint or None in owners or self._engine.is_contested(service.key):
            return NOTHING
        return self._brand(service, seniority, tuple(owner for owner in owners if owner is not None))

    def _brand(self, service: ServiceView, seniority: Seniority, owners: tuple[str, ...]) -> Plan:
        groups = owners if len(set(owners)) > 1 else owners[:1]
        self._engine.restore(Claim(service.key, seniority, service.ingress, groups, translate.terms_of(service)))
        wanted = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: ", ".join(groups)}
        return Plan(Write(service, service.ingress, wanted))

    def _keep(self, service: ServiceView, seniority: Seniority) -> Plan:
        """A Service with addresses of ours: it keeps them, unless it has to give way or asks for a change."""
        if service.deleting:
            return NOTHING
        senior = self._engine.usurped(service.key)
        if senior is not None:
            return self._displace(service, seniority, senior)
        if translate.wants_re_evaluation(service):
            return self._re_evaluate(service, seniority)
        if names.ALLOCATED_FROM not in service.annotations:
            owners = [self._engine.owner(address) for address in service.ingress]
            if None not in owners:
                return self._brand(service, seniority, tuple(owner for owner in owners if owner is not None))
        return self._complete(service, seniority)

    def _displace(self, service: ServiceView, seniority: Seniority, senior: Claim) -> Plan:
        request = translate.request_of(service, seniority, group=translate.named_group(service))
        answer = self._engine.decide(request) if isinstance(request, Request) else request
        match answer:
            case Decision():
                notices = (translate.displaced(service, senior), translate.assigned(answer))
                return _assign(service, answer, notices)
            case Refusal():
                self._engine.forfeit(service.key)
                failure = translate.failed(service, answer)
                notice = translate.displaced(service, senior, waits=True)
                write = Write(service, (), translate.no_annotations(service))
                return Plan(write, (failure,), (notice,), refusal=answer)
            case Consultation():
                return Plan(ask=answer)

    def _re_evaluate(self, service: ServiceView, seniority: Seniority) -> Plan:
        request = translate.request_of(service, seniority, group=translate.named_group(service), moves=True)
        answer = self._engine.decide(request) if isinstance(request, Request) else request
        match answer:
            case Decision():
                moved = set(answer.addresses) != set(service.ingress)
                return _assign(service, answer, (translate.assigned(answer),) if moved else ())
            case Refusal():
                self._engine.stop_waiting(service.key)
                write = Write(service, service.ingress, {names.RE_EVALUATE: None})
                return Plan(write, done=(translate.failed(service, answer),), refusal=answer)
            case Consultation():
                return Plan(ask=answer)

    def _complete(self, service: ServiceView, seniority: Seniority) -> Plan:
        """Follow ipFamilies and, for multi-pool Services, new ranges; say what is asked for in vain."""
        claim = self._engine.claim(service.key)
        group = claim.groups[0] if claim is not None and len(claim.groups) == 1 else None
        request = translate.request_of(service, seniority, group=group)
        if isinstance(request, Refusal):
            return Plan(standing=(translate.failed(service, request),), refusal=request)
        if not request.pinned and self._engine.is_incomplete(request):
            answer = self._engine.decide(request)
            match answer:
                case Decision() if set(answer.addresses) != set(service.ingress):
                    return _transition(service, answer)
                case Decision():
                    pass  # whoever was asked has no more to give
                case Refusal():
                    return Plan(standing=(translate.failed(service, answer),), refusal=answer)
                case Consultation():
                    return Plan(ask=answer)
        self._engine.stop_waiting(service.key)
        return Plan(standing=self._standing(service, request, group))

    def _standing(self, service: ServiceView, request: Request, group: str | None) -> tuple[Notice, ...]:
        notices = []
        named = translate.named_group(service)
        if request.pinned:
            if set(request.pinned) != set(service.ingress):
                wish = "asking for " + ", ".join(map(str, request.pinned))
                notices.append(translate.unmoved(service, wish))
            elif misfit := next(filter(None, map(request.misfit, request.pinned)), None):
                notices.append(translate.failed(service, misfit))
        elif named is not None and group is not None and named != group:
            notices.append(translate.unmoved(service, f'service-group "{named}"'))
        notices += [translate.stray(stray) for stray in self._engine.strays(service.key)]
        quarrel = self._engine.quarrel(service.key)
        if quarrel is not None:
            notices.append(translate.failed(service, quarrel))
        elif service.external_traffic_policy == "Local" and (others := self._engine.companions(service.key)):
            notices.append(translate.shared_locally(service, others))
        return tuple(notices)

    def _retire(self, service: ServiceView) -> Plan:
        """A Service that is of another type now: nothing of ours stays on it."""
        self._engine.release(service.key)
        removals = translate.no_annotations(service)
        if not service.is_branded and names.ALLOCATED_FROM not in service.annotations:
            return NOTHING
        was_allocated = names.ALLOCATED_FROM in service.annotations
        done = (translate.released_by_type(service),) if was_allocated else ()
        return Plan(Write(service, (), removals), done=done)


def _assign(service: ServiceView, decision: Decision, done: tuple[Notice, ...]) -> Plan:
    if decision.warning is not None:
        done = (*done, translate.warned(decision.warning))
    if translate.ignores_group(service, decision):
        done = (*done, translate.group_ignored())
    write = Write(service, decision.addresses, translate.annotations_for(service, decision), is_allocation=True)
    return Plan(write, done=done, decision=decision)


def _transition(service: ServiceView, decision: Decision) -> Plan:
    came = [address for address in decision.addresses if address not in service.ingress]
    went = [address for address in service.ingress if address not in decision.addresses]
    done: list[Notice] = []
    if came and decision.is_multi_pool:
        done.append(translate.added(decision, len(came)))
    elif came:
        done.append(translate.assigned(decision))
    if went:
        done.append(translate.released_by_family(went))
    return _assign(service, decision, tuple(done))


def _has_cluster_ip(service: ServiceView) -> bool:
    try:
        ipaddress.ip_address(service.cluster_ip or "")
    except ValueError:
        return False
    return True
