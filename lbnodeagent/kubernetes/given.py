"""Which addresses in a Service's status our allocator gave it: only those are announced. Pure.

An annotation is anybody's to write who may write the Service, and a status may be another controller's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from purelb import names
from purelb.addresses import IPAddress
from purelb.servicegroups import ServiceGroup
from purelb.services import ServiceView


def claims(service: ServiceView) -> bool:
    """Whether a Service says that it has its addresses of PureLB, and may say so: its class isn't another's."""
    return service.is_load_balancer and service.is_branded


def is_written_by_others(service: ServiceView) -> bool:
    """Whether the API server knows who wrote the addresses, and it wasn't an allocator of PureLB's."""
    return service.ingress_writer not in names.ALLOCATORS | names.UNKNOWN_MANAGERS


def given(
    service: ServiceView, groups: Mapping[str, Collection[ServiceGroup]], before: Collection[IPAddress]
) -> tuple[IPAddress, ...]:
    """The addresses of ``service`` that count; ``groups`` by name, ``before``: those that counted so far.

    What the allocator wrote counts, whatever became of its group since: deleted, shrunk, refused. Of what somebody else
    wrote, that counts which is in a pool of the group that the Service is served from, and what counted before: others
    add a port or a host name to our entries, and then the whole list is theirs.
    """
    if not claims(service):
        return ()
    if not is_written_by_others(service):
        return service.ingress
    named = [group for name in allocated_from(service) for group in groups.get(name, ())]
    return tuple(vip for vip in service.ingress if vip in before or _is_pooled(vip, named))


def allocated_from(service: ServiceView) -> tuple[str, ...]:
    """The groups that a Service says its addresses are of."""
    text = service.annotations.get(names.ALLOCATED_FROM, "")
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _is_pooled(vip: IPAddress, groups: Iterable[ServiceGroup]) -> bool:
    return any(group.pool_of(vip) is not None for group in groups)
