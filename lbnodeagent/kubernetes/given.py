"""Which addresses in a Service's status our allocator gave it: only those are announced. Pure.

An annotation is anybody's to write who may write the Service, and a status may be another controller's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from purelb import names
from purelb.addresses import IPAddress
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceView


def claims(service: ServiceView) -> bool:
    """Whether a Service says that it has its addresses of PureLB, and may say so: its class isn't another's."""
    return service.is_load_balancer and service.is_branded


def is_given(service: ServiceView) -> bool:
    """Whether an allocator of PureLB's said of which groups the addresses are, by the API server's word.

    Who writes the status later changes nothing of that. A manager that stands for several may stand for the allocator.
    """
    return bool(service.giver) and service.giver in names.ALLOCATORS | names.UNKNOWN_MANAGERS


@dataclass(frozen=True, slots=True)
class Gift:
    """Which addresses count of a Service, in their order."""

    counted: tuple[IPAddress, ...] = ()
    proven: tuple[IPAddress, ...] = ()
    """Those of them that the allocator wrote or noted, or that a pool has; the others count for want of a pool to look
    into."""


def given(
    service: ServiceView,
    groups: Mapping[str, Collection[ServiceGroup]],
    before: Collection[IPAddress] = (),
    *,
    are_all_known: bool,
) -> Gift:
    """The addresses of ``service`` that count.

    ``groups`` by name, and whether they ``are_all_known``; ``before``: what was proven before, of the same Service.

    What the allocator wrote counts, whatever became of its group since: deleted, shrunk, refused. But others add a port
    or a host name to our entries, and then the whole list is theirs. Of what they wrote, that counts which the
    allocator has noted as its own, as it does once it sees that (``recorded``), or which is in a pool of the group that
    the Service is served from. Until then, where that group is gone, or has no pools, as those of NetBox and sidecars,
    all counts if an allocator gave to this Service: that is for the API server to say, so that all agents see it alike,
    whenever they started.
    ``before`` matters only to an address that left its pool before an allocator could note it.
    """
    if not claims(service):
        return Gift()
    if not service.is_written_by_others:
        return Gift(service.ingress, service.ingress)
    named = [group for name in service.allocated_from for group in groups.get(name, ())]
    known = {*before, *service.recorded}
    proven = tuple(vip for vip in service.ingress if vip in known or _is_pooled(vip, named))
    is_gone = are_all_known and not all(map(groups.get, service.allocated_from))
    can_be_checked = bool(service.recorded) or (not is_gone and all(group.pools for group in named))
    return Gift(proven if can_be_checked or not is_given(service) else service.ingress, proven)


def _is_pooled(vip: IPAddress, groups: Iterable[ServiceGroup]) -> bool:
    return any(group.pool_of(vip) is not None for group in groups)
