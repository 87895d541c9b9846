"""What is to be done about one Service, decided from what it shows and what the engine knows. Pure but for the engine.

Level, not edge: a review asks what is, never what happened, so it may run at any time and any number of times. Once its
plan is carried out, the next review plans nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from allocator.ipam.engine import Engine
from allocator.ipam.requests import Answer, Claim, Consultation, Decision, Refusal, Request, Seniority
from allocator.reconcile import plan
from allocator.reconcile.plan import NOTHING, Plan
from allocator.reconcile.request import (
    Case,
    case_of,
    claim_of,
    request_of,
    terms_of,
    wants_re_evaluation,
)
from purelb import names
from purelb.services import ServiceView, named_group

OURS: Final = {names.ALLOCATED_BY, names.ALLOCATED_FROM}
"""The annotations that no Service with addresses of ours is without."""


class Reviewer:
    """Reviews Services against an engine, which learns from it."""

    def __init__(self, engine: Engine, *, default_announcer: bool) -> None:
        self._engine = engine
        self._default_announcer = default_announcer

    def learn(self, service: ServiceView, seniority: Seniority) -> None:
        """Tell the engine what a Service shows to hold, whoever gave it."""
        claim = claim_of(service, seniority, default_announcer=self._default_announcer)
        known = self._engine.claim(service.key)
        if claim is None:
            if known is not None and known.shown:
                self._engine.restore(replace(known, shown=()))
            return
        gave = known if known is not None and known.is_ours else None
        if claim.is_ours and self._stranger(service) is not None:
            if gave is not None:
                claim = replace(gave, shown=claim.addresses)  # what we gave it is to be put back, so it stays its own
            else:
                claim = replace(claim, groups=(), is_ours=False)
        elif not claim.groups and gave is not None and gave.addresses == claim.addresses and not _is_anothers(service):
            # Its annotations were lost: what we knew before is still so, whoever wrote the status since.
            claim = replace(claim, groups=gave.groups, is_ours=True)
        self._engine.restore(claim)

    def review(self, service: ServiceView, seniority: Seniority, *, may_restore: bool = True) -> Plan:
        """What to do about ``service``; what the plan gives away is reserved in the engine already.

        ``may_restore``: whether it is time to put back what another took away. If not, a restoration is planned where
        there is nothing else to do.
        """
        self.learn(service, seniority)
        case = case_of(service, default_announcer=self._default_announcer)
        reviewed = self._review(service, seniority, case, may_restore=may_restore)
        return plan.remarked(reviewed, service) if case in (Case.WAITING, Case.SERVED) else reviewed

    def _review(self, service: ServiceView, seniority: Seniority, case: Case, *, may_restore: bool) -> Plan:
        match case:
            case Case.FOREIGN:
                if not (service.is_load_balancer and service.ingress):
                    self._engine.release(service.key)
                return NOTHING
            case Case.RETIRED:
                self._engine.release(service.key)
                return plan.retirement(service)
            case Case.IDLE:
                self._engine.release(service.key)
                return NOTHING
            case Case.WAITING:
                return self._allocate(service, seniority)
            case Case.UNBRANDED:
                return self._adopt(service, seniority)
            case Case.SERVED:
                stranger = self._stranger(service)
                if stranger is not None:
                    return self._reclaim(service, seniority, stranger)
                return self._keep(service, seniority, may_restore=may_restore)
            case Case.LEAVING:
                return NOTHING

    def _allocate(self, service: ServiceView, seniority: Seniority) -> Plan:
        if self._engine.quarrel(service.key) is not None:
            self._engine.forfeit(service.key)  # what it may keep but couldn't get is lost with its status
        request = request_of(service, seniority, group=named_group(service))
        answer = self._decide(request)
        if isinstance(request, Refusal):
            self._engine.release(service.key)
        elif isinstance(answer, Refusal):
            # Its status is empty, so whatever it held before is free for others.
            self._engine.forfeit(service.key)
        return plan.allocation(service, answer)

    def _adopt(self, service: ServiceView, seniority: Seniority) -> Plan:
        """Finish what another version left half-done: an address of ours without our brand.

        Likewise what lost our brand after others wrote its status, if we remember. Without a sign that it was meant for
        us it is another controller's, and stays as it is until its owner asks us.
        """
        claim = self._engine.claim(service.key)
        if claim is not None and claim.is_ours:
            return self._brand(service, seniority, claim.groups)
        owners = self._owners(service)
        if owners is not None and not self._engine.is_contested(service.key):
            is_meant_for_us = (
                service.load_balancer_class is not None
                or names.ALLOCATED_FROM in service.annotations
                or named_group(service) in owners
                or wants_re_evaluation(service)
            )
            if is_meant_for_us:
                return self._brand(service, seniority, owners)
        return self._re_evaluate(service, seniority) if wants_re_evaluation(service) else plan.abstention(service)

    def _keep(self, service: ServiceView, seniority: Seniority, *, may_restore: bool) -> Plan:
        """A Service with addresses of ours: it keeps them, unless it has to give way or asks for a change."""
        senior = self._engine.usurped(service.key)
        if senior is not None:
            answer = self._decide(request_of(service, seniority, group=named_group(service)))
            if isinstance(answer, Refusal):
                self._engine.forfeit(service.key)
            return plan.displacement(service, senior, answer)
        if wants_re_evaluation(service):
            return self._re_evaluate(service, seniority)
        if service.annotations.keys() >= OURS or not (groups := self._came_from(service)):
            completion = self._complete(service, seniority)
            if completion.step is None and _is_to_be_noted(service):
                return replace(completion, step=plan.recording(service))
            return completion
        branding = self._brand(service, seniority, groups)
        if may_restore:
            return branding
        completion = self._complete(service, seniority)
        return completion if completion.step is not None else replace(completion, step=branding.step)

    def _re_evaluate(self, service: ServiceView, seniority: Seniority) -> Plan:
        answer = self._decide(request_of(service, seniority, group=named_group(service), moves=True))
        if isinstance(answer, Refusal):
            self._engine.stop_waiting(service.key)
        return plan.re_evaluation(service, answer)

    def _stranger(self, service: ServiceView) -> str | None:
        """Who wrote the addresses of a Service that carries our annotations, if we can't have given them.

        What is in its groups' pools counts as given whoever wrote it, a restore from a backup say.
        """
        if not service.is_written_by_others:
            return None
        claim = self._engine.claim(service.key)
        if claim is not None and claim.is_ours and set(service.ingress) <= set(claim.addresses):
            return None
        if service.recorded and set(service.ingress) <= set(service.recorded):
            return None
        groups = service.allocated_from
        can_be_ours = all(self._engine.may_give(address, groups) for address in service.ingress)
        return None if can_be_ours else service.ingress_writer

    def _reclaim(self, service: ServiceView, seniority: Seniority, stranger: str) -> Plan:
        """Another controller wrote its own addresses over ours: ours are put back, which it may undo again."""
        claim = self._engine.claim(service.key)
        group = claim.groups[0] if claim is not None and len(claim.groups) == 1 else named_group(service)
        return plan.reclamation(service, stranger, self._decide(request_of(service, seniority, group=group)))

    def _complete(self, service: ServiceView, seniority: Seniority) -> Plan:
        """Follow ipFamilies and, for multi-pool Services, new ranges; say what is asked for in vain."""
        claim = self._engine.claim(service.key)
        group = claim.groups[0] if claim is not None and len(claim.groups) == 1 else None
        request = request_of(service, seniority, group=group)
        if isinstance(request, Refusal):
            return plan.allocation(service, request)
        if not request.pinned and self._engine.is_incomplete(request):
            answer = self._engine.decide(request)
            match answer:
                case Decision() if set(answer.addresses) != set(service.ingress):
                    return plan.transition(service, answer)
                case Decision():
                    pass  # whoever was asked has no more to give
                case Refusal() | Consultation():
                    return plan.allocation(service, answer)
        self._engine.stop_waiting(service.key)
        return plan.peace(
            service,
            request,
            group=group,
            strays=self._engine.strays(service.key),
            barred=self._engine.barred(service.key),
            quarrel=self._engine.quarrel(service.key),
        )

    def _decide(self, request: Request | Refusal) -> Answer:
        """What can't be understood is refused without the engine."""
        return request if isinstance(request, Refusal) else self._engine.decide(request)

    def _came_from(self, service: ServiceView) -> tuple[str, ...] | None:
        """The groups that a Service's addresses are of, where it doesn't say so itself."""
        claim = self._engine.claim(service.key)
        return claim.groups if claim is not None and claim.groups else self._owners(service)

    def _owners(self, service: ServiceView) -> tuple[str, ...] | None:
        """The groups in whose pools a Service's addresses are; None if one is in no pool."""
        owners = tuple(owner for address in service.ingress if (owner := self._engine.owner(address)) is not None)
        return owners if len(owners) == len(service.ingress) else None

    def _brand(self, service: ServiceView, seniority: Seniority, owners: tuple[str, ...]) -> Plan:
        groups = owners if len(set(owners)) > 1 else owners[:1]
        self._engine.restore(Claim(service.key, seniority, service.ingress, groups, terms_of(service)))
        return plan.branding(service, groups, self._engine.groups(groups))


def _is_anothers(service: ServiceView) -> bool:
    return service.load_balancer_class not in (None, *names.CLASSES)


def _is_to_be_noted(service: ServiceView) -> bool:
    """Whether somebody else wrote our addresses, so that the status alone doesn't tell whose they are any more."""
    return service.is_written_by_others and set(service.recorded) != set(service.ingress)
