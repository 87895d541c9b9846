"""News of Services, ServiceGroups and EndpointSlices, to the table of wanted VIPs and what follows from it. Pure.

News that the table knows already, as most of a list is, leads to nothing. What follows comes back as a value; the
control plane passes it on.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, assert_never

from lbnodeagent.kubernetes.viptable import (
    Changes,
    WantedTable,
    carries_annotations,
    vips_of,
)
from purelb import names
from purelb.endpoints import EndpointSlice
from purelb.errors import SpecError
from purelb.ordering import Changed, Deleted, News, Replaced, changes
from purelb.servicegroups import ServiceGroup, parse_service_group
from purelb.services import ServiceKey, ServiceView, view_service

Json: TypeAlias = Mapping[str, Any]

log = logging.getLogger(__name__)

PREFIX: Final = f"{names.GROUP}/"
"""Of the annotations that agents read."""


@dataclass(slots=True)
class Consequences:
    """What follows from news."""

    vips: Changes = field(default_factory=dict)
    """VIPs that are wanted otherwise now, or (None) no longer."""
    changed: list[ServiceView] = field(default_factory=list)
    """Services that are new or changed."""
    gone: list[ServiceKey] = field(default_factory=list)
    """Services that are gone, or have nothing of ours any more."""


class ServiceFeed:
    """Brings news into the table."""

    def __init__(self, wanted: WantedTable) -> None:
        self._wanted = wanted

    def services(self, news: News[ServiceView]) -> Consequences:
        """Of Services; a list replaces all that was known."""
        then = Consequences()
        for change in changes(news, self._wanted.services):
            match change:
                case Changed(_, service):
                    self._set(service, then)
                case Deleted(key):
                    self._drop(ServiceKey(*key), then)
        return then

    def groups(self, news: News[ServiceGroup]) -> Consequences:
        """Of ServiceGroups that can be read."""
        match news:
            case Replaced(items):
                return Consequences(self._wanted.replace_groups(items.values()))
            case Changed(_, group):
                return Consequences(self._wanted.set_group(group))
            case Deleted(key):
                return Consequences(self._wanted.drop_group(key.namespace, key.name))
            case _:
                assert_never(news)

    def slices(self, news: News[EndpointSlice]) -> Consequences:
        """Of EndpointSlices that belong to Services."""
        match news:
            case Replaced(items):
                return Consequences(self._wanted.replace_slices(items.values()))
            case Changed(_, one):
                return Consequences(self._wanted.set_slice(one))
            case Deleted(key):
                return Consequences(self._wanted.drop_slice(key.namespace, key.name))
            case _:
                assert_never(news)

    def _set(self, service: ServiceView, then: Consequences) -> None:
        known = self._wanted.service(service.key)
        if known is not None and _is_same(service, known):
            return
        then.vips |= self._wanted.set_service(service)
        then.changed.append(self._wanted.service(service.key) or service)

    def _drop(self, key: ServiceKey, then: Consequences) -> None:
        if self._wanted.service(key) is None:
            return  # most of a cluster's Services have nothing of ours, and each change of one says so again
        then.vips |= self._wanted.drop_service(key)
        then.gone.append(key)


def parse_service(body: Json) -> ServiceView | None:
    """What an agent keeps of a Service; None if it has nothing of ours.

    Others' annotations are left out: kubectl's copy of the whole object is often larger than all the rest.
    """
    service = view_service(body)
    if not vips_of(service) and not carries_annotations(service):
        return None
    ours = {key: value for key, value in service.annotations.items() if key.startswith(PREFIX)}
    return replace(service, annotations=ours)


def parse_group(body: Json) -> ServiceGroup | None:
    """A ServiceGroup; None if it can't be read. What is wrong with one is the allocator's to say.

    Which nodes its nodeSelector chooses is of its status, where the allocator says it: an agent knows the labels of its
    own node alone, and all must elect among the same.
    """
    try:
        group = parse_service_group(body)
        chosen = (body.get("status") or {}).get("nodes")
        if not group.node_selector.requirements or not isinstance(chosen, list):
            return group
        return replace(group, announcers=frozenset(sys.intern(node) for node in chosen if isinstance(node, str)))
    except SpecError as error:
        log.info("ServiceGroup not understood", extra={"group": body["metadata"]["name"], "reason": str(error)})
        return None


def _is_same(service: ServiceView, known: ServiceView) -> bool:
    """Whether it's known already, so that 10,000 Services that are listed again don't keep the processor busy."""
    return bool(known.resource_version) and (service.uid, service.resource_version) == (
        known.uid,
        known.resource_version,
    )
